"""Downloads, against a server on this machine that behaves badly in every way we know."""
import hashlib
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from minigen import cache
from minigen.data import DataError, download

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "file.gz"


class Handler(BaseHTTPRequestHandler):
    """Behaves as the first folder of the path says; notes what was asked for."""

    def do_GET(self):
        manner = self.path.split("/")[1]
        self.server.asked.append(manner)
        if manner == "missing":
            return self.send_error(404)
        if manner == "rude":
            return self.wfile.write(b"this is not HTTP\r\n\r\n")
        self.send_response(200)
        if manner not in ("endless", "closed"):
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if manner == "good":
            self.wfile.write(CONTENT)
        elif manner == "corrupt":
            self.wfile.write(CONTENT[:-1] + b"!")
        elif manner in ("truncated", "closed"):
            self.wfile.write(CONTENT[:1000])
        elif manner == "silent":
            self.wfile.write(CONTENT[:1000])
            self.server.finish.wait(10)
        elif manner == "endless":
            try:
                while not self.server.finish.is_set():
                    self.wfile.write(CONTENT)
            except OSError:
                self.server.hung_up.set()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.finish, server.hung_up = [], threading.Event(), threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.finish.set()
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(server, folder, *manners):
    mirrors = [f"{server.url}{manner}/" for manner in manners]
    download.fetch(folder / NAME, mirrors, len(CONTENT), SHA256)


def test_good(server, tmp_path):
    folder = tmp_path / "made" / "on the way"
    fetch(server, folder, "good")
    assert (folder / NAME).read_bytes() == CONTENT and os.listdir(folder) == [NAME]
    assert download.is_intact(folder / NAME, SHA256)


FAULTS = {"missing": "Not Found", "corrupt": "its SHA-256 is not that", "silent": "timed out",
          "rude": "this is not HTTP", "truncated": "broke off after 1000 of 256000 bytes",
          "closed": "broke off after 1000 of 256000 bytes", "endless": "serves more than the 256000 bytes"}


@pytest.mark.parametrize("manner", FAULTS)
def test_fault_is_named_and_nothing_is_left(server, tmp_path, monkeypatch, manner):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    with pytest.raises(DataError, match=FAULTS[manner]) as caught:
        fetch(server, tmp_path, manner)
    message = str(caught.value)
    assert message.startswith(f"{NAME}: cannot be downloaded (127.0.0.1:")
    assert "MINIGEN_DATA" in message and "\n" not in message
    assert os.listdir(tmp_path) == []


def test_endless_stream_is_cut_at_the_promised_size(server, tmp_path):
    with pytest.raises(DataError):
        fetch(server, tmp_path, "endless")
    assert server.hung_up.wait(5)


def test_next_mirror_is_asked(server, tmp_path):
    fetch(server, tmp_path, "missing", "corrupt", "good", "never")
    assert server.asked == ["missing", "corrupt", "good"] and (tmp_path / NAME).read_bytes() == CONTENT


def test_all_faults_are_told(server, tmp_path):
    with pytest.raises(DataError, match="Not Found; .*SHA-256"):
        fetch(server, tmp_path, "missing", "corrupt")


def test_offline(server, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))           # bound, but nobody listens
        with pytest.raises(DataError, match="refused.*set MINIGEN_DATA to their folder"):
            download.fetch(tmp_path / NAME, [f"http://127.0.0.1:{closed.getsockname()[1]}/"], len(CONTENT), SHA256)


def test_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be written .*set XDG_CACHE_HOME"):
        fetch(server, tmp_path / "file" / "below", "good")


def test_interrupted_write_leaves_the_old_file(server, tmp_path, monkeypatch):
    (tmp_path / NAME).write_bytes(b"old")

    def fail(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DataError, match="No space left"):
        fetch(server, tmp_path, "good")
    assert (tmp_path / NAME).read_bytes() == b"old" and os.listdir(tmp_path) == [NAME]


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "minigen"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "minigen"


def test_is_intact(tmp_path):
    assert not download.is_intact(tmp_path / NAME, SHA256)
    (tmp_path / NAME).write_bytes(CONTENT[1:])
    assert not download.is_intact(tmp_path / NAME, SHA256)

"""Download of published files: bounded, checked, and put in place atomically."""
import hashlib
import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from minigen.data.idx import DataError

TIMEOUT = 20.0          # seconds a mirror may stay silent before the next one is asked
CHUNK = 2 ** 16         # bytes read at a time


def is_intact(path, sha256):
    """Whether ``path`` is a file with this SHA-256 (hexadecimal)."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def fetch(target, mirrors, size, sha256):
    """Download ``target.name`` from the first mirror that serves it intact, and write it to ``target``.

    Args:
        target: Path of the file; its folder is made if need be.
        mirrors: addresses to which the file's name is appended, in order of preference.
        size: of the file in bytes. No more than that is ever read.
        sha256: of the file, hexadecimal.

    Raises DataError naming every mirror's fault and the remedy, or saying why the file cannot be written.
    """
    from http.client import HTTPException       # slow to import, and only a download needs it
    faults = []
    for mirror in mirrors:
        try:
            content = _read(mirror + target.name, size)
        except (OSError, HTTPException) as error:
            reason = " ".join(str(getattr(error, "reason", error)).split())          # on one line
            faults.append(f"{urlsplit(mirror).netloc}: {reason}")
            continue
        if len(content) == size and hashlib.sha256(content).hexdigest() == sha256:
            return _write_atomically(target, content)
        faults.append(f"{urlsplit(mirror).netloc}: " + _difference(content, size))
    raise DataError(f"{target.name}: cannot be downloaded ({'; '.join(faults)}); bring the files to this machine "
                    "yourself and set MINIGEN_DATA to their folder, or use the bundled mg.data.digits()")


def _read(url, size):
    """The content at ``url``, at most ``size + 1`` bytes of it, with a progress bar on a terminal."""
    from urllib.request import urlopen          # slow to import, and only a download needs it

    from tqdm import tqdm
    content = bytearray()
    with urlopen(url, timeout=TIMEOUT) as response, \
            tqdm(total=size, desc=url.rpartition("/")[2], unit="B", unit_scale=True, disable=None) as bar:
        while chunk := response.read(min(CHUNK, size + 1 - len(content))):
            content += chunk
            bar.update(len(chunk))
    return bytes(content)


def _difference(content, size):
    """Why a download is not the file it should be."""
    if len(content) < size:
        return f"the download broke off after {len(content)} of {size} bytes"
    if len(content) > size:
        return f"it serves more than the {size} bytes of the published file"
    return "its SHA-256 is not that of the published file"


def _write_atomically(target, content):
    """Write under another name and rename, so that ``target`` is whole or absent, whoever dies or runs beside us."""
    partial = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(prefix=target.name + ".", suffix=".part", dir=target.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error.strerror}); "
                        "set XDG_CACHE_HOME to a folder that can") from None
    finally:
        if partial and os.path.exists(partial):
            os.unlink(partial)

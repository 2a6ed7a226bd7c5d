"""Compiling on this machine: kept, made anew, and done without wherever something is missing."""
import ctypes
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigen as mg
from minigen.native import build

SOURCE = "typedef REAL real; real twice(real x) { return 2 * x; } long size(void) { return sizeof(real); }"
compiler = pytest.mark.skipif(not build.compiler(), reason="there is no C compiler")


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "minigen" / "native"


@compiler
@pytest.mark.parametrize("dtype, number, size", [("f", ctypes.c_float, 4), ("d", ctypes.c_double, 8)])
def test_compiled_for_both_precisions(cache, dtype, number, size):
    library = build.compiled(SOURCE, "twice", dtype)
    library.twice.argtypes, library.twice.restype = [number], number
    assert library.twice(1.5) == 3.0 and library.size() == size
    assert len(os.listdir(cache)) == 1 and stat.S_IMODE(cache.stat().st_mode) == 0o700


@compiler
def test_compiled_once_and_kept(cache, monkeypatch):
    build.compiled(SOURCE, "twice", "f")
    monkeypatch.setattr(subprocess, "run", None)                             # would raise if it were called
    assert build.compiled(SOURCE, "twice", "f").size() == 4


@compiler
def test_another_text_another_cpu_and_another_compiler_have_their_own(cache, monkeypatch):
    build.compiled(SOURCE, "twice", "f")
    build.compiled(SOURCE + " ", "twice", "f")
    monkeypatch.setattr(mg.levers, "cpu", lambda: ("another", {"avx"}))
    build.compiled(SOURCE, "twice", "f")
    monkeypatch.setattr(build, "compiler", lambda found=build.compiler(): (*found, "-DMORE"))
    build.compiled(SOURCE, "twice", "f")
    assert len(os.listdir(cache)) == 4


@compiler
@pytest.mark.parametrize("spoil", [lambda whole: whole[:200], lambda whole: b"", lambda whole: b"not a library"])
def test_a_library_that_is_not_whole_is_made_anew(cache, spoil):
    build.compiled(SOURCE, "twice", "f")
    path, = cache.iterdir()
    other = path.with_name("spoilt")                                         # a loaded file must not change under us
    other.write_bytes(spoil(path.read_bytes()))
    os.replace(other, path)
    assert build.compiled(SOURCE, "twice", "f").size() == 4


@compiler
def test_a_library_of_another_user_is_not_loaded(cache, monkeypatch):
    build.compiled(SOURCE, "twice", "f")
    path, = cache.iterdir()
    before = path.stat().st_ino
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
    assert build.compiled(SOURCE, "twice", "f").size() == 4
    assert path.stat().st_ino != before


@compiler
def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch, tmp_path):
    (tmp_path / "minigen").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build.compiled(SOURCE, "twice", "f").size() == 4


@compiler
def test_what_the_compiler_refuses_is_none_and_told(cache, monkeypatch):
    monkeypatch.setattr(build, "_failure", [])
    assert build.compiled("no C at all", "nothing", "f") is None
    assert "error" in build._failure[0] and os.listdir(cache) == []


def test_without_a_compiler_there_is_nothing(monkeypatch):
    monkeypatch.setattr(build, "compiler", lambda: ())
    assert build.compiled(SOURCE, "twice", "f") is None
    monkeypatch.setattr(build, "on", True)
    assert build.describe().startswith("none (with gcc or clang")


def test_the_compiler_is_the_users_choice_first(monkeypatch, tmp_path):
    mine = tmp_path / "mycc"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o700)
    monkeypatch.setenv("CC", f"{mine} -flag")
    assert build.compiler.__wrapped__() == (str(mine), "-flag")
    monkeypatch.setenv("CC", str(tmp_path / "missing"))
    assert str(tmp_path) not in " ".join(build.compiler.__wrapped__())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.compiler.__wrapped__() == ()


STEP = """
import minigen as mg, numpy as np
from minigen.native import build
rng = np.random.default_rng(0)
x, w = (mg.tensor(rng.standard_normal(s), dtype="float32", requires_grad=True) for s in ((4, 20, 20, 8), (3, 3, 8, 16)))
y = mg.silu(mg.conv2d(x, w, padding=1))
y.sum().backward()
print(y.numpy().sum(dtype=float), w.grad.numpy().sum(dtype=float), x.grad.numpy().sum(dtype=float))
print(build.describe())
"""


def run(**environment):
    """(The numbers that STEP prints, and what it says of the compiler), in a new Python."""
    root = str(Path(mg.__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": root, **environment})
    assert done.returncode == 0, done.stderr
    numbers, said = done.stdout.strip().split("\n")
    return [float(number) for number in numbers.split()], said


def test_everything_runs_without_a_compiler_and_gives_the_same(tmp_path):
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho no space for programs >&2\nexit 1\n")
    broken.chmod(0o700)
    reference, said = run(MINIGEN_NATIVE="0")
    assert said == "not used (MINIGEN_NATIVE=0); everything runs on NumPy"
    failing, said = run(CC=str(broken), XDG_CACHE_HOME=str(tmp_path))
    assert said == f"{broken} fails (no space for programs); everything runs on NumPy"
    assert failing == reference
    compiled, said = run(XDG_CACHE_HOME=str(tmp_path / "cache"))
    np.testing.assert_allclose(compiled, reference, rtol=1e-4)


def test_addresses_of_arrays():
    for array in (np.zeros(5), np.zeros((4, 3), np.float32)[1:, 1:], np.arange(10)[::-2], np.zeros((0, 3))):
        assert build.address(array) == build._slow_address(array)

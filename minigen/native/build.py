"""Compile C for this machine at its first use, and keep the result.

The compiler is ``$CC``, or the first of cc, gcc and clang that is there. A library is made once for each text, compiler
and CPU, and kept in the cache folder under a name that is made of all three, so that another CPU sharing the folder
makes its own. It is written under another name and renamed when whole, as every file of ours. Where the folder cannot
be written it lives as long as the process.
"""
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from minigen import cache, levers

FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-pthread", "-shared", "-fPIC")
REAL = {"float32": "float", "float64": "double"}
TIMEOUT = 120           # seconds for the compiler
_lock = threading.Lock()
_failed = {}            # name of a library -> why it could not be made


on = not levers.off("MINIGEN_NATIVE")        # whether compiled code may be used


def describe():
    """A sentence on the compiler and what became of it, for ``minigen doctor``."""
    if not on:
        return "left alone (MINIGEN_NATIVE=0); convolutions run on NumPy"
    command = compiler()
    if command is None:
        return "none found (gcc or clang would make convolutions about twice as fast)"
    if library("convolution.c", "float32") is None:
        return f"{' '.join(command)}, but it fails: {next(iter(_failed.values()))}; convolutions run on NumPy"
    return " ".join(command)


@functools.cache
def compiler():
    """The command that compiles C, as a list, or None."""
    for name in filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")):
        command = shlex.split(name)
        if command and shutil.which(command[0]):
            return command
    return None


def library(name, dtype):
    """A C file of this folder compiled for numbers of ``dtype``, a ctypes.CDLL; None for others than float32 and
    float64, without a compiler, and where it was turned off."""
    return _library(name, str(dtype)) if on else None


@functools.cache
def _library(name, dtype):
    return compiled(text(name), Path(name).stem, dtype) if dtype in REAL else None


def text(name):
    """A file of this folder."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


@functools.cache
def crew():
    """The address of ``share`` in crew.c, compiled; None where it cannot be."""
    library = compiled(text("crew.c"), "crew", "float32")
    return library and ctypes.cast(library.share, ctypes.c_void_p)


def compiled(source, name, dtype):
    """The C text ``source`` compiled for numbers of ``dtype``, a ctypes.CDLL; None if that cannot be done here."""
    if compiler() is None:
        return None
    command = [*compiler(), *FLAGS, "-DREAL=" + REAL[dtype]]
    vendor, flags = levers.cpu()
    made_of = "\0".join([source, *command, platform.machine(), vendor, *sorted(flags)])
    target = cache.folder() / "native" / f"{name}-{dtype}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.so"
    with _lock:
        try:
            return _load(target) or _make(command, source, target)
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            _failed[name] = " ".join(said.split())[:300]
            return None


def _load(path):
    """The library at ``path``; None if it is not there, or not whole."""
    try:
        return ctypes.CDLL(str(path)) if path.exists() else None
    except OSError:
        return None


def _make(command, source, target):
    """Compile into ``target``, or into a folder that is gone with it where that cannot be written, and load it."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = tempfile.TemporaryDirectory(prefix=".making-", dir=target.parent)
    except OSError:
        folder = tempfile.TemporaryDirectory(prefix="minigen-")
    with folder:
        text, made = Path(folder.name, "source.c"), Path(folder.name, target.name)
        text.write_text(source, encoding="utf-8")
        subprocess.run([*command, "-o", str(made), str(text), "-lm"], check=True, capture_output=True, text=True,
                       timeout=TIMEOUT, stdin=subprocess.DEVNULL)
        if Path(folder.name).parent == target.parent:
            os.replace(made, target)
            return ctypes.CDLL(str(target))
        return ctypes.CDLL(str(made))                     # what is loaded outlives its file

"""Compile C for this machine at its first use, and keep the result.

The compiler is ``$CC``, or the first of cc, gcc and clang that is there. A library is made once for each text, compiler
and CPU, and kept in the cache folder under a name made of all three, so that another CPU that shares the folder makes
its own. It is written under another name and renamed when whole, as every file of ours. Where the folder cannot be
written, a library lives as long as the process.
"""
import ctypes
import functools
import os
import platform
import sys
import threading
from pathlib import Path

import numpy

from minigen import cache, levers

FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd", "-pthread",
         "-shared", "-fPIC")
REAL = {"f": "float", "d": "double"}         # NumPy's letter for a dtype -> its name in C
TIMEOUT = 120                                # seconds for the compiler
on = not levers.off("MINIGEN_NATIVE")        # whether compiled code may be used
_lock = threading.Lock()
_failure = []                                # what the compiler said when it failed first


def describe():
    """A sentence on the compiler and what became of it, for ``minigen doctor``."""
    if not on:
        return "not used (MINIGEN_NATIVE=0); everything runs on NumPy"
    if not compiler():
        return "none (with gcc or clang convolutions would be about twice as fast); everything runs on NumPy"
    if not crew():
        return f"{' '.join(compiler())} fails ({_failure[0]}); everything runs on NumPy"
    return f"{' '.join(compiler())}, results in {cache.folder() / 'native'}"


@functools.cache
def compiler():
    """The command that compiles C, as a tuple; empty if there is none."""
    import shlex
    import shutil
    for name in filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")):
        command = tuple(shlex.split(name))
        if command and shutil.which(command[0]):
            return command
    return ()


def text(name):
    """A file of this folder."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


@functools.cache
def crew():
    """The address of ``share`` in crew.c; None where nothing can be compiled."""
    library = compiled(text("crew.c"), "crew", "f")
    return library and ctypes.cast(library.share, ctypes.c_void_p)


def compiled(source, name, dtype):
    """C compiled for numbers of a dtype ("f" or "d"), a ctypes.CDLL; None if that cannot be done here."""
    import hashlib                           # these are slow to import, and ``import minigen`` needs none of them
    import subprocess
    if not compiler():
        return None
    vendor, flags = levers.cpu()
    command = [*compiler(), *FLAGS, f"-DREAL={REAL[dtype]}"]
    made_of = "\0".join([source, *command, platform.machine(), vendor, *sorted(flags)])
    target = cache.folder() / "native" / f"{name}-{REAL[dtype]}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.so"
    with _lock:
        try:
            return _load(target) or _make(command, source, target)
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            _failure.append(" ".join(said.split())[:300])
            return None


def _load(path):
    """The library at ``path``; None if it is not there, not whole, or another user's."""
    try:
        return ctypes.CDLL(str(path)) if path.stat().st_uid == os.getuid() else None
    except (OSError, AttributeError):                         # Windows has no getuid, and no such compiler
        return None


def _make(command, source, target):
    """Compile into ``target``, or where that cannot be written into a folder that is gone with us; and load it."""
    import subprocess
    import tempfile
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = tempfile.TemporaryDirectory(prefix=".making-", dir=target.parent)
    except OSError:
        folder = tempfile.TemporaryDirectory(prefix="minigen-")
    with folder:
        written, made = Path(folder.name, "source.c"), Path(folder.name, target.name)
        written.write_text(source, encoding="utf-8")
        subprocess.run([*command, "-o", str(made), str(written), "-lm"], check=True, capture_output=True, text=True,
                       timeout=TIMEOUT, stdin=subprocess.DEVNULL)
        if made.parent.parent != target.parent:
            return ctypes.CDLL(str(made))                     # what is loaded outlives its file
        os.replace(made, target)
        return ctypes.CDLL(str(target))


# ---- where arrays lie ------------------------------------------------------------------------------------------------
def _slow_address(array):
    return array.__array_interface__["data"][0]


def _quick_address(array):
    """Read from the array object itself, behind what every Python object begins with."""
    return ctypes.c_void_p.from_address(id(array) + object.__basicsize__).value


def _choose_address():
    probe = numpy.zeros(3)[1:]
    quick = sys.implementation.name == "cpython" and _quick_address(probe) == _slow_address(probe)
    return _quick_address if quick else _slow_address


address = _choose_address()           # of the first number of an array: a sixth of the time that NumPy's own way takes

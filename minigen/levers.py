"""Four settings outside minigen that decide how fast it runs, applied by ``import minigen``.

1. **BLAS kernel.** Some versions of OpenBLAS pick their AVX2 kernels on AMD Zen 4 and Zen 5 although those CPUs have
   AVX-512. Where the CPU reports every AVX-512 subset that the ``SkylakeX`` kernels use, we ask for them, and never
   over a user's own setting. ``MINIGEN_BLAS_KERNEL=0`` turns it off.

2. **Idle BLAS threads.** After a matrix product OpenBLAS's threads go on asking for work, some 2²⁶ cycles by default,
   and only then sleep. Until then they take a core from whatever else wants it, such as our own threads
   (`minigen.threads`). We let them sleep after 2²⁰ cycles, some 250 µs: still awake for the next product, if it follows
   at once. ``MINIGEN_BLAS_IDLE=0`` turns it off, and a user's own ``OPENBLAS_THREAD_TIMEOUT`` is left alone.

3. **Allocator.** glibc hands every block above 128 KiB back to the kernel when it is freed, and faults it in again,
   page by page, at the next allocation. We raise both thresholds, so that buffers are reused. The price is resident
   memory: up to `TRIM_BYTES` of freed memory stays with the process. ``MINIGEN_ALLOCATOR=0`` turns it off, and a user's
   own ``MALLOC_*_`` variables are left alone.

4. **Garbage collector.** After 700 (in later Pythons 2,000) new objects that hold others, Python looks for cycles among
   the youngest, and from time to time among all that are alive. A deep graph is alive until it is walked back, and has
   no cycles, so every look is in vain. We let Python look after `NEW_OBJECTS`. The price: what does hang in a cycle is
   freed that much later. ``MINIGEN_GC=0`` turns it off, and a user's own `gc.set_threshold` is left alone.

OpenBLAS reads its variables when NumPy loads it. If NumPy was imported before minigen it is too late for the kernel,
which then is the one that OpenBLAS chose; its threads are started anew (`restart_blas_threads`), as they are in a child
process after a fork, which is safe as long as no other thread can be in the middle of a product.

What was done, and why, is kept in `report` for ``minigen doctor``. Measurements: docs/performance.md.
"""
import ctypes
import gc
import os
import platform
import sys
import threading

MMAP_BYTES = 32 << 20    # the largest value glibc accepts (HEAP_MAX_SIZE / 2)
TRIM_BYTES = 512 << 20
NEW_OBJECTS = 5000
IDLE = 20                # idle BLAS threads sleep after 2 to this power cycles
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3          # <malloc.h>
_PYTHONS_OWN = {700, 2000}                             # its thresholds, by version
_SKYLAKEX = {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"}

report: dict[str, str] = {}


def off(switch):
    """Whether the user turned a switch off: ``MINIGEN_…=0``."""
    return os.environ.get(switch, "1").lower() in ("0", "off", "no", "false")


def cpu():
    """Return (vendor, set of flags) of the first CPU that Linux reports, or ("", empty set)."""
    vendor, flags = "", set()
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "vendor_id":
                    vendor = value.strip()
                elif key.strip() == "flags":
                    return vendor, set(value.split())
    except OSError:
        pass
    return vendor, flags


def choose_blas_kernel():
    """(SkylakeX where that is safe and helps, else None; a sentence that says why)."""
    if off("MINIGEN_BLAS_KERNEL"):
        return None, "left alone (MINIGEN_BLAS_KERNEL=0)"
    if "OPENBLAS_CORETYPE" in os.environ:
        return None, f"left alone (you set OPENBLAS_CORETYPE={os.environ['OPENBLAS_CORETYPE']})"
    if platform.machine() != "x86_64" or not sys.platform.startswith("linux"):
        return None, "left alone (only x86-64 Linux is known to need it)"
    vendor, flags = cpu()
    if vendor != "AuthenticAMD" or not _SKYLAKEX <= flags:
        return None, "left alone (OpenBLAS chooses well on this CPU)"
    return "SkylakeX", "SkylakeX (AVX-512), set by minigen"


def let_blas_threads_sleep():
    """(the power of two of cycles after which idle threads sleep, or None; a sentence that says why)."""
    if off("MINIGEN_BLAS_IDLE"):
        return None, "left alone (MINIGEN_BLAS_IDLE=0)"
    if "OPENBLAS_THREAD_TIMEOUT" in os.environ:
        return None, f"left alone (you set OPENBLAS_THREAD_TIMEOUT={os.environ['OPENBLAS_THREAD_TIMEOUT']})"
    return str(IDLE), f"idle threads sleep after 2^{IDLE} cycles, set by minigen"


def openblas_libraries():
    """The OpenBLAS libraries that NumPy has loaded; none where that cannot be told (not on Linux)."""
    try:
        with open("/proc/self/maps", encoding="utf-8") as lines:
            paths = sorted({line.split()[-1] for line in lines if "openblas" in line and "numpy" in line})
    except OSError:
        return []
    return [ctypes.CDLL(path) for path in paths]


def restart_blas_threads():
    """Let the threads of an OpenBLAS that is loaded begin again, with its variables as they are now. Return whether
    that could be done."""
    if threading.active_count() > 1:                       # another thread may be in the middle of a product
        return False
    names = ("blas_thread_shutdown_", "openblas_read_env", "blas_thread_init")
    steps = [[getattr(library, name, None) for name in names] for library in openblas_libraries()]
    if not steps or not all(map(all, steps)):
        return False
    for library in steps:
        for step in library:
            step()
    return True


def keep_freed_memory():
    """Raise glibc's mmap and trim thresholds. Return a sentence that says what was done."""
    if off("MINIGEN_ALLOCATOR"):
        return "left alone (MINIGEN_ALLOCATOR=0)"
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return "left alone (you set MALLOC_* or GLIBC_TUNABLES)"
    if platform.libc_ver()[0] != "glibc":
        return "left alone (not glibc)"
    try:
        mallopt = ctypes.CDLL(None).mallopt
        accepted = mallopt(_M_MMAP_THRESHOLD, MMAP_BYTES) and mallopt(_M_TRIM_THRESHOLD, TRIM_BYTES)
    except (OSError, AttributeError):
        return "left alone (no mallopt in this C library)"
    return f"keeps up to {TRIM_BYTES >> 20} MiB of freed memory" if accepted else "refused by mallopt"


def look_for_cycles_less_often():
    """Raise the threshold of Python's youngest generation. Return a sentence that says what was done."""
    if off("MINIGEN_GC"):
        return "left alone (MINIGEN_GC=0)"
    young, *older = gc.get_threshold()
    if young not in _PYTHONS_OWN:
        return f"left alone (you set its threshold to {young})"
    gc.set_threshold(NEW_OBJECTS, *older)
    return f"looks for cycles after {NEW_OBJECTS} new objects, set by minigen"


def apply():
    """Apply the levers once; called by ``import minigen``."""
    late = "numpy" in sys.modules
    kernel, report["BLAS kernel"] = choose_blas_kernel()
    if kernel and late:
        report["BLAS kernel"] = "too late (NumPy was imported before minigen; import minigen first to be sure of it)"
    elif kernel:
        os.environ["OPENBLAS_CORETYPE"] = kernel
    timeout, report["BLAS threads"] = let_blas_threads_sleep()
    if timeout:
        os.environ["OPENBLAS_THREAD_TIMEOUT"] = timeout
        if late and not restart_blas_threads():
            del os.environ["OPENBLAS_THREAD_TIMEOUT"]
            report["BLAS threads"] = "too late (NumPy was imported before minigen, and its threads could not be " \
                                     "started anew; import minigen first)"
    report["allocator"] = keep_freed_memory()
    report["garbage collector"] = look_for_cycles_less_often()

"""Three settings outside NumPy that decide how fast it runs; applied before NumPy is first imported.

1. **BLAS kernel.** OpenBLAS picks its AVX2 kernels on AMD Zen 4 and Zen 5 although those CPUs have AVX-512. Where the
   CPU reports every AVX-512 subset that the ``SkylakeX`` kernels use, we ask for them. The variable is read when
   OpenBLAS loads, so it is set only while NumPy is not yet imported, and never over a user's own setting.
   ``MINIGEN_BLAS_KERNEL=0`` turns it off.

2. **Idle BLAS threads.** After a matrix product OpenBLAS's threads go on asking for work, some 2²⁶ cycles by default, and
   only then sleep. Until then they take a core from whatever else wants it, such as our own threads (`minigen.threads`).
   We let them sleep after 2¹⁰ cycles. ``MINIGEN_BLAS_IDLE=0`` turns it off, and a user's own
   ``OPENBLAS_THREAD_TIMEOUT`` is left alone.

3. **Allocator.** glibc hands every block above 128 KiB back to the kernel when it is freed, and faults it in again,
   page by page, at the next allocation. We raise both thresholds, so that buffers are reused. The price is resident
   memory: up to `TRIM_BYTES` of freed memory stays with the process. ``MINIGEN_ALLOCATOR=0`` turns it off, and a user's
   own ``MALLOC_*_`` variables are left alone.

What was done, and why, is kept in `report` for ``minigen doctor``. Measurements: docs/performance.md.
"""
import ctypes
import os
import platform
import sys

MMAP_BYTES = 32 << 20    # the largest value glibc accepts (HEAP_MAX_SIZE / 2)
TRIM_BYTES = 512 << 20
IDLE = 10                # idle BLAS threads sleep after 2 to this power cycles
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3          # <malloc.h>
_SKYLAKEX = {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"}

report: dict[str, str] = {}


def _off(switch):
    return os.environ.get(switch, "1").lower() in ("0", "off", "no", "false")


def _cpu():
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
    """Set OPENBLAS_CORETYPE=SkylakeX where that is safe and helps. Return a sentence that says what was done."""
    if _off("MINIGEN_BLAS_KERNEL"):
        return "left alone (MINIGEN_BLAS_KERNEL=0)"
    if "OPENBLAS_CORETYPE" in os.environ:
        return f"left alone (you set OPENBLAS_CORETYPE={os.environ['OPENBLAS_CORETYPE']})"
    if platform.machine() != "x86_64" or not sys.platform.startswith("linux"):
        return "left alone (only x86-64 Linux is known to need it)"
    vendor, flags = _cpu()
    if vendor != "AuthenticAMD" or not _SKYLAKEX <= flags:
        return "left alone (OpenBLAS chooses well on this CPU)"
    if "numpy" in sys.modules:
        return "too late (NumPy was imported before minigen; import minigen first for its AVX-512 kernels)"
    os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"
    return "SkylakeX (AVX-512), set by minigen"


def let_blas_threads_sleep():
    """Set OPENBLAS_THREAD_TIMEOUT. Return a sentence that says what was done."""
    if _off("MINIGEN_BLAS_IDLE"):
        return "left alone (MINIGEN_BLAS_IDLE=0)"
    if "OPENBLAS_THREAD_TIMEOUT" in os.environ:
        return f"left alone (you set OPENBLAS_THREAD_TIMEOUT={os.environ['OPENBLAS_THREAD_TIMEOUT']})"
    if "numpy" in sys.modules:
        return "too late (NumPy was imported before minigen; import minigen first and idle threads leave the cores free)"
    os.environ["OPENBLAS_THREAD_TIMEOUT"] = str(IDLE)
    return f"idle threads sleep after {1 << IDLE} cycles, set by minigen"


def keep_freed_memory():
    """Raise glibc's mmap and trim thresholds. Return a sentence that says what was done."""
    if _off("MINIGEN_ALLOCATOR"):
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


def apply():
    """Apply the levers once; called by ``import minigen`` before NumPy."""
    report["BLAS kernel"] = choose_blas_kernel()
    report["BLAS threads"] = let_blas_threads_sleep()
    report["allocator"] = keep_freed_memory()

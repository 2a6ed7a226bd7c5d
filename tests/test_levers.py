"""The four settings outside minigen: what is done, on which machine, and that a user's own choice is left alone."""
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from minigen import levers

ZEN4 = ("AuthenticAMD", {"avx2", *levers._SKYLAKEX})


def fresh(code, **environment):
    """Run code in a new Python, with these variables of ours in its environment and no others. Return its output."""
    ours = ("OPENBLAS_CORETYPE", "OPENBLAS_THREAD_TIMEOUT", "MINIGEN_", "MALLOC_", "GLIBC_TUNABLES")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    clean["PYTHONPATH"] = os.path.dirname(os.path.dirname(os.path.abspath(levers.__file__)))
    done = subprocess.run([sys.executable, "-c", code], env={**clean, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


REPORT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("levers", {path!r})       # without the rest of minigen, and without NumPy
levers = importlib.util.module_from_spec(spec); spec.loader.exec_module(levers)
levers.cpu = lambda: {cpu!r}
{before}
levers.apply()
import os
print(levers.report[{lever!r}], "|", os.environ.get("OPENBLAS_CORETYPE"))
"""


def report(lever, cpu=ZEN4, before="", **environment):
    return fresh(REPORT.format(path=levers.__file__, cpu=cpu, before=before, lever=lever), **environment)


x86_64_linux = platform.machine() == "x86_64" and sys.platform.startswith("linux")
linux = pytest.mark.skipif(not x86_64_linux, reason="x86-64 Linux alone")
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone")


@linux
def test_an_amd_cpu_with_avx512_gets_the_avx512_kernels():
    assert report("BLAS kernel") == "SkylakeX (AVX-512), set by minigen | SkylakeX"


@linux
@pytest.mark.parametrize("cpu", [("AuthenticAMD", {"avx2"}), ("AuthenticAMD", levers._SKYLAKEX - {"avx512bw"}),
                                 ("GenuineIntel", ZEN4[1]), ("", set())])
def test_any_other_cpu_is_left_alone(cpu):
    assert report("BLAS kernel", cpu) == "left alone (OpenBLAS chooses well on this CPU) | None"


@pytest.mark.parametrize("kernel", ["Haswell", "Zen", ""])
def test_the_users_own_kernel_is_never_overridden(kernel):
    said = report("BLAS kernel", OPENBLAS_CORETYPE=kernel)
    assert said == f"left alone (you set OPENBLAS_CORETYPE={kernel}) | {kernel}".strip()


@linux
def test_too_late_for_the_kernel_once_numpy_is_loaded():
    said = report("BLAS kernel", before="import numpy")
    assert said.startswith("too late (NumPy was imported before minigen") and said.endswith("| None")


@linux
@pytest.mark.parametrize("before", ["levers.openblas_libraries = lambda: []",
                                    "import threading, time; threading.Thread(target=time.sleep, args=(1,)).start()"],
                         ids=["another BLAS", "another thread"])
def test_too_late_where_threads_cannot_be_started_anew(before):
    assert report("BLAS threads", before="import numpy; " + before).startswith("too late (NumPy was imported before")


@linux
def test_products_are_right_before_and_after_threads_start_anew_and_in_a_child():
    code = """
import os
import numpy as np
a = np.arange(90_000.0, dtype=np.float32).reshape(300, 300) % 7
before = a @ a
import minigen
assert (a @ a == before).all() and minigen.threads.spread(lambda s: (a[s] @ a), [slice(150), slice(150, 300)])
child = os.fork()
if not child:
    os._exit(0 if (a @ a == before).all() else 1)
print(os.waitpid(child, 0)[1])
"""
    assert fresh(code, OPENBLAS_NUM_THREADS="2") == "0"


@pytest.mark.parametrize("value", ["0", "off", "No", "FALSE"])
def test_the_switch_turns_the_kernel_off(value):
    assert report("BLAS kernel", MINIGEN_BLAS_KERNEL=value) == "left alone (MINIGEN_BLAS_KERNEL=0) | None"


def test_another_architecture_is_left_alone(monkeypatch):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    monkeypatch.delenv("MINIGEN_BLAS_KERNEL", raising=False)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert levers.choose_blas_kernel() == (None, "left alone (only x86-64 Linux is known to need it)")
    assert "OPENBLAS_CORETYPE" not in os.environ


def test_idle_blas_threads_sleep_soon():
    assert report("BLAS threads").startswith("idle threads sleep after 2^20 cycles, set by minigen")
    assert report("BLAS threads", MINIGEN_BLAS_IDLE="0").startswith("left alone (MINIGEN_BLAS_IDLE=0)")
    said = report("BLAS threads", OPENBLAS_THREAD_TIMEOUT="26")
    assert said.startswith("left alone (you set OPENBLAS_THREAD_TIMEOUT=26)")


@linux
@pytest.mark.parametrize("order", ["import minigen, numpy as np", "import numpy as np, minigen"])
def test_blas_reads_how_long_to_stay_awake(order):
    """After a product on two threads and a rest, the process has used no more time than the product took."""
    code = f"""
import time
{order}
if minigen.threads.count() < 2:
    print(0.0)
else:
    a = np.ones((400, 400), np.float32)
    a @ a                                                 # starts the threads
    used = 0.0
    for _ in range(20):
        a @ a
        before = time.process_time()
        time.sleep(0.005)                                 # awake, the other thread would use up to 5 ms here
        used += time.process_time() - before
    print(used)
"""
    used = float(fresh(code, OPENBLAS_NUM_THREADS="2"))
    assert used < 0.03, f"{used:.3f} s of 0.1 s were spent asking for work"


@glibc
def test_the_allocator_keeps_freed_memory():
    assert report("allocator").startswith("keeps up to 512 MiB of freed memory")


@glibc
def test_freed_memory_is_not_faulted_in_again():
    code = """
import resource, numpy as np
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(1 << 20)                                  # 8 MiB, allocated and freed
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
before = faults()
import minigen
faults()
print(before, faults())
"""
    before, after = map(int, fresh(code).split())
    assert after < before / 4, f"{before} page faults without, {after} with"


def test_the_switch_turns_the_allocator_off():
    assert report("allocator", MINIGEN_ALLOCATOR="0").startswith("left alone (MINIGEN_ALLOCATOR=0)")


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_the_users_own_allocator_settings_are_left_alone(name):
    assert report("allocator", **{name: "glibc.malloc.arena_max=4" if name == "GLIBC_TUNABLES" else "131072"}
                  ).startswith("left alone (you set MALLOC_* or GLIBC_TUNABLES)")


def test_another_c_library_is_left_alone(monkeypatch):
    for name in [n for n in os.environ if n.startswith(("MALLOC_", "GLIBC_TUNABLES", "MINIGEN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert levers.keep_freed_memory() == "left alone (not glibc)"


def test_import_applies_all_before_numpy():
    code = """
import sys
import minigen
assert set(minigen.levers.report) == {"BLAS kernel", "BLAS threads", "allocator", "garbage collector"}
print(any("too late" in said for said in minigen.levers.report.values()))
"""
    assert fresh(code) == "False"


def test_the_cpu_is_read_where_linux_tells(monkeypatch):
    vendor, flags = levers.cpu()
    if platform.machine() == "x86_64" and os.path.exists("/proc/cpuinfo"):
        assert vendor and "sse2" in flags
    monkeypatch.setattr("builtins.open", lambda *args, **kw: (_ for _ in ()).throw(OSError))
    assert levers.cpu() == ("", set())


def test_results_do_not_depend_on_the_levers():
    code = "import minigen, numpy as np; print((np.arange(64.).reshape(8, 8) @ np.ones((8, 8))).sum())"
    assert fresh(code) == fresh(code, MINIGEN_BLAS_KERNEL="0", MINIGEN_BLAS_IDLE="0", MINIGEN_ALLOCATOR="0",
                               MINIGEN_GC="0") == str(np.arange(64.0).sum() * 8)


def test_python_looks_for_cycles_less_often():
    assert report("garbage collector").startswith("looks for cycles after 5000 new objects, set by minigen")
    assert fresh("import gc, minigen; print(gc.get_threshold()[0])") == "5000"


@pytest.mark.parametrize("before, switch, kept", [("pass", "0", "default"), ("gc.set_threshold(123)", "1", "123"),
                                                  ("gc.disable()", "1", "5000"), ("gc.set_threshold(0)", "1", "0")])
def test_a_collector_that_the_user_set_is_left_alone(before, switch, kept):
    code = f"import gc; {before}; usual, on = gc.get_threshold()[0], gc.isenabled(); import minigen; " \
           "print(gc.get_threshold()[0], usual, gc.isenabled() == on)"
    now, usual, same = fresh(code, MINIGEN_GC=switch).split()
    assert now == (usual if kept == "default" else kept) and same == "True"

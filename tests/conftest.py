"""What every test shares: where arrays live, and how hypothesis draws.

``MINIGEN_TEST_BACKEND`` names the one backend to test (``cupy`` on a GPU). Without it: NumPy, and the strict stand-in.
"""
import inspect
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices, and as many processes as cores
os.environ.setdefault("MPLBACKEND", "Agg")          # no windows; before matplotlib is imported

import minigen as mg  # noqa: E402  (before NumPy, as minigen.levers asks)

import hypothesis  # noqa: E402
import pytest  # noqa: E402
import strict  # noqa: E402

mg.backend.register("strict", strict.StrictBackend)
CHOSEN = os.environ.get("MINIGEN_TEST_BACKEND")

hypothesis.settings.register_profile(
    "minigen", derandomize=True, deadline=None, max_examples=25,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("minigen")


def pytest_collection_modifyitems(items):
    """Mark the tests that compare with PyTorch, so that ``pytest -m torch`` runs just them."""
    for item in items:
        function = getattr(item, "function", None)
        if function and 'importorskip("torch")' in inspect.getsource(inspect.unwrap(function)):
            item.add_marker("torch")


@pytest.fixture(params=[CHOSEN] if CHOSEN else ["numpy", "strict"])
def backend(request):
    """The name of the backend on which new tensors are made during the test."""
    with mg.use(request.param):
        yield request.param

"""``import minigen``: quick, light, complete, and every public name explained."""
import importlib
import inspect
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import minigen as mg

HOUSE = pathlib.Path(mg.__file__).parents[1]
MODULES = sorted(".".join(path.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__")
                 for path in (HOUSE / "minigen").rglob("*.py") if path.name != "__main__.py")

OPS = """add subtract multiply divide negative power exp expm1 log log1p sqrt square reciprocal abs sign sin cos tan
sinh cosh tanh arctan erf lgamma digamma maximum minimum clip where floor round equal not_equal less less_equal greater
greater_equal sigmoid logit softplus log_sigmoid relu leaky_relu elu silu gelu logaddexp sum mean var std prod max min
amax logsumexp cumsum norm argmax argmin reshape transpose swapaxes moveaxis broadcast_to expand_dims squeeze
concatenate stack split pad flip roll repeat tile triu tril diagonal getitem take take_along_axis scatter_add index_add
index_set matmul einsum outer inv solve solve_triangular cholesky slogdet trace softmax log_softmax one_hot
cross_entropy bce_with_logits mse_loss huber_loss cosine_similarity avg_pool2d max_pool2d tensor zeros ones full eye
arange linspace zeros_like ones_like""".split()
ENGINE = """Tensor use backend grad vjp jvp jacobian hessian hvp no_grad checkpoint detect_anomaly primitive random
from_dlpack""".split()
SUBMODULES = "nn distributions check data viz training models recipes".split()
METHODS = [name for name in OPS if callable(getattr(np.ndarray, name, None))]
OTHERS = "T astype item copy flatten ravel all any sort argsort ndim size dtype __len__ __iter__ __contains__".split()
PLAIN = [name for name in METHODS if name not in ("transpose", "reshape", "take", "clip", "repeat", "swapaxes")]


def in_process(code):
    """What ``python -c code`` prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HOUSE)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- light -----------------------------------------------------------------------------------------------------------
def test_import_loads_nothing_heavy():
    loaded = in_process("import minigen, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))").split()
    assert "numpy" in loaded
    assert not set(loaded) & {"matplotlib", "cupy", "cupyx", "scipy", "tqdm", "torch", "PIL"}


def test_import_loads_no_floor_above_the_third():
    loaded = in_process("import minigen, sys; print(*sys.modules)").split()
    assert not {f"minigen.{name}" for name in SUBMODULES} & set(loaded)


def test_optimisers_by_their_short_name():
    assert mg.optim.Adam is mg.training.Adam and mg.optim.SGD is mg.training.SGD


def test_pictures_never_load_pyplot():
    assert in_process("import minigen as mg, sys; mg.viz; print('matplotlib.pyplot' in sys.modules)").strip() == "False"


def test_import_takes_little_longer_than_numpy():
    """At most 0.2 s of CPU time more. The least of five runs each, in turn: a busy machine only makes a run slower."""
    code = "import os; import {}; print(sum(os.times()[:2]))"
    times = [(float(in_process(code.format("minigen"))), float(in_process(code.format("numpy")))) for _ in range(5)]
    ours, numpys = map(min, zip(*times))
    assert ours - numpys <= 0.2


# ---- complete --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", OPS + ENGINE)
def test_mg_has(name):
    assert name in mg.__all__ and getattr(mg, name) is not None


def test_all_names_exist_once():
    assert len(set(mg.__all__)) == len(mg.__all__)
    assert all(hasattr(mg, name) for name in mg.__all__)


@pytest.mark.parametrize("name", SUBMODULES)
def test_submodules_load_when_used(name):
    assert getattr(mg, name) is importlib.import_module(f"minigen.{name}") and name in dir(mg)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'minigen' has no attribute 'nonsense'"):
        mg.nonsense


@pytest.mark.parametrize("name", METHODS + OTHERS)
def test_tensors_have_the_methods_of_arrays(name):
    assert hasattr(np.ndarray, name) and hasattr(mg.Tensor, name)


@pytest.mark.parametrize("name", PLAIN)
def test_a_method_does_what_the_arrays_does(name):
    a = np.arange(1.0, 10.0).reshape(3, 3)
    np.testing.assert_allclose(getattr(mg.tensor(a), name)().numpy(), getattr(a, name)(), rtol=1e-6)


# ---- explained -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MODULES)
def test_every_public_thing_has_a_docstring(name):
    module = importlib.import_module(name)
    bare = [] if inspect.getdoc(module) else [name]
    for key, value in vars(module).items():
        if key.startswith("_") or getattr(value, "__module__", None) != name or not callable(value):
            continue
        bare += [] if value.__doc__ else [f"{name}.{key}"]
        if inspect.isclass(value):
            for method, function in vars(value).items():
                public = inspect.isfunction(function) or isinstance(function, (property, classmethod, staticmethod))
                if public and not method.startswith("_") and not inspect.getdoc(getattr(value, method)):
                    bare.append(f"{name}.{key}.{method}")
    assert not bare, f"without a docstring: {', '.join(bare)}"

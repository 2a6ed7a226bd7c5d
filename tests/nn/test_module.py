"""Module finds what it owns, whatever it is kept in; saves, loads, moves and freezes it."""
import collections
import copy
import functools
import types

import numpy as np
import pytest
from hypothesis import given, strategies as st

import minigen as mg
from minigen import nn

pytestmark = pytest.mark.usefixtures("backend")


def new_parameter(*shape):
    return nn.Parameter(mg.ones(shape))


class Holder(nn.Module):
    """A module with the attributes it is given."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


class Affine(nn.Module):
    def __init__(self, features, rng=0):
        self.scale = nn.Parameter(mg.random.default_rng(rng).standard_normal(features))
        self.calls = nn.Buffer(mg.zeros(()))
        self.shift = new_parameter(features)

    def forward(self, x):
        return x * self.scale + self.shift


def names(module):
    return [name for name, _ in module.named_parameters()]


# ---- finding ---------------------------------------------------------------------------------------------------------
def test_parameters_are_found_in_order_of_assignment_at_any_depth():
    model = Holder(z=new_parameter(1), encoder=[Affine(2), Affine(3)], width=3, nothing=None,
                   heads={"mu": Affine(1), "extra": (new_parameter(4),)}, a=new_parameter(2))
    assert names(model) == ["z", "encoder.0.scale", "encoder.0.shift", "encoder.1.scale", "encoder.1.shift",
                            "heads.mu.scale", "heads.mu.shift", "heads.extra.0", "a"]
    assert [p.shape for p in model.parameters()] == [(1,), (2,), (2,), (3,), (3,), (1,), (1,), (4,), (2,)]
    assert [name for name, _ in model.named_buffers()] == ["encoder.0.calls", "encoder.1.calls", "heads.mu.calls"]
    assert [name for name, _ in model.named_modules()] == ["", "encoder.0", "encoder.1", "heads.mu"]


LEAF = "parameter"


def larger(tree):
    mapping = st.dictionaries(st.sampled_from("abc"), tree, max_size=3)
    sequence = st.lists(tree, max_size=3)
    return sequence | sequence.map(tuple) | mapping | mapping.map(lambda d: Holder(**d))


trees = st.recursive(st.sampled_from([LEAF, 3, "text", None]), larger, max_leaves=12)


def plant(tree, path, planted):
    """The tree with a new Parameter at every LEAF; notes (path, Parameter). Written without looking at Module."""
    if tree == LEAF and isinstance(tree, str):
        planted.append((path, new_parameter(1)))
        return planted[-1][1]
    if isinstance(tree, (list, tuple)):
        return type(tree)(plant(child, [*path, str(i)], planted) for i, child in enumerate(tree))
    if isinstance(tree, dict):
        return {key: plant(child, [*path, key], planted) for key, child in tree.items()}
    if isinstance(tree, nn.Module):
        return Holder(**{key: plant(child, [*path, key], planted) for key, child in vars(tree).items()})
    return tree


@given(trees)
def test_any_nesting_is_walked_as_a_naive_recursion_walks_it(tree):
    planted = []
    model = Holder(top=plant(tree, ["top"], planted))
    found = list(model.named_parameters())
    assert [name for name, _ in found] == [".".join(path) for path, _ in planted]
    assert all(p is q for (_, p), (_, q) in zip(found, planted))


def test_a_shared_parameter_is_yielded_once_under_its_first_name():
    shared, affine = new_parameter(3), Affine(2)
    model = Holder(a=shared, b=[shared], c=affine, d=affine)
    assert names(model) == ["a", "c.scale", "c.shift"]
    assert len(model.state_dict()) == 4
    assert [name for name, _ in model.named_modules()] == ["", "c"]


def test_a_module_that_refers_to_its_parent_is_walked_once():
    child = Affine(2)
    parent = Holder(child=child)
    child.parent = parent
    assert names(parent) == ["child.scale", "child.shift"]


class Config:
    def __init__(self, thing):
        self.thing = thing


class Slotted:
    __slots__ = ("thing",)

    def __init__(self, thing):
        self.thing = thing


class Named(list):
    def __init__(self, thing):
        self.thing = thing


def object_array(thing):
    array = np.empty(2, dtype=object)
    array[1] = thing
    return array


@pytest.mark.parametrize("hide", [
    lambda p: {p}, lambda p: frozenset([p]), lambda p: collections.deque([1, p]), Config, Slotted, Named, object_array,
    lambda p: {p: 1}, lambda p: Config([Config({"k": p})]), lambda p: types.MappingProxyType({"k": p}),
    lambda p: functools.partial(print, p)],
    ids=["set", "frozenset", "deque", "object", "slots", "list's attribute", "object array", "dict key",
         "nested objects", "mapping proxy", "partial"])
@pytest.mark.parametrize("make", [lambda: new_parameter(2), lambda: nn.Buffer(mg.zeros(2)), lambda: Affine(2)])
def test_what_hides_from_the_walk_raises(hide, make):
    model = Holder(first=Affine(1), inner=Holder(stuff=[hide(make())]))
    message = r"^Holder.inner.stuff.0: a (Parameter|Buffer|Affine) is hidden in a .* keep it in an attribute, a list"
    for call in (model.parameters, model.state_dict, model.train, model.zero_grad):
        with pytest.raises(TypeError, match=message):
            call()


def test_the_innermost_hiding_place_is_named():
    with pytest.raises(TypeError, match="Holder.a.b.0: a Parameter is hidden in a set"):
        Holder(a={"b": [{new_parameter(1)}]}).parameters()


def test_a_function_may_keep_a_module_out():
    teacher = Affine(2)
    assert names(Holder(teacher=lambda x: teacher(x))) == []


def test_a_bound_method_of_an_unknown_module_hides_it():
    with pytest.raises(TypeError, match="Holder.function: a Affine is hidden in a method"):
        Holder(function=Affine(2).forward).parameters()


def test_what_is_found_elsewhere_is_not_hidden():
    affine = Affine(2)
    model = Holder(function=affine.forward, everything={affine.scale}, config=Config(affine), affine=affine)
    assert names(model) == ["affine.scale", "affine.shift"]


def test_other_attributes_are_no_hiding_places():
    plain = Holder(number=mg.tensor([1.0], requires_grad=True) * 2, numpy=np.ones(3), rng=mg.random.default_rng(0),
                   f=len, np=np, g=lambda x: x, empty=set(), words=np.array(["a"], dtype=object), c=Config(3))
    assert names(plain) == []


def test_a_parameter_on_the_class_raises():
    with pytest.raises(TypeError, match="Wrong.scale: a Parameter set on the class"):
        type("Wrong", (nn.Module,), {"scale": new_parameter(1)})


def test_two_things_of_one_name_raise():
    model = Holder(block=Holder(**{"a.b": new_parameter(1)}), **{"block.a": {"b": new_parameter(1)}})
    with pytest.raises(ValueError, match="two things are both called 'block.a.b'"):
        model.parameters()


def test_parameters_are_named_by_the_outermost_module():
    model = Holder(encoder=[Affine(2)])
    list(model.encoder[0].parameters())
    assert model.encoder[0].scale.name == "scale"
    list(model.parameters())
    list(model.encoder[0].parameters())
    assert model.encoder[0].scale.name == "encoder.0.scale"


# ---- Parameter and Buffer --------------------------------------------------------------------------------------------
def test_a_parameter_copies_its_values_and_forgets_their_history(backend):
    source = mg.tensor([1.0, 2.0], requires_grad=True)
    parameter, buffer = nn.Parameter(source * 2), nn.Buffer([1, 2])
    assert parameter.is_leaf and parameter.requires_grad and parameter.dtype == np.float32
    assert not buffer.requires_grad and buffer.dtype == np.int64
    values = np.zeros(2)
    kept = nn.Parameter(values)
    values[0] = 1
    assert kept.numpy().tolist() == [0, 0] and kept.dtype == np.float64 and kept.backend.name == backend


def test_an_integer_parameter_is_refused():
    with pytest.raises(TypeError, match=r"Parameter: only floating dtypes can be trained, got int64 \(2,\)"):
        nn.Parameter([1, 2])


# ---- what is done to all ---------------------------------------------------------------------------------------------
def test_train_and_eval_reach_every_module():
    model = Holder(a=[Affine(1)], b={"k": Holder(c=Affine(1))})
    assert model.training and model.eval() is model
    assert not any(m.training for m in model.modules()) and len(list(model.modules())) == 4
    assert all(m.training for m in model.train().modules())


def test_gradients_reach_parameters_and_zero_grad_forgets_them():
    model = Affine(3)
    x = mg.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]])
    model(x).sum().backward()
    np.testing.assert_allclose(model.scale.grad.numpy(), [1, 3, 3])
    np.testing.assert_allclose(model.shift.grad.numpy(), [2, 2, 2])
    assert model.calls.grad is None
    model.zero_grad()
    assert model.scale.grad is None and model.shift.grad is None


def test_frozen_parameters_get_no_gradient():
    model = Holder(a=Affine(2), b=Affine(2))
    model.a.requires_grad_(False)
    model.b(model.a(mg.ones((1, 2)))).sum().backward()
    assert model.a.scale.grad is None and model.b.scale.grad is not None
    assert names(model) == ["a.scale", "a.shift", "b.scale", "b.shift"]
    assert all(p.requires_grad for p in model.requires_grad_().parameters())


def test_apply_visits_each_module_once():
    affine, seen = Affine(1), []
    model = Holder(a=affine, b=[affine])
    assert model.apply(seen.append) is model and seen == [model, affine]


def test_to_moves_everything_in_place_and_back(backend):
    other = "strict" if backend == "numpy" else "numpy"
    model = Holder(affine=Affine(2), mask=mg.ones(3), rows=[mg.zeros(1)])
    scale, before = model.affine.scale, model.state_dict()
    assert model.to(other) is model and model.affine.scale is scale
    assert {t.backend.name for t in (scale, model.affine.calls, model.mask, model.rows[0])} == {other}
    out = model.affine(mg.tensor([1.0, 2.0]).to(other))
    assert out.backend.name == other
    out.sum().backward()
    model.to(backend)
    assert scale.backend.name == backend and scale.grad is None
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_cached_result_stays_where_it_was_computed(backend):
    model = Holder(affine=Affine(2))
    model.cache = model.affine(mg.ones(2))
    model.to("strict" if backend == "numpy" else "numpy").astype("float64")
    assert model.cache.backend.name == backend and model.cache.dtype == np.float32


def test_to_an_unknown_backend_raises():
    with pytest.raises(mg.BackendError, match="did you mean 'numpy'"):
        Affine(1).to("numpi")


def test_astype_converts_floating_tensors_only():
    model = Holder(affine=Affine(2), counts=nn.Buffer([1, 2]))
    model.astype("float64")
    assert model.affine.scale.dtype == model.affine.calls.dtype == np.float64 and model.counts.dtype == np.int64
    with pytest.raises(TypeError, match="a module's tensors are floating, got int32"):
        model.astype("int32")


def test_deepcopy_is_independent_and_keeps_what_is_shared():
    shared = new_parameter(2)
    model = Holder(a=shared, b=[shared], c=Affine(2)).requires_grad_(False)
    list(model.parameters())
    twin = copy.deepcopy(model)
    assert twin.a is twin.b[0] and twin.a is not shared and not twin.a.requires_grad
    assert twin.c.scale.name == "c.scale" and names(twin) == names(model)
    twin.c.scale[...] = 7.0
    assert (model.c.scale.numpy() != 7).all()


def test_deepcopy_stays_on_the_backend_of_the_module(backend):
    model = Affine(2)
    with mg.use("numpy"):
        assert copy.deepcopy(model).scale.backend.name == backend


# ---- saving and loading ----------------------------------------------------------------------------------------------
def test_state_dict_round_trip():
    model, other = Holder(a=[Affine(2, 0)], b=Affine(3, 1)), Holder(a=[Affine(2, 5)], b=Affine(3, 6))
    model.b.calls[...] = 4.0
    state = model.state_dict()
    assert list(state) == ["a.0.scale", "a.0.calls", "a.0.shift", "b.scale", "b.calls", "b.shift"]
    assert all(type(v) is np.ndarray for v in state.values())
    other.load_state_dict(state)
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    state["b.scale"][:] = 0
    assert (model.b.scale.numpy() != 0).all()                                   # the state is a copy


def test_loading_keeps_dtype_backend_and_identity(backend):
    model = Affine(2)
    scale = model.scale
    model.load_state_dict({"scale": np.array([1.5, 2.5]), "calls": 3, "shift": mg.tensor([0.0, 1.0])})
    assert model.scale is scale and scale.dtype == np.float32 and scale.backend.name == backend and scale.requires_grad
    assert scale.numpy().tolist() == [1.5, 2.5] and model.calls.item() == 3


def test_loading_lists_everything_that_is_wrong_and_changes_nothing():
    model = Holder(a=Affine(2), b=Affine(3), n=nn.Buffer([1]))
    before = model.state_dict()
    state = {**before, "a.scale": np.ones((3, 2)), "b.calls": np.ones(1), "extra": np.ones(4), "more": np.ones(()),
             "n": np.ones(1), "a.shift": np.array(["x", "y"]), "b.scale": np.full(3, 9.0)}
    del state["b.shift"], state["a.calls"]
    with pytest.raises(ValueError) as error:
        model.load_state_dict(state)
    assert str(error.value) == (
        "load_state_dict: these values do not fit Holder, which is unchanged; missing: a.calls (), b.shift (3,); "
        "unexpected: extra (4,), more (); misshaped: a.scale (3, 2), which here is (2,), b.calls (1,), which here is "
        "(); of a wrong dtype: a.shift <U1, which here is float32, n float64, which here is int64")
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_loading_counts_as_a_change_that_a_pending_gradient_must_not_use():
    model = Holder(inner=Affine(2))
    list(model.parameters())
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    loss = model.inner(x).sum()
    model.load_state_dict(model.state_dict())
    with pytest.raises(RuntimeError, match="inner.scale.*changed in place"):
        loss.backward()


# ---- showing ---------------------------------------------------------------------------------------------------------
def test_summary_counts_numbers_and_bytes():
    model = Holder(a=Affine(1000), n=nn.Buffer(np.zeros((2, 3), dtype=np.int64)))
    model.a.shift.requires_grad = False
    assert model.summary().splitlines() == [
        "Holder()",
        "name     shape    numbers  bytes",
        "a.scale  (1000,)    1,000  4,000  trained",
        "a.calls  ()             1      4  buffer",
        "a.shift  (1000,)    1,000  4,000  frozen",
        "n        (2, 3)         6     48  buffer",
        "total               2,007  8,052  1,000 trained, 1,000 frozen, 7 buffer"]


def test_repr_shows_every_module_by_name():
    model = Holder(layers=[nn.Linear(2, 3, rng=0), nn.ReLU()])
    assert repr(model) == "Holder()\n  layers.0: Linear(2, 3)\n  layers.1: ReLU()"


def test_generators_are_found():
    model = Holder(a=nn.Dropout(0.5, rng=0), b=[nn.Dropout(0.1, rng=1)])
    assert [name for name, _ in model.named_generators()] == ["a.rng", "b.0.rng"]
    assert model.state_dict() == {}


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Holder: it has no forward"):
        Holder()(1)

r"""`Table`: an exact distribution over a few discrete variables, with the algebra of probability.

A Table holds every number of a joint p(x, y, z): one axis per variable, float64, on the host. Nothing is estimated, so
what holds on a Table holds to rounding (1e-12), and much of the library is tested against it. All of it follows from
two rules,

    p(x)     = Σ_y p(x, y)                              (sum rule: `Table.marginal`)                              (1)
    p(x | y) = p(x, y) / p(y)                           (definition: `Table.given`)                               (2)

and from their consequences,

    p(x, y, z) = p(x) p(y | x) p(z | x, y)              (chain rule: `Table.chain`)                               (3)
    p(z | x)   = p(x | z) p(z) / p(x)                   (Bayes' rule: `Table.bayes`)                              (4)
    x ⊥ y | z  ⇔  p(x, y | z) = p(x | z) p(y | z)       (`Table.independent`)                                     (5)
    p(x₁…x_n)  = Π_i p(x_i | x_{i−1})                   (first-order Markov: `Table.markov`)                      (6)

Sizes tell why structure matters: n binary variables have 2ⁿ − 1 free numbers in a joint, n if they are independent, and
2n − 1 if they form a first-order Markov chain.

    p = Table([[0.1, 0.2], [0.3, 0.4]], "x", "y")
    p.marginal("x")                     # p(x)
    p.given(y=1)                        # p(x | y=1)
    p.given("y")                        # p(x | y), a Table with a conditioning side
    p.given("y") * p.marginal("y")      # the joint again
"""
import numpy as np

from minigen import random
from minigen.tensor import Tensor

__all__ = ["Table", "product"]

TOLERANCE = {8: 1e-9, 4: 1e-5, 2: 1e-2}     # how far from 1 a total may be, by bytes per number


class Table:
    """p(variables | conditions), exact, with one axis per name: first the variables, then the conditions.

    Args:
        probabilities: array-like or Tensor of non-negative numbers; summed over the variables they give 1 (for each
            setting of the conditions, if there are any).
        names: the name of each axis, as separate strings.
        conditions: how many of the last axes are conditions; 0 for a joint.

    Values of a variable are counted from 0. A setting of the conditions that cannot happen (p(y) = 0) has p(x | y) =
    NaN and counts nowhere. Raises ValueError for negative numbers, a wrong total, or names that do not fit.
    """

    def __init__(self, probabilities, *names, conditions=0):
        given = np.asarray(_host(probabilities))
        array = given.astype(np.float64)
        if len(names) != array.ndim or len(set(names)) != len(names) or not all(isinstance(n, str) for n in names):
            raise ValueError(f"Table: wants one distinct name per axis, got {names} for an array {array.shape}")
        if (array < 0).any():
            raise ValueError(f"Table: a probability is negative ({array.min():g}); did you pass log-probabilities? "
                             "Table.normalised(np.exp(...)) takes weights")
        if not 0 <= conditions < max(1, array.ndim):
            raise ValueError(f"Table: of {array.ndim} axes {conditions} are to be conditions; at least one must be "
                             "left for a variable")
        self.variables, self.conditions = names[:array.ndim - conditions], names[array.ndim - conditions:]
        totals = array.sum(axis=tuple(range(len(self.variables))))
        with np.errstate(invalid="ignore"):
            right = np.abs(totals - 1) <= (TOLERANCE[given.itemsize] if given.dtype.kind == "f" else TOLERANCE[8])
        if not (right | (np.isnan(totals) & (conditions > 0))).all():              # NaN: a condition that cannot happen
            raise ValueError(f"Table: {self} must sum to 1 over {', '.join(self.variables)}, got "
                             f"{np.extract(~right, totals)[0]:g}; Table.normalised(...) divides by the sum")
        if given.dtype.kind == "f" and given.itemsize < 8:
            array = array / totals                                 # exact to rounding, whatever precision it came in
        array.flags.writeable = False
        self.probabilities = array

    # ---- ways to make one ----------------------------------------------------------------------------------------
    @classmethod
    def normalised(cls, weights, *names):
        """The joint proportional to non-negative weights; with weights e^{−E} it is the Boltzmann distribution."""
        weights = np.asarray(_host(weights), dtype=np.float64)
        total = weights.sum()
        if not (np.isfinite(total) and total > 0):
            raise ValueError(f"Table.normalised: the weights sum to {total:g}; they must be finite and not all zero")
        return cls(weights / total, *names)

    @classmethod
    def random(cls, rng, **sizes):
        """A joint drawn uniformly from all joints over the named variables: ``Table.random(rng, x=2, y=3)``."""
        u = random.as_generator(rng).random(tuple(sizes.values()), dtype="float64").numpy()
        return cls.normalised(-np.log1p(-u), *sizes)             # normalised exponentials are uniform on the simplex

    @property
    def names(self):
        """The names of all axes: the variables, then the conditions."""
        return self.variables + self.conditions

    @property
    def sizes(self):
        """How many values each variable takes: a dict from name to number."""
        return dict(zip(self.names, self.probabilities.shape))

    # ---- the two rules -------------------------------------------------------------------------------------------
    def marginal(self, *keep):
        """p(keep): sum over all other variables. Eq. (1). Conditions stay."""
        self._known("marginal", keep, self.variables)
        gone = tuple(i for i, name in enumerate(self.variables) if name not in keep)
        left = [name for name in self.names if name in keep or name in self.conditions]
        summed = self.probabilities.sum(axis=gone)
        order = [left.index(name) for name in (*keep, *self.conditions)]
        return Table(np.transpose(summed, order), *keep, *self.conditions, conditions=len(self.conditions))

    def given(self, *names, **values):
        """Condition. Eq. (2). A name gives p(rest | name), a value p(rest | name=value); both can be mixed.

        Raises ValueError for conditioning on something that has probability zero.
        """
        self._known("given", names, self.variables)
        self._known("given", values, self.names)
        fixed = [name for name in values if name in self.variables]
        rest = [name for name in self.variables if name not in names and name not in values]
        if not rest:
            raise ValueError(f"Table.given: no variable would be left of {self}; leave one of them free")
        conditions = [*self.conditions, *names]
        joint = self._axes(*rest, *fixed, *conditions)
        total = joint.sum(axis=tuple(range(len(rest))), keepdims=True)           # p(fixed, names | conditions)
        with np.errstate(invalid="ignore"):
            ratio = joint / total                                                                # Eq. (2); 0/0 is NaN
        left = [*rest, *fixed, *conditions]
        where = tuple(self._value(name, values[name]) if name in values else slice(None) for name in left)
        picked = ratio[where]
        if values and np.isnan(picked).all():
            shown = ", ".join(f"{name}={value}" for name, value in values.items())
            raise ValueError(f"Table.given: {shown} has probability 0, so nothing can be conditioned on it")
        free = [name for name in left if name not in values]
        return Table(picked, *free, conditions=len(free) - len(rest))

    def __mul__(self, other):
        """p(A | B) · p(B | C): the product of two factors that together are a distribution.

        Each variable is on the left of the bar in one factor only, and at most one of the two is conditioned on the
        other's variables. Raises ValueError otherwise.
        """
        if not isinstance(other, Table):
            return NotImplemented
        twice = set(self.variables) & set(other.variables)
        circular = set(self.variables) & set(other.conditions) and set(other.variables) & set(self.conditions)
        if twice or circular:
            why = f"both describe {', '.join(sorted(twice))}" if twice else "each is conditioned on the other"
            raise ValueError(f"Table: the product {self} {other} is no distribution: {why}")
        variables = [*self.variables, *other.variables]
        conditions = [n for n in dict.fromkeys(self.conditions + other.conditions) if n not in variables]
        names = [*variables, *conditions]
        a, b = self._stretched(names), other._stretched(names)
        both = np.where((a == 0) | (b == 0), 0.0, a * b)               # 0 · NaN: what cannot happen weighs nothing
        return Table(both, *names, conditions=len(conditions))

    # ---- what follows from them ----------------------------------------------------------------------------------
    def bayes(self, prior):
        """The posterior p(z | x) from this likelihood p(x | z) and ``prior`` p(z). Eq. (4)."""
        return (self * prior).given(*self.variables)

    def chain(self, *order):
        """The factors p(a), p(b | a), p(c | a, b), … of the chain rule in this order; their product is p. Eq. (3)."""
        return self.markov(*order, order=len(order or self.variables))

    def markov(self, *names, order=1):
        """The factors p(x_i | the ``order`` variables before it). Eq. (6).

        Their `product` is the nearest distribution of that form (in KL from p); it is p itself if p is Markov.
        """
        names = names or self.variables
        before = [names[max(0, i - order):i] for i in range(len(names))]
        return [self.marginal(name, *past).given(*past) for name, past in zip(names, before)]

    def independent(self, *groups, given=(), tolerance=1e-12):
        """Whether the variables are independent given ``given``. Eq. (5).

        Args:
            groups: names, or tuples of names: ``p.independent("x", ("y", "z"), given="w")``.
            given: a name or a tuple of names.
        """
        groups, given = [_tuple(g) for g in groups], _tuple(given)
        everything = [name for group in groups for name in group]
        together, parts = self.marginal(*everything, *given), 1.0
        for group in groups:                       # p(x, z) p(y, z) = p(x, y, z) p(z): Eq. (5) without a division
            parts = parts * together.marginal(*group, *given)._stretched(together.names)
        whole = together.probabilities * together.marginal(*given).probabilities ** (len(groups) - 1)
        return bool(np.abs(parts - whole).max() <= tolerance)

    # ---- numbers -------------------------------------------------------------------------------------------------
    def probability(self, **values):
        """p(values) as a float; variables not mentioned are summed over: ``p.probability(x=1)``."""
        self._known("probability", values, self.names)
        if not set(self.conditions) <= set(values):
            raise ValueError(f"Table.probability: {self} needs a value for each of {', '.join(self.conditions)}")
        part = self.marginal(*[name for name in self.variables if name in values])
        return float(part._axes(*values)[tuple(self._value(name, v) for name, v in values.items())])

    def expectation(self, f):
        """E[f(x, y, …)], where f takes the variables by name, as integer arrays of the Table's shape."""
        self._joint("expectation")
        grids = np.meshgrid(*map(np.arange, self.probabilities.shape), indexing="ij")
        values = np.asarray(f(**dict(zip(self.names, grids))), dtype=np.float64)
        return float(np.sum(np.where(self.probabilities > 0, self.probabilities * values, 0.0)))

    def entropy(self, *names, given=()):
        """H in nats of the named variables (default: all), given others if asked: H(x | z) = H(x, z) − H(z)."""
        self._joint("entropy")
        given = _tuple(given)
        names = names or tuple(n for n in self.variables if n not in given)
        return _entropy(self.marginal(*names, *given)) - (_entropy(self.marginal(*given)) if given else 0.0)

    def mutual_information(self, a, b, given=()):
        """I(a; b | given) = H(a | given) − H(a | b, given), in nats; zero iff independent."""
        return self.entropy(*_tuple(a), given=given) - self.entropy(*_tuple(a), given=_tuple(b) + _tuple(given))

    def kl(self, other):
        """D_KL(p ‖ other) = Σ p log(p / other), in nats; infinite where other is 0 and p is not."""
        self._joint("kl")
        p, q = self.probabilities, self._like(other)
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.sum(np.where(p > 0, p * (np.log(p) - np.log(q)), 0.0)))

    def jsd(self, other):
        """Jensen–Shannon divergence ½ KL(p ‖ m) + ½ KL(other ‖ m), m = ½ (p + other), in nats; at most log 2."""
        middle = Table(0.5 * (self.probabilities + self._like(other)), *self.names)
        return 0.5 * self.kl(middle) + 0.5 * other.kl(middle)

    def difference(self, other):
        """The largest |p − other| over all entries."""
        return float(np.nanmax(np.abs(self.probabilities - self._like(other)), initial=0.0))

    def sample(self, n, *, rng):
        """n draws: a dict from name to an int64 array (n,). Only for a Table without conditions."""
        self._joint("sample")
        u = random.as_generator(rng).random((n,), dtype="float64").numpy()
        cumulative = np.cumsum(self.probabilities.ravel())
        cells = np.searchsorted(cumulative, u * cumulative[-1], side="right")
        return dict(zip(self.variables, np.unravel_index(cells, self.probabilities.shape)))

    # ---- showing -------------------------------------------------------------------------------------------------
    def __str__(self):
        return f"p({', '.join(self.variables)}" + (f" | {', '.join(self.conditions)}" if self.conditions else "") + ")"

    def __repr__(self):
        """The name, and below it a row for each setting of all axes but the last."""
        if self.probabilities.size > 256:
            return f"{self} with {' × '.join(map(str, self.probabilities.shape))} entries"
        *rows, last = self.names
        lines = [[*(f"{n:>4}" for n in rows), *(f"{f'{last}={v}':>8}" for v in range(self.sizes[last]))]]
        for setting in np.ndindex(self.probabilities.shape[:-1]):
            lines.append([*(f"{v:>4}" for v in setting), *(f"{v:8.4f}" for v in self.probabilities[setting])])
        return "\n".join([str(self), *map("  ".join, lines)])

    # ---- axes ----------------------------------------------------------------------------------------------------
    def _known(self, function, names, among):
        unknown = [name for name in names if name not in among]
        if unknown:
            raise ValueError(f"Table.{function}: {self} has no variable {unknown[0]!r}; it has {', '.join(among)}")

    def _joint(self, function):
        if self.conditions:
            raise ValueError(f"Table.{function}: {self} has conditions; fix them first, with "
                             f".given({self.conditions[0]}=...), or multiply by their distribution")

    def _value(self, name, value):
        if not isinstance(value, (int, np.integer)) or not 0 <= value < self.sizes[name]:
            raise ValueError(f"Table: {name} takes the values 0…{self.sizes[name] - 1}, got {value!r}")
        return value

    def _axes(self, *names):
        """The array with its axes in this order."""
        return np.transpose(self.probabilities, [self.names.index(name) for name in names])

    def _stretched(self, names):
        """The array with one axis per name, of length 1 where this Table does not have it."""
        mine = [name for name in names if name in self.names]
        shape = [self.sizes.get(name, 1) for name in names]
        return self._axes(*mine).reshape(shape)

    def _like(self, other):
        """The other's array with its axes in our order."""
        if not isinstance(other, Table) or other.sizes != self.sizes or set(other.variables) != set(self.variables):
            raise ValueError(f"Table: cannot compare {self} {self.sizes} with {other} {getattr(other, 'sizes', '')}; "
                             "they must have the same variables and sizes")
        return other._axes(*self.names)


def product(factors):
    """The product of several Tables, such as the factors of `Table.chain`."""
    first, *rest = factors
    for factor in rest:
        first = factor * first
    return first


def _entropy(table):
    p = table.probabilities
    return float(-np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0)))


def _tuple(names):
    return (names,) if isinstance(names, str) else tuple(names)


def _host(values):
    return values.numpy() if isinstance(values, Tensor) else values

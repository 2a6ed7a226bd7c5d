r"""Special functions, from SciPy or CuPy: the gamma function's family, the normal distribution function, Γ and B
ratios.

With φ(x) = e^{−x²/2} / √(2π),

    Φ(x)      = ∫_{−∞}^x φ(t) dt,                                     Φ′ = φ                                     (1)
    P(a, x)   = ∫_0^x t^{a−1} e^{−t} dt / Γ(a),                       ∂P/∂x = x^{a−1} e^{−x} / Γ(a)               (2)
    I_x(a, b) = ∫_0^x t^{a−1} (1−t)^{b−1} dt / B(a, b),               ∂I/∂x = x^{a−1} (1−x)^{b−1} / B(a, b)       (3)

and the inverse of F has the derivative 1 / F′ at the point that it finds. The derivatives of (2) and (3) in a and b are
no elementary functions; asking for one raises NotImplementedError. """
import math

from minigen.ops.elementwise import exp, log, log1p
from minigen.primitive import primitive

__all__ = ["erf", "lgamma", "digamma", "polygamma", "ndtr", "ndtri", "gammainc", "gammaincinv", "betainc", "betaincinv"]


@primitive
def erf(xp, x):
    """Error function, 2/√π ∫₀ˣ e^(−t²) dt; f′ = 2/√π e^(−x²)."""
    return xp.erf(x)


erf.vjp(lambda g, x: g * (2 / math.sqrt(math.pi) * exp(-x * x)))


# ---- the logarithm of the gamma function -----------------------------------------------------------------------------
@primitive
def lgamma(xp, x):
    """log |Γ(x)|; f′ = digamma(x). +∞ at the poles 0, −1, −2, …"""
    return xp.lgamma(x)


lgamma.vjp(lambda g, x: g * digamma(x))


@primitive
def digamma(xp, x):
    """ψ(x) = Γ′(x) / Γ(x); f′ = ψ⁽¹⁾(x), see `polygamma`. It has poles at 0, −1, −2, …"""
    return xp.polygamma(0, x)


digamma.vjp(lambda g, x: g * polygamma(1, x))


@primitive
def _polygamma(xp, x, *, n):
    return xp.polygamma(n, x * 1.0)       # never an integer result


_polygamma.vjp(lambda g, x, n: g * polygamma(n + 1, x))


def polygamma(n, x):
    """ψ⁽ⁿ⁾(x), the n-th derivative of digamma, for an integer n ≥ 0 and x > 0; f′ = ψ⁽ⁿ⁺¹⁾(x)."""
    if not isinstance(n, int) or n < 0:
        raise ValueError(f"polygamma: n must be an integer ≥ 0, got {n!r}")
    return _polygamma(x, n)


# ---- distribution functions and their inverses -----------------------------------------------------------------------
@primitive
def ndtr(xp, x):
    """Φ(x), the standard normal distribution function, Eq. (1)."""
    return xp.special_function("ndtr")(x)


@primitive
def ndtri(xp, p):
    """Φ⁻¹(p) for p in (0, 1); −∞ at 0 and ∞ at 1."""
    return xp.special_function("ndtri")(p)


def _phi(x):
    return exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


ndtr.vjp(lambda g, x: g * _phi(x))
ndtri.vjp(lambda g, out: g / _phi(out))


@primitive
def gammainc(xp, a, x):
    """P(a, x) for a > 0 and x ≥ 0, the regularised lower incomplete gamma function, Eq. (2)."""
    return xp.special_function("gammainc")(a, x)


@primitive
def gammaincinv(xp, a, p):
    """The x with P(a, x) = p, for a > 0 and p in [0, 1)."""
    return xp.special_function("gammaincinv")(a, p)


def _gamma_slope(a, x):
    """∂P/∂x of Eq. (2)."""
    return exp((a - 1) * log(x) - x - lgamma(a))


gammainc.vjp(lambda g: _refuse("gammainc", "a"), lambda g, a, x: g * _gamma_slope(a, x))
gammaincinv.vjp(lambda g: _refuse("gammaincinv", "a"), lambda g, a, out: g / _gamma_slope(a, out))


@primitive
def betainc(xp, a, b, x):
    """I_x(a, b) for a, b > 0 and x in [0, 1], the regularised incomplete beta function, Eq. (3)."""
    return xp.special_function("betainc")(a, b, x)


@primitive
def betaincinv(xp, a, b, p):
    """The x with I_x(a, b) = p, for a, b > 0 and p in [0, 1]."""
    return xp.special_function("betaincinv")(a, b, p)


def _beta_slope(a, b, x):
    """∂I/∂x of Eq. (3)."""
    return exp((a - 1) * log(x) + (b - 1) * log1p(-x) - lgamma(a) - lgamma(b) + lgamma(a + b))


betainc.vjp(lambda g: _refuse("betainc", "a"), lambda g: _refuse("betainc", "b"),
            lambda g, a, b, x: g * _beta_slope(a, b, x))
betaincinv.vjp(lambda g: _refuse("betaincinv", "a"), lambda g: _refuse("betaincinv", "b"),
               lambda g, a, b, out: g / _beta_slope(a, b, out))


def _refuse(name, parameter):
    raise NotImplementedError(f"{name}: its derivative with respect to {parameter} is no elementary function and is "
                              f"not implemented; detach {parameter}")

// The elementary functions of float, written without branches so that a compiler can do many at a time. A few roundings
// of the result at most; infinities and NaN as in the standard.
#include <string.h>

typedef float real;

static inline real from_bits(int bits) { real x; memcpy(&x, &bits, sizeof x); return x; }
static inline int to_bits(real x) { int bits; memcpy(&bits, &x, sizeof bits); return bits; }
static inline real two_to(int n) { return from_bits((n + 127) << 23); }                 // for −126 ≤ n ≤ 127
static inline real clipped(real x, real low, real high) { x = x < low ? low : x; return x > high ? high : x; }

// x = n ln 2 + r with |r| ≤ ½ ln 2, and eʳ − 1 by its series; ln 2 in two parts, the first with zeros at its end.
static inline real reduced_expm1(real x, int *n) {
    real m = x * 1.44269504f + 12582912.0f;              // 1.5 · 2²³: what is left of x / ln 2 is its nearest integer,
    *n = to_bits(m) - to_bits(12582912.0f);              // in the last bits
    m -= 12582912.0f;
    real r = x - m * 0.693359375f + m * 2.12194440e-4f;
    real p = 1.0f / 5040;
    p = p * r + 1.0f / 720, p = p * r + 1.0f / 120, p = p * r + 1.0f / 24, p = p * r + 1.0f / 6, p = p * r + 0.5f;
    return r + r * r * p;
}

static inline real c_exp(real x) {
    int n;
    real p = 1 + reduced_expm1(clipped(x, -104, 89), &n);
    int half = n >> 1;                                   // in two steps: 2ⁿ alone may be too large or too small
    return p * two_to(half) * two_to(n - half);
}

static inline real c_tanh(real x) {                      // (e²ˣ − 1) / (e²ˣ + 1), with e²ˣ − 1 = 2ⁿ (eʳ − 1) + 2ⁿ − 1
    int n;
    real p = reduced_expm1(2 * clipped(x, -10, 10), &n), s = two_to(n), e = s * p + (s - 1);
    return e / (e + 2);
}

// ln(1 + x) for x ≥ −1. With y = 1 + x rounded and c what it lost, it is ln y + c / y; y = 2ⁿ m with √½ ≤ m < √2, and
// ln m = 2 artanh s with s = (m − 1) / (m + 1), by its series.
static inline real c_log1p(real x) {
    real y = 1 + x, c = x - (y - 1);
    int n = (to_bits(y) - to_bits(0.70710678f)) >> 23;
    real m = from_bits(to_bits(y) - (n << 23)), s = (m - 1) / (m + 1), z = s * s;
    real p = 2.0f / 9;
    p = p * z + 2.0f / 7, p = p * z + 2.0f / 5, p = p * z + 2.0f / 3;
    real log = n * 0.693359375f - (n * 2.12194440e-4f - (2 * s + s * z * p) - c / y);
    log = y > 0 ? log : x < -1 ? __builtin_nanf("") : -__builtin_inff();
    return y < __builtin_inff() ? log : y;               // ∞ and NaN are their own
}

static inline real c_sqrt(real x) { return __builtin_sqrtf(x); }
static inline real c_abs(real x) { return __builtin_fabsf(x); }
static inline real c_maximum(real x, real y) { return x > y || x != x ? x : y; }           // NaN wins, as in NumPy
static inline real c_minimum(real x, real y) { return x < y || x != x ? x : y; }

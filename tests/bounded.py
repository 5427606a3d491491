"""Values with bounds of libcnn's rounding errors.

Each operation is carried out in a wider type than the library's (float64 for float32, long double
for float64), and a bound of the library's rounding error is carried along: a running error analysis
(Higham, "Accuracy and Stability of Numerical Algorithms", 3.3). A `Bounded` is a value with such a
bound. The rules, with u the unit roundoff (2^-24 or 2^-53) and eta the smallest denormal, whose
half is the error of a result that underflows:

    x + y     e_x + e_y, then rounded
    x y       |x| e_y + |y| e_x + e_x e_y, then rounded
    x / y     (e_x + |x / y| e_y) / (|y| - e_y), then rounded
    rounded   u (|z| + e) + eta more; the wide result is rounded too, so u is u + u_wide
    f(x)      the most that f changes within e_x, and so many ULP as section 5 of the design allows

Nothing here is a tolerance that was chosen: all of them follow from the order of operations that
the numerics contract lays down. `assert_within` compares.
"""

import math

import numpy as np

U = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-53}
WIDE = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}
CHUNK = 256
LANES = 16


def unit_wide(dtype) -> float:
    """Return the unit roundoff of the type that the reference computes in."""
    return float(np.finfo(WIDE[np.dtype(dtype)]).eps) / 2


def unit(dtype) -> float:
    """Return what rounding an operation costs, in the library and in the reference together.

    The reference makes the same operations, so its own error obeys the same formula with the
    smaller unit roundoff; where long double is no longer than double it is another u.
    """
    return U[np.dtype(dtype)] + unit_wide(dtype)


def eta(dtype) -> float:
    """Return the smallest denormal."""
    return float(np.finfo(dtype).smallest_subnormal)


def gamma(n, u: float):
    """Return the bound n u / (1 - n u) of the relative error of n roundings (Higham, 3.1)."""
    return n * u / (1 - n * u)


# ---- Values with error bounds ------------------------------------------------------------------


class Bounded:
    """The exact value of an expression, and how far off the library's result may be."""

    __array_ufunc__ = None  # so that ndarray - Bounded comes here

    def __init__(self, value, error=0.0, *, dtype) -> None:
        self.dtype = np.dtype(dtype)
        self.value = np.asarray(value, WIDE[self.dtype])
        self.error = np.broadcast_to(np.asarray(error, np.float64), self.value.shape)

    @property
    def shape(self):
        return self.value.shape

    @property
    def T(self):
        return Bounded(self.value.T, self.error.T, dtype=self.dtype)

    def __getitem__(self, key):
        return Bounded(self.value[key], self.error[key], dtype=self.dtype)

    def like(self, value, error) -> "Bounded":
        return Bounded(value, error, dtype=self.dtype)

    def rounded(self) -> "Bounded":
        """Return the value after one more rounding."""
        size = np.abs(self.value).astype(np.float64) + self.error
        return self.like(self.value, self.error + unit(self.dtype) * size + eta(self.dtype))

    def _other(self, other) -> "Bounded":
        return other if isinstance(other, Bounded) else self.like(other, 0.0)

    def _plus(self, other, sign: int) -> "Bounded":
        other = self._other(other)
        return self.like(self.value + sign * other.value, self.error + other.error)

    def _times(self, other) -> "Bounded":
        other = self._other(other)
        a, b = np.abs(self.value), np.abs(other.value)
        error = a * other.error + b * self.error + self.error * other.error
        return self.like(self.value * other.value, error)

    def __add__(self, other):
        return self._plus(other, 1).rounded()

    __radd__ = __add__

    def __sub__(self, other):
        return self._plus(other, -1).rounded()

    def __rsub__(self, other):
        return self._other(other) - self

    def __mul__(self, other):
        return self._times(other).rounded()

    __rmul__ = __mul__

    def __neg__(self):
        return self.like(-self.value, self.error)

    def __truediv__(self, other):
        other = self._other(other)
        value = self.value / other.value
        error = self.error + np.abs(value) * other.error
        return self.like(value, error / (np.abs(other.value) - other.error)).rounded()

    def sqrt(self):
        """Return the root: |sqrt(x) - sqrt(y)| <= |x - y| / sqrt(x), and no more than its root."""
        root = np.sqrt(self.value)
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.where(self.error > 0, self.error / root, 0.0)
        return self.like(root, np.minimum(far, np.sqrt(self.error))).rounded()

    def off(self, ulp: float):
        """Return the value after a function that is so many ULP off.

        An ULP is at most 2 u |y|, and the smallest denormal where y is one.
        """
        size = np.abs(self.value).astype(np.float64) + self.error
        own = ulp * np.maximum(2 * U[self.dtype] * size, eta(self.dtype))
        return self.like(self.value, self.error + own)


def exact(value, dtype) -> Bounded:
    """Return numbers that the library has exactly."""
    return Bounded(value, 0.0, dtype=dtype)


def constant(value, dtype) -> Bounded:
    """Return a setting in float64, which the library rounds to the type."""
    return exact(value, dtype).rounded()


def fma(a: Bounded, b: Bounded, c: Bounded) -> Bounded:
    """Return a b + c, rounded once; the reference has no fma, and so rounds the product too."""
    product = a._times(b)
    own = unit_wide(a.dtype) * np.abs(product.value).astype(np.float64)
    return a.like(product.value, product.error + own)._plus(c, 1).rounded()


def where(condition, a: Bounded, b: Bounded) -> Bounded:
    """Choose by element."""
    return a.like(np.where(condition, a.value, b.value), np.where(condition, a.error, b.error))


def assert_within(actual, bounded: Bounded, what: str = "") -> None:
    """Assert that a result of the library lies within its bound.

    Bounds are computed in float64 themselves, with fewer than 10^5 roundings.
    """
    actual = np.asarray(actual)
    assert actual.shape == bounded.shape, f"{what}: shape {actual.shape}, not {bounded.shape}"
    off = np.abs(actual.astype(bounded.value.dtype) - bounded.value).astype(np.float64)
    bound = bounded.error * (1 + 1e-10)
    bad = ~(off <= bound)
    if bad.any():
        at = np.unravel_index(int(np.argmax(bad)), bad.shape)
        raise AssertionError(
            f"{what}: {int(bad.sum())} of {bad.size} are out of bounds; at {at} it is "
            f"{actual[at]!r}, should be {bounded.value[at]!r} within {bound[at]:.3g}, is off by "
            f"{off[at]:.3g}"
        )


# ---- Sums (contract, rules 3 and 4) ------------------------------------------------------------


def chain_roundings(k: int) -> int:
    """Return how many roundings a product passes on its way into a sum over k.

    One chain of at most 256 fused multiply-adds, then the additions of the other chunks' sums: the
    u (256 + K / 256) of the design.
    """
    return min(k, CHUNK) + max(0, math.ceil(k / CHUNK) - 1)


def dot(x: Bounded, w: Bounded) -> Bounded:
    """Return x . w for (m, k) and (k, n).

    gamma(256 + K/256) sum |x| |w| by Higham, 3.5; the reference sums its K products in any order
    and so adds gamma(K) of its own. Each product may underflow by eta.
    """
    k = x.shape[1]
    size_x, size_w = np.abs(x.value).astype(np.float64), np.abs(w.value).astype(np.float64)
    error_x, error_w = np.asarray(x.error), np.asarray(w.error)
    rounding = gamma(chain_roundings(k), U[x.dtype]) + gamma(k + 1, unit_wide(x.dtype))
    error = rounding * ((size_x + error_x) @ (size_w + error_w)) + k * eta(x.dtype)
    if error_x.any():
        error += error_x @ (size_w + error_w)
    if error_w.any():
        error += size_x @ error_w
    return x.like(x.value @ w.value, error)


def column_sum(x: Bounded) -> Bounded:
    """Return the sums over rows, as a product with ones."""
    ones = exact(np.ones((1, x.shape[0])), x.dtype)
    return dot(ones, x)[0]


def row_roundings(n: int) -> int:
    """Return how many roundings a term passes in a sum of 16 lanes that are then folded.

    A lane's first term is added to 0, which is exact; then there are ceil(n/16) - 1 additions and
    4 folds.
    """
    return math.ceil(n / LANES) + 3


def row_sum(terms: Bounded) -> Bounded:
    """Return the sums along the last axis: gamma(ceil(N/16) + 3) sum |term|."""
    n = terms.shape[-1]
    size = np.abs(terms.value).astype(np.float64) + terms.error
    rounding = gamma(row_roundings(n), U[terms.dtype]) + gamma(n, unit_wide(terms.dtype))
    error = terms.error.sum(-1) + rounding * size.sum(-1)
    return terms.like(terms.value.sum(-1), error)

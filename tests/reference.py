"""What libcnn computes, computed again: values with error bounds, and a model of the exact bits.

The first part carries out each operation in a wider type than the library's (float64 for float32,
long double for float64) and carries a bound of the library's rounding error along: a running error
analysis (Higham, "Accuracy and Stability of Numerical Algorithms", 3.3). A `Bounded` is a value
with such a bound. The rules, with u the unit roundoff (2^-24 or 2^-53) and eta the smallest
denormal, whose half is the error of a result that underflows:

    x + y     e_x + e_y, then rounded
    x y       |x| e_y + |y| e_x + e_x e_y, then rounded
    x / y     (e_x + |x / y| e_y) / (|y| - e_y), then rounded
    rounded   u (|z| + e) + eta more; the wide result is rounded too, so u is u + u_wide
    f(x)      the most that f changes within e_x, and so many ULP as section 5 of the design allows

Nothing here is a tolerance that was chosen: all of them follow from the order of operations that
the numerics contract lays down. `assert_within` compares.

The second part is a model of what the contract (section 4) says of sums, fused multiply-adds and
random numbers, bit by bit, so that the portable kernels can be held against the contract rather
than against themselves.
"""

import math
from typing import Any, NamedTuple

import numpy as np

U = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-53}
WIDE = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}
CHUNK = 256
LANES = 16

OPTIMIZERS = {
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "adam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    "adamw": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 1e-2},
    "rmsprop": {"alpha": 0.99, "eps": 1e-8},
    "adagrad": {"eps": 1e-10},
}
"""Every optimizer with the settings that the tests use."""


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


# ---- Sums (contract, 4.3 and 4.4) --------------------------------------------------------------


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


# ---- Functions ---------------------------------------------------------------------------------

# ULP in float32 and float64. exp, log, tanh and sigmoid: section 5 of the design; the others are
# given 3 there in float64, and have it in float32 too by csrc/kernels/vmath.h.
ULP = {
    "exp": (1, 1),
    "expm1": (3, 3),
    "log": (1, 1),
    "log1p": (1, 1),
    "tanh": (2, 3),
    "sigmoid": (4, 3),
    "softplus": (3, 3),
    "normal_cdf": (3, 3),
    "normal_pdf": (3, 3),
    # 1 + |x| and the quotient are rounded, and an ULP may be as small as u |y|.
    "softsign": (2, 2),
    # mish / x: exp(-|x|) is off by 1 ULP, or 2 u; p (p + 2 q) hands on at most 4/3 of that and adds
    # 2 u; d and the quotient add 1 u each: 6.7 u.
    "mish_gate": (7, 7),
    # The derivative of that, 4 p q^2 (p + q) / d^2: at most 2.5 of the 2 u of exp, 4 u of products
    # and a sum, 6 u of the two d, and 2 u of the quotients.
    "mish_gate_slope": (17, 17),
}


def _sigmoid(x):
    w = np.exp(-np.abs(x))
    return np.where(x < 0, w, 1) / (1 + w)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _mish_gate(x):
    return np.tanh(_softplus(x))


def _mish_gate_slope(x):
    """(1 - tanh^2(softplus(x))) sigmoid(x), without a difference; w = exp(-|x|)."""
    w = np.exp(-np.abs(x))
    p, q = np.where(x < 0, w, 1), np.where(x < 0, 1, w)
    return 4 * p * q**2 * (p + q) / (p * (p + 2 * q) + 2 * q**2) ** 2


def _softsign(x):
    return x / (1 + np.abs(x))


def _normal_pdf(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * x.dtype.type(math.pi))


def _series(y):
    """Phi(y) - 1/2 for 0 <= y < 2: pdf(y) (y + y^3/3 + y^5/15 + ...)."""
    term, total = y.copy(), y.copy()
    for n in range(1, 60):
        term = term * y * y / (2 * n + 1)
        total = total + term
    return total * _normal_pdf(y)


def _tail(y):
    """Phi(-y) for y >= 2: pdf(y) / (y + 1/(y + 2/(y + 3/(y + ...))))."""
    fraction = y
    for n in range(150, 0, -1):
        fraction = y + n / fraction
    return _normal_pdf(y) / fraction


def _normal_cdf(x):
    """Phi(x), its relative error as in reference_error."""
    y = np.abs(x)
    near = _series(np.minimum(y, 2))
    tail = np.where(y < 2, 0.5 - near, _tail(np.maximum(y, 2)))
    return np.where(x > 0, 1 - tail, tail)


FUNCTIONS = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "normal_cdf": _normal_cdf,
    "mish_gate": _mish_gate,
    "softsign": _softsign,
}


def reference_error(name: str, x, dtype):
    """Return the relative error of the reference's own functions.

    A few ULP of the C library and of the formulas above. exp(-x^2 / 2) has x^2 u_wide, since x^2 is
    rounded. Phi loses a factor of at most 22 where 1/2 - (Phi - 1/2) cancels, below 2; above, an
    error in one of the 150 fractions shrinks by n / fraction^2 from each to the next, which for
    y = 2 sums up to less than 150 of their 2 roundings.
    """
    wide = unit_wide(dtype)
    if name.startswith("normal"):
        square = np.minimum(np.abs(x).astype(np.float64), 50) ** 2
        return (300 + 2 * square) * wide
    return 16 * wide


def apply(name: str, x: Bounded) -> Bounded:
    """Return f(x), f being increasing: the most it changes is at an end of [x - e, x + e]."""
    f = FUNCTIONS[name]
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        y = f(x.value)
        change = 0.0
        if x.error.any():
            change = np.maximum(np.abs(f(x.value + x.error) - y), np.abs(y - f(x.value - x.error)))
    own = reference_error(name, x.value, x.dtype) * np.abs(y).astype(np.float64)
    return x.like(y, change + own).off(ULP[name][x.dtype.itemsize // 8])


def normal_pdf(x: Bounded) -> Bounded:
    """Return the normal density, whose slope is at most 1/4."""
    y = _normal_pdf(x.value)
    own = reference_error("normal_pdf", x.value, x.dtype) * y.astype(np.float64)
    return x.like(y, x.error / 4 + own).off(ULP["normal_pdf"][x.dtype.itemsize // 8])


def mish_gate_slope(x: Bounded) -> Bounded:
    """Return the slope of mish / x, whose own slope is at most 0.19 in size."""
    y = _mish_gate_slope(x.value)
    own = reference_error("mish_gate_slope", x.value, x.dtype) * y.astype(np.float64)
    return x.like(y, 0.19 * x.error + own).off(ULP["mish_gate_slope"][x.dtype.itemsize // 8])


# ---- Activations -------------------------------------------------------------------------------

# The numbers of activations if none is given, and those whose derivative needs the input.
ALPHAS = {"leaky_relu": 0.01, "elu": 1.0}
NEEDS_INPUT = {"silu", "gelu", "mish", "hard_swish", "softsign"}
SELU_SCALE = 1.0507009873554804934193349852946
SELU_PRODUCT = 1.7580993408473768599402175208123  # scale alpha


def _jump(x: Bounded, high: Bounded, low: Bounded) -> Bounded:
    """Return high for x > 0, else low; where the sign of x is not certain, either."""
    chosen = where(x.value > 0, high, low)
    uncertain = (np.abs(x.value) <= x.error) & (x.error > 0)
    return chosen.like(
        chosen.value,
        chosen.error + np.where(uncertain, np.abs(high.value - low.value).astype(np.float64), 0.0),
    )


def _filled(x: Bounded, value: float) -> Bounded:
    return x.like(np.full(x.shape, value), 0.0)


def _kinked(x: Bounded, high: Bounded, low: Bounded, steepest: float = 1.0) -> Bounded:
    """Return `high` for x > 0, else `low`; both are 0 at 0, and nowhere steeper than this."""
    chosen = where(x.value > 0, high, low)
    low_for_sure = x.value <= -x.error
    error = np.where(low_for_sure, low.error, np.maximum(chosen.error, steepest * x.error))
    return chosen.like(chosen.value, error)


def _clipped(x: Bounded, low: float, high: float) -> Bounded:
    inside = (x.value + x.error > low) & (x.value - x.error < high)
    return x.like(np.clip(x.value, low, high), np.where(inside, x.error, 0.0))


def _expm1_below_0(x: Bounded) -> Bounded:
    with np.errstate(over="ignore"):
        return apply("expm1", x.like(np.minimum(x.value, 0), x.error))


def activation(name: str, x: Bounded, alpha: float = 0.0) -> Bounded:
    """Return h(x) of each element, or of rows for softmax; alpha 0 is the default number."""
    number = constant(alpha or ALPHAS.get(name, 0.0), x.dtype)
    if name == "softmax":
        return softmax(x)
    if name == "step":
        return _jump(x, _filled(x, 1.0), _filled(x, 0.0))
    if name == "relu":
        return _kinked(x, x, _filled(x, 0.0))
    if name == "leaky_relu":
        return _kinked(x, x, number * x, max(1.0, float(number.value)))
    if name == "elu":
        low = _expm1_below_0(x)
        low = low if number.value == 1 else number * low
        return _kinked(x, x, low, max(1.0, float(number.value)))
    if name == "selu":
        scale, product = (constant(value, x.dtype) for value in (SELU_SCALE, SELU_PRODUCT))
        return _kinked(x, scale * x, product * _expm1_below_0(x), SELU_PRODUCT)
    if name == "relu6":
        return _clipped(x, 0, 6)
    if name == "hard_sigmoid":
        return _clipped(x + 3, 0, 6) * constant(1 / 6, x.dtype)
    if name == "hard_swish":
        above = _clipped(x, -3, np.inf)
        return above * (_clipped(above + 3, 0, 6) * constant(1 / 6, x.dtype))
    if name == "exponential":
        return apply("exp", x)
    if name == "mish":
        return x * apply("mish_gate", x)
    if name == "silu":
        return x * apply("sigmoid", x)
    if name == "gelu":
        return x * apply("normal_cdf", x)
    if name in FUNCTIONS:
        return apply(name, x)
    return x


def derivative(name: str, source: Bounded, alpha: float = 0.0) -> Bounded:
    """Return h' from the output y, or from the input x for NEEDS_INPUT; as in activation.c."""
    number = constant(alpha or ALPHAS.get(name, 0.0), source.dtype)
    one = _filled(source, 1.0)
    if name == "step":
        return _filled(source, 0.0)
    if name == "sigmoid":
        return source * (1 - source)
    if name == "tanh":
        return fma(-source, source, one)
    if name == "relu":
        return _jump(source, one, _filled(source, 0.0))
    if name == "leaky_relu":
        low = source.like(np.full(source.shape, number.value), number.error)
        return _jump(source, one, low)
    if name == "elu":
        return _kinked_slope(source, one, source + number)
    if name == "selu":
        scale, product = (constant(value, source.dtype) for value in (SELU_SCALE, SELU_PRODUCT))
        return _kinked_slope(source, one * scale, source + product)
    if name == "relu6":
        return _inside(source, 0, 6, one)
    if name == "hard_sigmoid":
        return _inside(source, 0, 1, one * constant(1 / 6, source.dtype))
    if name == "hard_swish":
        inside = fma(_filled(source, 2.0), source, 3 * one) * constant(1 / 6, source.dtype)
        below = _jump(source.like(source.value + 3, source.error), inside, _filled(source, 0.0))
        return _jump(source.like(3 - source.value, source.error), below, one)
    if name == "softsign":
        root = one / (source.like(np.abs(source.value), source.error) + 1)
        return root * root
    if name == "exponential":
        return source
    if name == "mish":
        return fma(source, mish_gate_slope(source), apply("mish_gate", source))
    if name == "softplus":
        return -apply("expm1", -source)
    if name == "silu":
        s = apply("sigmoid", source)
        return s * fma(source, 1 - s, one)
    if name == "gelu":
        return fma(source, normal_pdf(source), apply("normal_cdf", source))
    return one


def _kinked_slope(y: Bounded, high: Bounded, low: Bounded) -> Bounded:
    """Return `high` for y > 0, else `low`; either if the sign of y is not certain."""
    chosen = where(y.value > 0, high, low)
    uncertain = (np.abs(y.value) <= y.error) & (y.error > 0)
    jump = np.where(uncertain, np.abs(high.value - low.value).astype(np.float64) + low.error, 0.0)
    return chosen.like(chosen.value, chosen.error + jump)


def _inside(y: Bounded, low: float, high: float, value: Bounded) -> Bounded:
    """Return `value` for low < y < high, else 0."""
    zero = _filled(y, 0.0)
    above, below = y.like(y.value - low, y.error), y.like(high - y.value, y.error)
    return _jump(above, _jump(below, value, zero), zero)


def activation_backward(name: str, dy: Bounded, source: Bounded, alpha: float = 0.0) -> Bounded:
    """Return dx = dy h'; for softmax y (dy - sum dy y)."""
    if name != "softmax":
        return dy * derivative(name, source, alpha)
    return source * (dy - row_sum(dy * source)[..., None])


def _shifted_exp(x: Bounded) -> tuple[Bounded, Bounded, Bounded]:
    """Return x - max, its exp and the sum of that, along the last axis.

    Softmax does not change with the shift, so the maximum counts as exact; it only decides how
    large the rounded differences are.
    """
    highest = x.value.max(-1, keepdims=True)
    shifted = x - highest
    e = apply("exp", shifted)
    return shifted, e, row_sum(e)


def _log_sum(e: Bounded, total: Bounded) -> Bounded:
    """Return log(sum exp(x - max)) as the losses have it: of a sum below 2, without its 1."""
    plain = apply("log", total)
    rest = apply("log1p", row_sum(where(e.value == 1, e * 0.0, e)))
    small = total.value < 2
    error = np.where(small, rest.error, plain.error)
    near = np.abs(total.value - 2) <= total.error
    error = np.where(near, np.maximum(rest.error, plain.error), error)
    return plain.like(np.where(small, rest.value, plain.value), error)


def softmax(x: Bounded) -> Bounded:
    """Return exp(x - max) / sum exp(x - max) of rows.

    Each exp has the relative error u |x - max| + 2 u, their sum gamma(ceil(N/16) + 3) more, and the
    division u.
    """
    _, e, total = _shifted_exp(x)
    return e / total[..., None]


def log_softmax(x: Bounded) -> Bounded:
    """Return x - max - log(sum exp(x - max)) of rows."""
    shifted, _, total = _shifted_exp(x)
    return shifted - apply("log", total)[..., None]


def softmax_sum_tolerance(n: int, dtype) -> float:
    """Return how far the sum of a row of softmax may be from 1.

    The outputs are e_j / S with S = (1 + d) sum e_j and |d| <= gamma(ceil(N/16) + 3), and each is
    rounded by u: together gamma(ceil(N/16) + 4), which is the (ceil(N/16) + 4) u of issue 2 but for
    terms in u^2. The smallest may underflow.
    """
    return gamma(row_roundings(n) + 1, U[np.dtype(dtype)]) + n * eta(dtype)


# ---- Dense layers ------------------------------------------------------------------------------


def dense(x: Bounded, weight: Bounded, bias: Bounded | None, name: str = "identity") -> Bounded:
    """Return h(x . weight + bias)."""
    z = dot(x, weight)
    return activation(name, z if bias is None else z + bias)


def dense_backward(dy: Bounded, x: Bounded, weight: Bounded) -> tuple[Bounded, Bounded, Bounded]:
    """Return dx (sums over outputs), dweight and dbias (sums over rows)."""
    return dot(dy, weight.T), dot(x.T, dy), column_sum(dy)


# ---- Losses ------------------------------------------------------------------------------------


class LossSettings(NamedTuple):
    """A loss as _core.Loss takes it."""

    kind: str
    labels: bool = False
    delta: float = 1.0
    label_smoothing: float = 0.0
    class_weight: Any = None


def _smoothed(s: LossSettings, t, shape, dtype) -> Bounded:
    """Return target rows of cross_entropy: (1 - s) t + s / k."""
    if s.labels:
        rows = np.zeros(shape)
        rows[np.arange(shape[0]), np.asarray(t).astype(np.int64)] = 1.0
        t = rows
    rest = constant(1 - constant_value(s.label_smoothing, dtype), dtype)
    share = constant(constant_value(s.label_smoothing, dtype), dtype) / float(shape[1])
    return fma(rest, exact(t, dtype), share)


def constant_value(value: float, dtype) -> float:
    """Return a float64 setting as the library sees it, rounded to the type."""
    return float(np.dtype(dtype).type(value))


def _cross_entropy(s: LossSettings, z: Bounded, t) -> tuple[Bounded, Bounded]:
    shifted, e, total = _shifted_exp(z)
    log_p = shifted - _log_sum(e, total)[..., None]
    target = _smoothed(s, t, z.shape, z.dtype)
    terms = where(target.value == 0, _filled(z, 0.0), target * log_p)
    p = e / total[..., None]
    derivative = p * row_sum(target)[..., None] - target
    return -row_sum(terms), derivative


def _huber(s: LossSettings, z: Bounded, t) -> tuple[Bounded, Bounded]:
    r = z - exact(t, z.dtype)
    size = r.like(np.abs(r.value), r.error)
    delta = constant_value(s.delta, z.dtype)
    small = r * 0.5 * r
    large = delta * fma(size, _filled(z, 1.0), _filled(z, -0.5 * delta))
    value = where(size.value <= delta, small, large)
    # Value and slope are continuous, so near delta either form is as far off as its own bound.
    near = np.abs(size.value - delta) <= size.error
    error = np.where(near, np.maximum(small.error, large.error), value.error)
    return row_sum(r.like(value.value, error)), r.like(np.clip(r.value, -delta, delta), r.error)


def loss_rows(s: LossSettings, z: Bounded, t) -> tuple[Bounded, Bounded]:
    """Return the loss of each row, and the derivative of each with respect to its z."""
    if s.kind == "cross_entropy":
        return _cross_entropy(s, z, t)
    if s.kind == "huber":
        return _huber(s, z, t)
    target = exact(np.asarray(t).reshape(z.shape), z.dtype)
    if s.kind == "binary_cross_entropy":
        size = z.like(np.abs(z.value), z.error)
        other = where(z.value > 0, 1 - target, target)
        value = fma(size, other, apply("softplus", -size))
        return row_sum(value), apply("sigmoid", z) - target
    if s.kind == "poisson":
        rate = apply("exp", z)
        return row_sum(fma(-target, z, rate)), rate - target
    r = z - target
    return row_sum(r * 0.5 * r), r


def weighed_targets(s: LossSettings, t, cols: int, dtype):
    """Return the rows of targets that class weights with label smoothing make of labels.

    sum_n u_n ((1 - s) c_label l_label + s/k sum_j c_j l_j) / sum_n u_n c_label with l = -log p:
    PyTorch's CrossEntropyLoss(weight=c, label_smoothing=s), in ATen's cross_entropy_loss_label_
    smoothing. The library computes the rows in float64 and rounds them once.
    """
    c, smoothing = np.asarray(s.class_weight, np.float64), s.label_smoothing
    own = np.where(np.arange(cols) == np.asarray(t).astype(np.int64)[:, None], 1.0, 0.0)
    return (own * ((1 - smoothing) * c) + smoothing / cols * c).astype(dtype)


def row_weights(s: LossSettings, t, rows: int, sample_weight=None):
    """Return sample weight times class weight of each row, in float64."""
    weights = np.ones(rows) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if s.class_weight is not None:
        weights = weights * np.asarray(s.class_weight)[np.asarray(t).astype(np.int64)]
    return weights


def batch_loss(s: LossSettings, z: Bounded, t, sample_weight=None) -> tuple[Bounded, Bounded]:
    """Return the weighted mean of the rows' losses (contract, 4.5), and its gradient.

    Weights, products and sums are float64: gamma(ceil(n/16) + 5) each for the sum of products and
    the sum of weights, and a division. A row's share of the gradient is w / sum w, rounded to the
    type.
    """
    factors = weights = row_weights(s, t, z.shape[0], sample_weight)
    if s.class_weight is not None and s.label_smoothing > 0:
        factors = row_weights(s._replace(class_weight=None), t, z.shape[0], sample_weight)
        t = weighed_targets(s, t, z.shape[1], z.dtype)
        s = LossSettings("cross_entropy")
    values, slope = loss_rows(s, z, t)
    total = math.fsum(weights)
    double = gamma(row_roundings(len(weights)) + 2, 2.0**-53)
    if total == 0:
        return z.like(0.0, 0.0), z.like(np.zeros(z.shape), 0.0)
    share = factors / total
    size = (np.abs(values.value) * share).sum()
    error = (values.error * share).sum() + 2 * double * (size + (values.error * share).sum())
    mean = z.like((values.value * share).sum(), error)
    scale = z.like(share, share * double).rounded()[:, None]
    return mean, slope * scale


# ---- Optimizers --------------------------------------------------------------------------------


def clip_factor(gradients, clip_norm: float) -> float:
    """Return min(1, clip_norm / (norm + 1e-6)), the norm taken over all parameters."""
    norm = math.sqrt(math.fsum(float(g) ** 2 for part in gradients for g in part.ravel()))
    return min(1.0, clip_norm / (norm + 1e-6))


def clipped(g: Bounded, factor: float) -> Bounded:
    """Return the gradient times the factor.

    The factor is a float64. Squares of n numbers are summed in blocks of 16 lanes, so that each
    passes fewer than n/16 + 20 roundings, with the root, the addition and the division; then the
    factor is rounded to the type.
    """
    if factor == 1.0:
        return g
    error = factor * gamma(g.value.size / 16 + 20, 2.0**-53)
    return g * g.like(factor, error).rounded()


def optimizer_step(kind: str, o: dict, lr: float, k: int, g: Bounded, w: Bounded, slots: list):
    """Return the weight and the slots after step number k; formulas at cnn_optimizer in cnn.h.

    Settings are rounded to the type, and every operation counts as one rounding. Adam's
    corrections are float64 and rounded once: m / (sqrt(v) / r + eps) is computed as
    r m / (sqrt(v) + r eps).
    """
    dtype = g.dtype
    rate = constant(lr, dtype)
    if kind == "sgd":
        return fma(-rate, g, w), []
    if kind in ("momentum", "nesterov"):
        momentum = constant(o["momentum"], dtype)
        b = fma(momentum, slots[0], g)
        return fma(-rate, fma(momentum, b, g) if kind == "nesterov" else b, w), [b]
    if kind in ("adam", "adamw"):
        m = fma(constant(1 - o["beta1"], dtype), g - slots[0], slots[0])
        v = fma(constant(1 - o["beta2"], dtype) * g, g, constant(o["beta2"], dtype) * slots[1])
        root = math.sqrt(1 - o["beta2"] ** k)
        size = constant(lr / (1 - o["beta1"] ** k) * root, dtype)
        if kind == "adamw":
            w = w * constant(1 - lr * o["weight_decay"], dtype)
        return fma(-size, m / (v.sqrt() + constant(o["eps"] * root, dtype)), w), [m, v]
    if kind == "rmsprop":
        v = fma(constant(1 - o["alpha"], dtype) * g, g, constant(o["alpha"], dtype) * slots[0])
    else:
        v = fma(g, g, slots[0])
    return fma(-rate, g / (v.sqrt() + constant(o["eps"], dtype)), w), [v]


# ---- Networks ----------------------------------------------------------------------------------


class _Dense(NamedTuple):
    weight: Bounded
    bias: Bounded
    activation: str
    alpha: float
    l2: float
    mask: Any  # of the dropout behind it, with its scale; or None


class Network:
    """A network with the layers and parameters of a _core.Network.

    `masks` are those of its dropout layers, by layer index: arrays of bool (rows, width).
    """

    def __init__(self, network, masks=None) -> None:
        self.dtype = network.dtype
        self.layers: list[_Dense] = []
        for i, (kind, _, _, name, l2, rate, alpha) in enumerate(network.layers):
            if kind == "dense":
                weight, bias = (exact(network.get(i, p), self.dtype) for p in ("weight", "bias"))
                self.layers.append(_Dense(weight, bias, name, alpha, l2, None))
            elif masks is not None:
                scale = constant_value(1 / (1 - rate), self.dtype)
                self.layers[-1] = self.layers[-1]._replace(mask=masks[i] * scale)

    def forward(self, x) -> Bounded:
        """Return the outputs."""
        *_, last = self._run(x)
        return activation(self.layers[-1].activation, last, self.layers[-1].alpha)

    def _run(self, x) -> list[Bounded]:
        """Return what each layer takes in, and at the end z of the last layer."""
        taken = [exact(x, self.dtype)]
        for i, layer in enumerate(self.layers):
            z = dot(taken[-1], layer.weight) + layer.bias
            if i + 1 == len(self.layers):
                return [*taken, z]
            y = activation(layer.activation, z, layer.alpha)
            taken.append(y if layer.mask is None else y * layer.mask)
        return taken

    def penalty(self) -> float:
        """Return the sum of l2/2 sum(weight^2)."""
        return sum(layer.l2 / 2 * float((layer.weight.value**2).sum()) for layer in self.layers)

    def loss(self, s: LossSettings, x, t, sample_weight=None) -> tuple[Bounded, list[Bounded]]:
        """Return the loss with its penalties, and the gradients: weight, bias, weight, ..."""
        *taken, z = self._run(x)
        last = self.layers[-1]
        logits = s.kind in ("cross_entropy", "binary_cross_entropy")
        out = z if logits else activation(last.activation, z, last.alpha)
        value, delta = batch_loss(s, out, t, sample_weight)
        if not logits:
            delta = activation_backward(last.activation, delta, _source(last, z), last.alpha)
        gradients: list[Bounded] = []
        for layer, into in zip(self.layers[::-1], taken[::-1], strict=True):
            dx, dw, db = dense_backward(delta, into, layer.weight)
            if layer.l2 > 0:
                dw = fma(constant(layer.l2, self.dtype), layer.weight, dw)
            gradients = [dw, db, *gradients]
            delta = self._below(len(self.layers) - len(gradients) // 2 - 1, taken, dx)
        penalty = self.penalty()
        # Squares and sums in float64, of at most n/16 + 4 + 3 roundings.
        error = penalty * gamma(sum(g.value.size for g in gradients) / 16 + 10, 2.0**-53)
        return value.like(value.value + penalty, value.error + error), gradients

    def _below(self, l: int, taken: list[Bounded], dx: Bounded) -> Bounded:  # noqa: E741
        """Return the delta of layer l from the gradient of what it hands on."""
        if l < 0:
            return dx
        layer = self.layers[l]
        if layer.mask is not None:
            dx = dx * layer.mask
        z = dot(taken[l], layer.weight) + layer.bias
        return activation_backward(layer.activation, dx, _source(layer, z), layer.alpha)


def _source(layer: _Dense, z: Bounded) -> Bounded:
    """Return what the derivative of a layer's activation is taken from."""
    if layer.activation in NEEDS_INPUT:
        return z
    return activation(layer.activation, z, layer.alpha)


# ---- The exact bits: fused multiply-add --------------------------------------------------------


def _two_sum(a, b):
    """Return a + b rounded, and the exact error of that (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _two_product(a, b):
    """Return a b rounded, and the exact error of that (Dekker), if nothing over- or underflows."""

    def split(x):
        big = x * 134217729.0  # 2^27 + 1
        high = big - (big - x)
        return high, x - high

    product = a * b
    (a1, a0), (b1, b0) = split(a), split(b)
    return product, ((a1 * b1 - product) + a1 * b0 + a0 * b1) + a0 * b0


def _sum_to_odd(a, b):
    """Return a + b rounded to odd: where inexact, to the neighbour whose last bit is 1.

    Rounded once more to two bits less or fewer, that is rounded correctly (Boldo and Melquiond,
    "Emulation of a FMA and correctly rounded sums", 2008).
    """
    total, error = _two_sum(a, b)
    even = total.view(np.int64) % 2 == 0
    toward = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where((error != 0) & even, toward, total)


def exact_fma(a, b, c):
    """Return a b + c rounded once, for arrays of one type with numbers of moderate size.

    float32: the product is exact in float64, and the sum is rounded to odd before it is rounded.
    float64: the theorem of Boldo and Melquiond's figure 6.
    """
    if np.result_type(a, b, c) == np.float32:
        wide = [np.asarray(v, np.float64) for v in (a, b, c)]
        return _sum_to_odd(wide[0] * wide[1], wide[2]).astype(np.float32)
    high, low = _two_product(a, b)
    upper, lower = _two_sum(c, low)
    top, rest = _two_sum(high, upper)
    return top + _sum_to_odd(rest, lower)


# ---- The exact bits: sums ----------------------------------------------------------------------


def exact_dot(x, w):
    """Return x . w as the contract (4.3) defines it."""
    rows, k = x.shape
    total = np.zeros((rows, w.shape[1]), x.dtype)
    for start in range(0, k, CHUNK):
        chain = np.zeros_like(total)
        for i in range(start, min(start + CHUNK, k)):
            chain = exact_fma(x[:, i : i + 1], w[i], chain)
        total = chain if start == 0 else total + chain
    return total


def exact_dense(x, weight, bias):
    """Return x . weight + bias."""
    return exact_dot(x, weight) + bias


def exact_dense_backward(dy, x, weight):
    """Return dx, dweight and dbias; the last as a product with ones."""
    ones = np.ones((1, dy.shape[0]), dy.dtype)
    transposed = np.ascontiguousarray(weight.T), np.ascontiguousarray(x.T)
    return exact_dot(dy, transposed[0]), exact_dot(transposed[1], dy), exact_dot(ones, dy)[0]


def exact_row_sum(terms):
    """Return the sums along the last axis as the contract (4.4) defines them."""
    n = terms.shape[-1]
    lanes = np.zeros((*terms.shape[:-1], LANES), terms.dtype)
    for start in range(0, n, LANES):
        part = terms[..., start : start + LANES]
        lanes[..., : part.shape[-1]] += part
    half = LANES // 2
    while half:
        lanes = lanes[..., :half] + lanes[..., half : 2 * half]
        half //= 2
    return lanes[..., 0]


def exact_mean(values, weights):
    """Return a batch's loss from the losses of its rows (4.5)."""
    weights = np.asarray(weights, np.float64)
    return exact_row_sum(weights * values.astype(np.float64)) / exact_row_sum(weights)


# ---- The exact bits: random numbers ------------------------------------------------------------

_MASK = np.uint64(0xFFFFFFFF)
DROPOUT = 3


def philox(counter, key):
    """Return Philox4x32-10 of arrays of counters (4, n) under a key of two words."""
    c = [np.asarray(word, np.uint64) & _MASK for word in counter]
    k0, k1 = (int(word) for word in key)
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * c[0]
        p1 = np.uint64(0xCD9E8D57) * c[2]
        c = [
            (p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0),
            p1 & _MASK,
            (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1),
            p0 & _MASK,
        ]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.array(c)


def dropout_mask(seed: int, layer: int, step: int, rows: int, cols: int, rate: float):
    """Return which values dropout layer `layer` keeps at a step: a function of these alone.

    Of the words of a row's groups of 64 columns, column j takes word j / 16 of block j % 16.
    """
    key = (seed & 0xFFFFFFFF, seed >> 32)
    stream = philox([[DROPOUT], [layer], [step & 0xFFFFFFFF], [step >> 32]], key)[:2, 0]
    groups = -(-cols // 64)
    blocks = np.arange(rows * groups * 16, dtype=np.uint64)
    zero = np.zeros_like(blocks)
    words = philox([blocks, blocks >> np.uint64(32), zero, zero], stream)
    columns = words.T.reshape(rows, groups, 16, 4).transpose(0, 1, 3, 2).reshape(rows, groups * 64)
    return columns[:, :cols] >= np.uint64(int(rate * 2.0**32))


def dropout_masks(network, step: int, rows: int) -> dict:
    """Return the masks of all dropout layers of a _core.Network at a step."""
    masks = {}
    width = network.inputs
    for i, (kind, _, outputs, _, _, rate, _) in enumerate(network.layers):
        if kind == "dense":
            width = outputs
        else:
            masks[i] = dropout_mask(network.seed, i, step, rows, width, rate)
    return masks

"""What libcnn computes, computed again: activations, losses, layers, networks, optimizer steps.

Each result has the bound of the library's rounding errors that `bounded.py` derives.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from bounded import (
    WIDE,
    Bounded,
    U,
    column_sum,
    constant,
    dot,
    eta,
    exact,
    fma,
    gamma,
    row_roundings,
    row_sum,
    where,
)
from elementary import FUNCTIONS, apply, mish_gate_slope, normal_pdf

from cnn import _core

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


# ---- Activations -------------------------------------------------------------------------------

# The numbers of activations if none is given, and those whose derivative needs the input.
ALPHAS = {"leaky_relu": 0.01, "elu": 1.0}
NEEDS_INPUT = {"silu", "gelu", "gelu_tanh", "mish", "hard_swish", "softsign"}
SELU_SCALE = 1.0507009873554804934193349852946
SELU_PRODUCT = 1.7580993408473768599402175208123  # scale alpha
# sqrt(8 / pi), that times 0.044715, and that times 3.
GELU_TANH_LINEAR = 1.5957691216057307117597842397375
GELU_TANH_CUBIC = 0.0713548162726002487763387522799
GELU_TANH_SLOPE = 0.2140644488178007463290162568396


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


def _gelu_tanh_exponent(x: Bounded) -> Bounded:
    linear, cubic = (constant(v, x.dtype) for v in (GELU_TANH_LINEAR, GELU_TANH_CUBIC))
    return x * fma(cubic, x * x, linear)


def _gelu_tanh_derivative(x: Bounded) -> Bounded:
    """Return s + x s (1 - s) a'(x) for s = sigmoid(a), with w = exp(-|a|)."""
    x = _clipped(x, -1000, 1000)  # further out w is 0
    a, one = _gelu_tanh_exponent(x), _filled(x, 1.0)
    w = apply("exp", a.like(-np.abs(a.value), a.error))
    linear, cubic = (constant(v, x.dtype) for v in (GELU_TANH_LINEAR, GELU_TANH_SLOPE))
    slope = fma(cubic, x * x, linear)
    return fma(x * slope, w / (w + 1), where(a.value < 0, w, one)) / (w + 1)


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
    if name == "gelu_tanh":  # beyond 1000 the sigmoid is 0 or 1
        return x * apply("sigmoid", _gelu_tanh_exponent(_clipped(x, -1000, 1000)))
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
    if name == "gelu_tanh":
        return _gelu_tanh_derivative(source)
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
    quantiles: Any = None


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


def quantiles_of(s: LossSettings, cols: int):
    """Return the levels of quantile, in float64."""
    if s.quantiles is None:
        return np.arange(1, cols + 1) / (cols + 1)
    return np.asarray(s.quantiles, np.float64)


def _slopes(s: LossSettings, z: Bounded) -> tuple[Bounded, Bounded]:
    """Return the size of the derivative of each column for z < t, and for z > t.

    The library rounds q and 1 - q to the type, each by itself.
    """
    if s.kind == "absolute_error":
        one = exact(np.ones(z.shape[-1]), z.dtype)
        return one, one
    q = quantiles_of(s, z.shape[-1]).astype(WIDE[z.dtype])
    return constant(q, z.dtype), constant(1 - q, z.dtype)


def _piecewise_linear(s: LossSettings, z: Bounded, t) -> tuple[Bounded, Bounded]:
    below, above = _slopes(s, z)
    r = z - exact(np.broadcast_to(np.asarray(t).reshape(z.shape[0], -1), z.shape), z.dtype)
    side = where(r.value > 0, above, below)
    value = side * r.like(np.abs(r.value), r.error)
    sign = np.sign(r.value)
    derivative = r.like(side.value * sign, np.where(sign == 0, 0.0, side.error))
    # If z itself is off by more than its distance to t, the library's may be on the other side.
    either = (np.abs(r.value) <= z.error) & (z.error > 0)
    steeper = np.maximum(below.value, above.value)
    own = np.where(either, steeper * (np.abs(r.value) + r.error), 0.0)
    jump = np.where(either, below.value + above.value, 0.0)
    return (
        row_sum(value.like(value.value, value.error + own)),
        derivative.like(derivative.value, derivative.error + jump),
    )


def loss_rows(s: LossSettings, z: Bounded, t) -> tuple[Bounded, Bounded]:
    """Return the loss of each row, and the derivative of each with respect to its z."""
    if s.kind == "cross_entropy":
        return _cross_entropy(s, z, t)
    if s.kind == "huber":
        return _huber(s, z, t)
    if s.kind in ("absolute_error", "quantile"):
        return _piecewise_linear(s, z, t)
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
    """Return the weighted mean of the rows' losses (contract, rule 5), and its gradient.

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

    `masks` are those of its dropout layers, by layer index: arrays of bool (rows, width). A
    standardize layer is left out: inputs are standardized ones.
    """

    def __init__(self, network, masks=None) -> None:
        self.dtype = network.dtype
        self.layers: list[_Dense] = []
        for i, layer in enumerate(network.layers):
            if layer.kind == "dense":
                weight, bias = (exact(network.get(i, p), self.dtype) for p in ("weight", "bias"))
                self.layers.append(
                    _Dense(weight, bias, layer.activation, layer.alpha, layer.l2, None)
                )
            elif masks is not None and layer.kind == "dropout":
                scale = constant_value(1 / (1 - layer.rate), self.dtype)
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
        logits = s.kind in _core.TAKES_LOGITS
        out = z if logits else activation(last.activation, z, last.alpha)
        value, delta = batch_loss(s, out, t, sample_weight)
        if not logits:
            delta = activation_backward(last.activation, delta, _source(last, z), last.alpha)
        gradients, _ = self._back(taken, delta)
        for i, layer in enumerate(self.layers):
            if layer.l2 > 0:
                gradients[2 * i] = fma(
                    constant(layer.l2, self.dtype), layer.weight, gradients[2 * i]
                )
        penalty = self.penalty()
        # Squares and sums in float64, of at most n/16 + 4 + 3 roundings.
        error = penalty * gamma(sum(g.value.size for g in gradients) / 16 + 10, 2.0**-53)
        return value.like(value.value + penalty, value.error + error), gradients

    def derivatives(self, x, dy) -> tuple[Bounded, list[Bounded], Bounded]:
        """Return the outputs, and the gradients of sum(dy * y): of the parameters, and of x."""
        *taken, z = self._run(x)
        last = self.layers[-1]
        delta = activation_backward(
            last.activation, exact(dy, self.dtype), _source(last, z), last.alpha
        )
        return activation(last.activation, z, last.alpha), *self._back(taken, delta)

    def _back(self, taken: list[Bounded], delta: Bounded) -> tuple[list[Bounded], Bounded]:
        """Return the gradients of weight, bias, weight, ... and of x from the last delta."""
        gradients: list[Bounded] = []
        for l in reversed(range(len(self.layers))):  # noqa: E741
            dx, dw, db = dense_backward(delta, taken[l], self.layers[l].weight)
            gradients = [dw, db, *gradients]
            delta = self._below(l - 1, taken, dx)
        return gradients, delta

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

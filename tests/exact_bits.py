"""A model of the exact bits: sums, fused multiply-adds and random numbers.

It is what the numerics contract (docs/internals/numerics.md) says, so that the portable kernels can
be held against the contract rather than against themselves.
"""

import numpy as np
from bounded import CHUNK, LANES

# ---- Fused multiply-add -------------------------------------------------------------------------


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


# ---- Sums ---------------------------------------------------------------------------------------


def exact_dot(x, w):
    """Return x . w as the contract (rule 3) defines it."""
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
    """Return the sums along the last axis as the contract (rule 4) defines them."""
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


# ---- Random numbers -----------------------------------------------------------------------------

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
    for i, layer in enumerate(network.layers):
        if layer.kind == "dense":
            width = layer.outputs
        elif layer.kind == "dropout":
            masks[i] = dropout_mask(network.seed, i, step, rows, width, layer.rate)
    return masks

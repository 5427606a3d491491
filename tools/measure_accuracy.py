"""Measures the accuracy of cnn, NumPy and PyTorch, and writes the tables of docs/accuracy.md.

Run as `python tools/measure_accuracy.py` in a Python that has cnn and SciPy; if it has PyTorch, its
columns are measured too. The exact values are those of tests/reference.py: in float64 for float32,
and in long double for float64. An error in ULP is |y - exact| / ulp(exact), where ulp is the
distance of neighbouring numbers of the type around the exact value. If the exact value overflows,
infinity is right and everything else wrong.
"""

import datetime
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "accuracy.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
sys.path.insert(0, str(ROOT / "tests"))

import reference  # noqa: E402
from accuracy_peers import torch_functions  # noqa: E402
from bounded import exact  # noqa: E402

import cnn  # noqa: E402

Array = NDArray[Any]
Function = Callable[[Array], Array]

U = 2.0**-24
STRIDE, DENSE = 1021, 64
"""Of all float32 every 1021st is measured, and every 64th of those from 2^-8 to 128."""

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

FAR = 2.0**100
"""Inputs up to this size whose results are 0 or at least its inverse count as ordinary."""

ACTIVATIONS = [
    *("exponential", "tanh", "sigmoid", "softplus", "elu", "selu", "silu", "gelu", "gelu_tanh"),
    *("mish", "softsign", "hard_sigmoid", "hard_swish", "leaky_relu"),
]


# ---- Errors --------------------------------------------------------------------------------------


def ulp(value: Array, dtype: Any) -> Array:
    """Return the distance of neighbouring numbers of a type around exact values."""
    info = np.finfo(dtype)
    exponents = np.maximum(np.frexp(value)[1], info.minexp + 1)
    return np.ldexp(np.ones_like(value), exponents - info.nmant - 1)


def in_ulp(y: Array, value: Array) -> Array:
    """Return the errors of results y in ULP of the exact values."""
    most = np.ldexp(np.ones(1, value.dtype), np.finfo(y.dtype).maxexp)[0]
    beyond = np.abs(value) >= most
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(y.astype(value.dtype) - value) / ulp(value, y.dtype)
    error = np.where(beyond, np.where(y == np.copysign(np.inf, value), 0, np.inf), error)
    return np.where(np.isnan(error), np.inf, error).astype(np.float64)


# ---- Inputs --------------------------------------------------------------------------------------


def all_float32(part: int = 1) -> Iterator[Array]:
    """Yield a walk through all finite float32, in blocks, and one where functions curve.

    With `part` only every so-many-th of these.
    """
    yield from _walk(0, 2**31, STRIDE * part)
    low, high = np.array([2**-8, 128], np.float32).view(np.uint32)
    yield from _walk(int(low), int(high), DENSE * part)


def _walk(start: int, stop: int, stride: int) -> Iterator[Array]:
    block = 2**17 * stride
    for first in range(start, stop, block):
        bits = np.arange(first, min(stop, first + block), stride).astype(np.uint32)
        x = bits.view(np.float32)
        x = x[np.isfinite(x)]
        if len(x):
            yield x
            yield -x


def some_float64() -> Iterator[Array]:
    """Yield a million float64: of all exponents, and between -40 and 40."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**64, 2**19, dtype=np.uint64)
    wide = bits.view(np.float64)
    yield wide[np.isfinite(wide)]
    yield rng.uniform(-40, 40, 2**19)


# ---- Functions -----------------------------------------------------------------------------------


def formulas() -> dict[str, Function]:
    """Return the activations as textbooks have them, in NumPy; erf is SciPy's."""
    one, half, root = np.float32(1), np.float32(0.5), np.float32(np.sqrt(0.5))
    alpha, scale = (np.float32(v) for v in (1.6732632423543772, reference.SELU_SCALE))
    cubic, linear = np.float32(0.044715), np.float32(np.sqrt(2 / np.pi))
    found: dict[str, Function] = {
        "exponential": np.exp,
        "tanh": np.tanh,
        "sigmoid": lambda x: one / (one + np.exp(-x)),
        "softplus": lambda x: np.log(one + np.exp(x)),
        "elu": lambda x: np.where(x > 0, x, np.exp(x) - one),
        "selu": lambda x: scale * np.where(x > 0, x, alpha * (np.exp(x) - one)),
        "silu": lambda x: x / (one + np.exp(-x)),
        "gelu": lambda x: half * x * (one + scipy.special.erf(x * root)),
        "gelu_tanh": lambda x: half * x * (one + np.tanh(linear * (x + cubic * x**3))),
        "mish": lambda x: x * np.tanh(np.log(one + np.exp(x))),
        "softsign": lambda x: x / (one + np.abs(x)),
        "hard_sigmoid": lambda x: np.clip(x / np.float32(6) + half, 0, 1),
        "hard_swish": lambda x: x * np.clip(x + np.float32(3), 0, 6) / np.float32(6),
        "leaky_relu": lambda x: np.where(x > 0, x, np.float32(0.01) * x),
    }
    return found


def worst(name: str, functions: list[Function], blocks: Iterator[Array]) -> list[list[float]]:
    """Return the largest error of each function; last, the largest that the tests allow for cnn.

    The first list is of ordinary numbers, by `FAR`, the second of all others.
    """
    found = np.zeros((2, len(functions) + 1))
    for x in blocks:
        with np.errstate(all="ignore"):
            expected = reference.activation(name, exact(x, x.dtype))
            size = np.abs(expected.value)
            errors = [in_ulp(f(x), expected.value) for f in functions]
            allowed = expected.error / ulp(expected.value, x.dtype)
            errors.append(np.where(size < np.finfo(x.dtype).max, allowed, 0))
        ordinary = (np.abs(x) <= FAR) & ((size >= 1 / FAR) | (size == 0))
        for k, error in enumerate(errors):
            for i, mask in enumerate((ordinary, ~ordinary)):
                found[i, k] = max(found[i, k], error[mask].max(initial=0.0))
    return found.tolist()


def rounded_up(value: float) -> str:
    """Return an error as text, never smaller than it is."""
    if value == np.inf:
        return "wrong"
    if value >= 1000:
        return "10" + str(int(np.ceil(np.log10(value)))).translate(SUPERSCRIPTS)
    return f"{np.ceil(100 * value) / 100:.2f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table whose columns after the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def activations() -> tuple[str, str]:
    """Measure the activations; return the tables of ordinary numbers and of others."""
    theirs, torch = formulas(), torch_functions()
    head = ["activation", "cnn", "the tests allow", "NumPy", *(["PyTorch"] if torch else [])]
    near, far = [], []
    for name in ACTIVATIONS:
        functions = [getattr(cnn, name), theirs[name], *([torch[name]] if torch else [])]
        (ours, *others, allowed), (*rest, _) = worst(name, functions, all_float32())
        (double, allowed_double), _ = worst(name, [getattr(cnn, name)], some_float64())
        numbers = [ours, allowed, *others, double, allowed_double]
        near.append([f"`{name}`", *map(rounded_up, numbers)])
        far.append([f"`{name}`", *map(rounded_up, rest)])
        print(*near[-1], *far[-1], flush=True)
    return (
        table([*head, "cnn, float64", "the tests allow"], near),
        table(["activation", "cnn", "NumPy", *(["PyTorch"] if torch else [])], far),
    )


# ---- softmax -------------------------------------------------------------------------------------


def softmax() -> str:
    """Measure softmax: errors of the outputs in ULP, and of their sum in units of 2^-24."""
    rng = np.random.default_rng(0)
    sources: dict[str, Function] = {"cnn": cnn.softmax, "NumPy": _softmax}
    if torch_functions():
        import torch

        sources["PyTorch"] = lambda x: torch.softmax(torch.from_numpy(x), 1).numpy()
    rows = []
    for classes in (10, 1000, 50000):
        z = rng.standard_normal((2_000_000 // classes, classes))
        for what, wide in (("N(0, 1)", z), ("1000 + 10 N(0, 1)", 1000 + 10 * z)):
            x = wide.astype(np.float32)
            expected = reference.softmax(exact(x, x.dtype))
            row = [f"{classes} classes, {what}"]
            for function in sources.values():
                y = function(x)
                away = np.abs(y.astype(np.float64).sum(1) - 1).max() / U
                error = in_ulp(y, expected.value).max()
                row += [rounded_up(error), rounded_up(float(away))]
            rows.append(row)
            print(*row, flush=True)
    head = [column for name in sources for column in (name, "its sum")]
    return table(["rows", *head], rows)


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# ---- Sums ----------------------------------------------------------------------------------------


def sums() -> str:
    """Measure products of matrices: errors in units of 2^-24 sum |x| |w|."""
    rng = np.random.default_rng(0)
    sources: dict[str, Callable[[Array, Array], Array]] = {"cnn": cnn.dense, "NumPy": np.matmul}
    if torch_functions():
        import torch

        sources["PyTorch"] = lambda x, w: (torch.from_numpy(x) @ torch.from_numpy(w)).numpy()
    rows = []
    for k in (64, 784, 4096, 65536):
        for what, draw in (("from 0 to 1", rng.random), ("N(0, 1)", rng.standard_normal)):
            x = np.asarray(draw((64, k))).astype(np.float32)
            w = np.asarray(draw((k, 64))).astype(np.float32)
            wide_x, wide_w = x.astype(np.float64), w.astype(np.float64)
            size = U * (np.abs(wide_x) @ np.abs(wide_w))
            errors = [
                float((np.abs(f(x, w) - wide_x @ wide_w) / size).max()) for f in sources.values()
            ]
            bound = float((reference.dot(exact(x, x.dtype), exact(w, w.dtype)).error / size).max())
            rows.append(
                [f"{k} products, {what}", *map(rounded_up, [errors[0], bound, *errors[1:]])]
            )
            print(*rows[-1], flush=True)
    return table(["sum of", "cnn", "the tests allow", *list(sources)[1:]], rows)


# ---- Gradients -----------------------------------------------------------------------------------


def gradients() -> str:
    """Measure gradients of 64-50-100-10 on the digits, relative to the largest of each array."""
    x, t = cnn.datasets.load_digits(dtype="float64")
    single = cnn.mlp([64, 50, 100, 10], "sigmoid", "softmax", rng=0)
    single.fit(x, t, epochs=2, batch_size=100, optimizer=cnn.Adam(lr=3e-3))
    double = cnn.mlp([64, 50, 100, 10], "sigmoid", "softmax", rng=0, dtype="float64")
    double.set_weights([array.astype(np.float64) for array in single.get_weights()])
    ours, wide = (_flat(net.gradients(x, t)[1]) for net in (single, double))
    rows = [["cnn in float32, against cnn in float64", f"{_apart(ours, wide):.1e}"]]
    if torch_functions():
        import torch

        module = single.to_torch()
        loss = torch.nn.functional.cross_entropy
        # to_torch ends with a softmax, which the loss of PyTorch has of its own.
        logits = module[:-1](torch.from_numpy(x.astype(np.float32)))
        loss(logits, torch.from_numpy(t)).backward()
        found = [p.grad.numpy().T for p in module.parameters()]
        rows.append(["PyTorch in float32, against cnn in float64", f"{_apart(found, wide):.1e}"])
    rows.append(
        ["cnn in float64, against central differences", f"{_differences(double, x, t):.1e}"]
    )
    print(rows)
    return table(["gradients", "largest error"], rows)


def _flat(found: list[Any]) -> list[Array]:
    return [array for gradient in found for array in (gradient.weight, gradient.bias)]


def _apart(actual: list[Array], wide: list[Array]) -> float:
    pairs = zip(actual, wide, strict=True)
    return max(float(np.abs(a - w).max() / np.abs(w).max()) for a, w in pairs)


def _differences(net: cnn.Sequential, x: Array, t: Array) -> float:
    """Return the largest error of 20 derivatives of each array; the step is u^(1/3)."""
    rng, step = np.random.default_rng(0), (2.0**-53) ** (1 / 3)
    wide, weights = _flat(net.gradients(x, t)[1]), net.get_weights()
    most = 0.0
    for k, (array, gradient) in enumerate(zip(weights, wide, strict=True)):
        for flat in rng.choice(array.size, min(20, array.size), replace=False):
            at = np.unravel_index(flat, array.shape)
            losses = []
            for sign in (1, -1):
                moved = [w.copy() for w in weights]
                moved[k][at] += sign * step
                net.set_weights(moved)
                losses.append(net.evaluate(x, t)["loss"])
            slope = (losses[0] - losses[1]) / (2 * step)
            most = max(most, abs(slope - float(gradient[at])) / float(np.abs(gradient).max()))
    net.set_weights(weights)
    return most


# ---- The page ------------------------------------------------------------------------------------


def provenance() -> str:
    """Return when and on what it was measured."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":")[1] for line in info.read_text().splitlines() if "model name" in line
        ]
        cpu = names[0].strip() if names else cpu
    versions = [f"NumPy {np.__version__}", f"SciPy {scipy.__version__}"]
    if torch_functions():
        import torch

        versions.append(f"PyTorch {torch.__version__}")
    return (
        f"Measured on {datetime.date.today():%d %B %Y} with cnn {cnn.__version__}, "
        f"{', '.join(versions)} and Python {platform.python_version()}, on {cpu} "
        f"under {platform.system()}.\n"
    )


def main() -> None:
    """Measure, and replace what stands between the two marks of the page."""
    warnings.simplefilter("error")
    cnn.set_num_threads(1)
    near, far = activations()
    parts = [
        provenance(),
        f"### Activations: largest error in ULP\n\n{near}",
        f"### Activations: far inputs and tiny results\n\n{far}",
        f"### softmax: largest errors\n\n{softmax()}",
        f"### Sums of products: largest error in units of u Σ|x||w|\n\n{sums()}",
        f"### Gradients: relative to the largest of each array\n\n{gradients()}",
    ]
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{chr(10).join(parts)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

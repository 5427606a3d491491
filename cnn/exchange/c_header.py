"""Networks as C headers, which need neither libcnn nor any other file: `Sequential.to_c`."""

from __future__ import annotations

import re
import textwrap
import zlib
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._base import checks, files, formats
from cnn.exchange import _c_formulas
from cnn.exchange._c_table import Table
from cnn.exchange.kinds import refuse_kinds

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from numpy.typing import DTypeLike, NDArray

    from cnn._tables.preprocessing import Preprocessing

# Keywords of C++ too, since C++ may include a header.
_RESERVED = frozenset(
    """alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const
    continue default delete do double else enum explicit export extern false float for friend goto
    if inline int long mutable namespace new not not_eq nullptr operator or or_eq private protected
    public register restrict return short signed sizeof static struct switch template this throw
    true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor
    xor_eq""".split()  # noqa: SIM905  # a list would take a line for each
)

# The parameters of kinds of layers.
_PARAMETERS = {"dense": ("weight", "bias"), "standardize": ("mean", "scale")}

_NUMBERS_IN_LINE = 6

# Columns that a layer computes side by side, with two numbers of stack for each.
_TILE = 64

# Descriptions of the outputs for the comment at the top.
_STRICT = (
    "The bits of y are those that cnn computes (numerics contract, version {numerics}) on every "
    "machine with IEEE arithmetic, rounding to nearest and denormals. Where no instruction "
    "multiplies and adds with one rounding, others do it together, which is slower."
)
_FAST = (
    "Products are summed by plain multiplications and additions, so y may differ from what cnn "
    "computes in the last bits, and from compiler to compiler."
)


def write(
    network: _core.Network,
    path: str | os.PathLike[str],
    *,
    name: str | None,
    dtype: DTypeLike | None,
    fast: bool,
    plan: Preprocessing | None = None,
) -> None:
    """Write a network as a C header; `Sequential.to_c` documents the arguments.

    With `plan`, the columns that its inputs are made of, the header takes rows of a table.
    """
    formats.destination("to_c", checks.path("to_c", path), "a C header")
    wanted = checks.network_dtype("to_c", network.dtype if dtype is None else dtype)
    fast = checks.flag("to_c", "fast", fast)
    refuse_kinds("to_c", network, _PARAMETERS, "C headers")
    chosen = _checked_name(path, name)
    if np.dtype(wanted) != network.dtype:
        network = _converted(network, wanted)
    files.replace(path, _Header(network, chosen, fast=fast, plan=plan).text())


def _checked_name(path: str | os.PathLike[str], name: str | None) -> str:
    if name is None:
        name = Path(path).stem
        source = f"path is {str(path)!r}, whose stem"
    elif not isinstance(name, str):
        raise TypeError(f"to_c: name is of type {type(name).__name__}, should be a string or None")
    else:
        source = f"name is {name!r}, which"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in _RESERVED:
        raise ValueError(
            f"to_c: {source} is not a name in C; give one by name=, of letters, digits and _"
        )
    return name


def _converted(network: _core.Network, dtype: str) -> _core.Network:
    """Return a copy in which each parameter is rounded to another type."""
    made = _core.Network(network.layers, dtype=dtype, seed=network.seed)
    for i, layer in enumerate(network.layers):
        for parameter in _PARAMETERS.get(layer.kind, ()):
            with np.errstate(over="ignore"):  # what becomes infinite is refused below
                values = network.get(i, parameter).astype(dtype)
            if layer.kind == "standardize":
                _check_fixed(parameter, values)
            made.set(i, parameter, values)
    return made


def _check_fixed(parameter: str, values: NDArray[Any]) -> None:
    """Refuse a mean or a scale that another type makes infinite, or 0."""
    bad = np.flatnonzero(~np.isfinite(values) | ((values == 0) & (parameter == "scale")))
    if bad.size:
        raise ValueError(
            f"to_c: the {parameter} of layer 0 becomes {values[bad[0]]} in {values.dtype} at "
            f"[{bad[0]}]"
        )


class _Header:
    """The text of a header: its parts, and the templates that they fill."""

    def __init__(
        self, network: _core.Network, name: str, *, fast: bool, plan: Preprocessing | None
    ) -> None:
        self._network = network
        self._name = name
        self._fast = fast
        self._table = None if plan is None else Table(plan, network, name, fast=fast)
        self._bits = 8 * network.dtype.itemsize
        self._type = "float" if self._bits == 32 else "double"
        self._formulas = _c_formulas.Formulas(self._bits)
        self._dense = [
            (i, layer.inputs, layer.outputs, layer.activation, layer.alpha)
            for i, layer in enumerate(network.layers)
            if layer.kind == "dense"
        ]
        self._standardizes = network.layers[0].kind == "standardize"
        self._common = self._names() | {
            "type": self._type,
            "suffix": "f" if self._bits == 32 else "",
            "SUFFIX": "F" if self._bits == 32 else "",
            "inputs": network.inputs,
            "outputs": network.outputs,
            **(self._table.values if self._table else {}),
        }

    def _names(self) -> dict[str, object]:
        """Return the names that templates use for the header's declarations.

        Headers whose `name` differs, even if only in capitals, have different names, so that one
        file may include both. Internal names contain _cnn.
        """
        name = self._name
        # If net and NET had the same macros, those of the second would be the first's.
        has_capitals = name != name.lower()
        words = ("INPUTS", "OUTPUTS", "COLUMNS")
        macros = {
            w: f"{name}_{w.lower()}" if has_capitals else f"{name}_{w}".upper() for w in words
        }
        return {
            "name": name,
            "NAME": name.upper(),
            "own": f"{name}_cnn",
            "guard": f"CNN_HEADER_{name}_H",
            "tile": _TILE,
            **macros,
        }

    def text(self) -> str:
        arithmetic, layers = self._functions()
        promise = _FAST if self._fast else _STRICT
        shape = [self._network.inputs, *(outputs for _, _, outputs, *_ in self._dense)]
        stack = sum(self._buffers().values()) + 2 * _TILE
        stack += self._table.stack if self._table else 0
        table = self._table
        text = self._filled(
            "header",
            identity="$identity",
            network="forward" if table else "predict",
            table=table.text(self._filled) if table else "",
            table_test=table.test(self._filled) if table else "",
            wrong=f"wrong + {self._name}_cnn_table_test()" if table else "wrong",
            usage=self._filled(
                "usage_table" if table else "usage_network",
                stack=stack * self._bits // 8,
                meaning=table.meaning if table else "",
            ),
            bits=self._bits,
            dtype=self._network.dtype.name,
            version=_core.version(),
            shape="-".join(map(str, shape)),
            promise=textwrap.fill(
                promise.format(numerics=_core.numerics_version()), 96, subsequent_indent=" * "
            ),
            arithmetic=arithmetic,
            layers=layers,
            parameters="\n\n".join(self._parameters()),
            predict="\n".join(self._predict()),
            **self._test(),
        )
        # A checksum by which a header detects another one of the same name. It occurs twice, before
        # all names.
        return text.replace("$identity", f"0x{zlib.crc32(text.encode()):08x}", 2)

    def _filled(self, template: str, **values: object) -> str:
        path = resources.files("cnn.exchange").joinpath("c_templates", f"{template}.h")
        return Template(path.read_text(encoding="utf-8")).substitute(self._common, **values)

    def _functions(self) -> tuple[str, str]:
        """Return the arithmetic that layers need, and the functions of layers."""
        product = "x[k] * weight[k * outputs + j]"
        layers = self._filled(
            "layers",
            multiply_add=f"sum[j] + {product}"
            if self._fast
            else "v_fma(x[k], weight[k * outputs + j], sum[j])",
        )
        if self._standardizes:
            layers += self._filled("standardize")
        for activation, alpha in sorted({(name, alpha) for *_, name, alpha in self._dense}):
            if activation == "softmax":
                layers += self._filled("softmax")
            elif activation != "identity":
                layers += self._filled(
                    "activation",
                    activation=self._function(activation, alpha),
                    statements=self._formulas.of_activation(activation, alpha),
                )
        needed = self._formulas.needed_by(layers)
        parts = [self._renamed(needed)]
        if any("fused(" in text for text in needed):
            soft = self._formulas.needed_by("soft_fma")
            # Its name is none of the formulas', whatever that of the network is.
            parts = [
                self._renamed(soft),
                self._filled("fma").rstrip(),
                self._renamed(text for text in needed if text not in soft),
            ]
        return "\n\n".join(parts), self._renamed([layers]).rstrip()

    def _renamed(self, formulas: Iterable[str]) -> str:
        """Return formulas with the names that they have in this header."""
        text = self._formulas.renamed("\n\n".join(formulas), f"{self._name}_cnn")
        return re.sub(r"\bfused\(", f"{self._name}_fma(", text)

    def _function(self, activation: str, alpha: float) -> str:
        """Return the name of an activation's function, with its first layer if it has a number."""
        if alpha == _core.ALPHAS.get(activation, 0.0):
            return activation
        first = next(
            i for i, *_, name, number in self._dense if (name, number) == (activation, alpha)
        )
        return f"{activation}_{first}"

    def _buffers(self) -> dict[str, int]:
        """Return the sizes of the buffers that hidden layers write to alternately."""
        hidden = [outputs for _, _, outputs, *_ in self._dense[:-1]]
        if self._standardizes:
            hidden.insert(0, self._network.inputs)
        return {name: max(hidden[i::2]) for i, name in enumerate("ab") if hidden[i::2]}

    def _predict(self) -> Iterator[str]:
        for buffer, size in self._buffers().items():
            yield f"    {self._type} {buffer}[{size}];"
        source, name = "x", self._name
        if self._standardizes:
            yield (
                f"    {name}_cnn_standardize({self._network.inputs}, x, {name}_mean_0, "
                f"{name}_scale_0, a);"
            )
            source = "a"
        for number, (i, inputs, outputs, activation, alpha) in enumerate(self._dense):
            last = number + 1 == len(self._dense)
            target = "y" if last else "b" if source == "a" else "a"
            yield (
                f"    {name}_cnn_dense({inputs}, {outputs}, {source}, {name}_weight_{i}, "
                f"{name}_bias_{i}, {target});"
            )
            if activation != "identity":
                function = self._function(activation, alpha)
                yield f"    {self._name}_cnn_{function}({outputs}, {target});"
            source = target

    def _parameters(self) -> Iterator[str]:
        for i, layer in enumerate(self._network.layers):
            for parameter in _PARAMETERS.get(layer.kind, ()):
                weight = parameter == "weight"
                shape = f"{layer.inputs} * {layer.outputs}" if weight else f"{layer.outputs}"
                values = self._network.get(i, parameter)
                if not np.isfinite(values).all():
                    raise ValueError(
                        f"to_c: the {parameter} of layer {i} is not finite in {values.dtype}"
                    )
                yield (
                    f"static const {self._type} {self._name}_{parameter}_{i}[{shape}] = {{\n"
                    f"{self._numbers(values)}}};"
                )

    def _numbers(self, values: NDArray[Any]) -> str:
        return _in_lines(
            [_c_formulas.literal(value, self._bits) for value in values.ravel().tolist()]
        )

    def _test(self) -> dict[str, str]:
        """Return a sample, the bits of its outputs, and the statements that compare them."""
        x = ((37 * np.arange(self._network.inputs) % 101 - 50) / 64).astype(self._network.dtype)
        if self._standardizes:
            x = x * self._network.get(0, "scale") + self._network.get(0, "mean")
        bits = self._network.predict(x).view(f"uint{self._bits}")
        digits = self._bits // 4
        compare = self._filled(
            "compare_fast" if self._fast else "compare_strict",
            bits=self._bits,
            tolerance="1e-4f" if self._bits == 32 else "1e-12",
        )
        return {
            "sample": self._numbers(x),
            "expected": _in_lines([f"0x{value:0{digits}x}" for value in bits.tolist()]),
            "compare": compare.rstrip(),
        }


def _in_lines(numbers: list[str]) -> str:
    """Return numbers as the lines of an initializer."""
    lines = [
        ", ".join(numbers[i : i + _NUMBERS_IN_LINE])
        for i in range(0, len(numbers), _NUMBERS_IN_LINE)
    ]
    return "    " + ",\n    ".join(lines)

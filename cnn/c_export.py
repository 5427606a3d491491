"""Networks as C headers, which need neither libcnn nor any other file: `Sequential.to_c`."""

from __future__ import annotations

import re
import textwrap
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _c_formulas, _core, _files

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from numpy.typing import NDArray

# C++'s words too, since C++ may include a header.
_RESERVED = frozenset(
    """alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const
    continue default delete do double else enum explicit export extern false float for friend goto
    if inline int long mutable namespace new not not_eq nullptr operator or or_eq private protected
    public register restrict return short signed sizeof static struct switch template this throw
    true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor
    xor_eq""".split()  # noqa: SIM905  # a list would take a line for each
)

_NUMBERS_IN_LINE = 6

# What the outputs are, as a comment at the top tells.
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
    dtype: str,
    fast: bool,
) -> None:
    """Write a network as a C header; `Sequential.to_c` documents the arguments."""
    chosen = _checked_name(path, name)
    if np.dtype(dtype) != network.dtype:
        network = _converted(network, dtype)
    _files.replace(path, _Header(network, chosen, fast=fast).text())


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
    for i, (kind, *_) in enumerate(network.layers):
        if kind == "dense":
            for parameter in ("weight", "bias"):
                with np.errstate(over="ignore"):  # what becomes infinite is refused below
                    values = network.get(i, parameter).astype(dtype)
                made.set(i, parameter, values)
    return made


class _Header:
    """The text of a header: its parts, and the templates that they fill."""

    def __init__(self, network: _core.Network, name: str, *, fast: bool) -> None:
        self._network = network
        self._name = name
        self._fast = fast
        self._bits = 8 * network.dtype.itemsize
        self._type = "float" if self._bits == 32 else "double"
        self._formulas = _c_formulas.Formulas(self._bits)
        self._dense = [
            (i, inputs, outputs, activation)
            for i, (kind, inputs, outputs, activation, _, _) in enumerate(network.layers)
            if kind == "dense"
        ]

    def text(self) -> str:
        arithmetic, layers = self._functions()
        promise = _FAST if self._fast else _STRICT
        shape = [self._network.inputs, *(outputs for _, _, outputs, _ in self._dense)]
        return self._filled(
            "header",
            type=self._type,
            bits=self._bits,
            dtype=self._network.dtype.name,
            version=_core.version(),
            inputs=self._network.inputs,
            outputs=self._network.outputs,
            shape="-".join(map(str, shape)),
            stack=sum(self._buffers().values()) * self._bits // 8,
            promise=textwrap.fill(
                promise.format(numerics=_core.numerics_version()), 96, subsequent_indent=" * "
            ),
            arithmetic=arithmetic,
            layers=layers,
            parameters="\n\n".join(self._parameters()),
            predict="\n".join(self._predict()),
            **self._test(),
        )

    def _filled(self, template: str, **values: object) -> str:
        path = resources.files("cnn").joinpath("c_templates", f"{template}.h")
        return Template(path.read_text(encoding="utf-8")).substitute(
            name=self._name, NAME=self._name.upper(), **values
        )

    def _functions(self) -> tuple[str, str]:
        """Return arithmetic that layers need, and the functions of layers."""
        product = "x[k] * weight[k * outputs + j]"
        layers = self._filled(
            "layers",
            multiply_add=f"sum[j] + {product}"
            if self._fast
            else "v_fma(x[k], weight[k * outputs + j], sum[j])",
        )
        for activation in sorted({activation for *_, activation in self._dense}):
            if activation == "softmax":
                layers += self._filled("softmax")
            elif activation != "identity":
                layers += self._filled(
                    "activation",
                    activation=activation,
                    statements=self._formulas.of_activation(activation),
                )
        arithmetic = "\n\n".join(self._formulas.needed_by(layers))
        with_fma = "fma" in arithmetic
        parts = [
            re.sub(r"\bfmaf?\(", f"{self._name}_fma(", self._formulas.renamed(part, self._name))
            for part in (arithmetic, layers)
        ]
        if with_fma:
            parts[0] = self._filled(f"fma_float{self._bits}") + "\n" + parts[0]
        return parts[0], parts[1].rstrip()

    def _buffers(self) -> dict[str, int]:
        """Return the sizes of the buffers in which hidden layers leave their outputs, in turns."""
        hidden = [outputs for _, _, outputs, _ in self._dense[:-1]]
        return {name: max(hidden[i::2]) for i, name in enumerate("ab") if hidden[i::2]}

    def _predict(self) -> Iterator[str]:
        for buffer, size in self._buffers().items():
            yield f"    {self._type} {buffer}[{size}];"
        source = "x"
        for number, (i, inputs, outputs, activation) in enumerate(self._dense):
            last = number + 1 == len(self._dense)
            target = "y" if last else "ab"[number % 2]
            yield (
                f"    {self._name}_dense({inputs}, {outputs}, {source}, {self._name}_weight_{i}, "
                f"{self._name}_bias_{i}, {target});"
            )
            if activation != "identity":
                yield f"    {self._name}_{activation}({outputs}, {target});"
            source = target

    def _parameters(self) -> Iterator[str]:
        for i, inputs, outputs, _ in self._dense:
            for parameter, shape in (("weight", f"{inputs} * {outputs}"), ("bias", f"{outputs}")):
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
        bits = self._network.predict(x).view(f"uint{self._bits}")
        digits = self._bits // 4
        compare = self._filled(
            "compare_fast" if self._fast else "compare_strict",
            type=self._type,
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

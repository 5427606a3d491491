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
from cnn.exchange._c_arithmetic import Arithmetic
from cnn.exchange._c_network import PARAMETERS, TILE, Network, parameters_of
from cnn.exchange._c_raw import RawTable
from cnn.exchange._c_table import Table
from cnn.exchange.kinds import refuse_kinds

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike, NDArray

    from cnn._tables.preprocessing import Preprocessing
    from cnn.exchange.raw import RawModel

# Keywords of C++ too, since C++ may include a header.
_RESERVED = frozenset(
    """alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const
    continue default delete do double else enum explicit export extern false float for friend goto
    if inline int long mutable namespace new not not_eq nullptr operator or or_eq private protected
    public register restrict return short signed sizeof static struct switch template this throw
    true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor
    xor_eq""".split()  # noqa: SIM905  # a list would take a line for each
)

# Names begin with this one, and Microsoft's compiler has the least limit, 2047 characters.
_LONGEST_NAME = 1000

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
    if plan is None:
        _write([network], path, name, dtype, fast=fast, table=None)
    else:

        def table(name: str, networks: Sequence[_core.Network], *, fast: bool) -> Table:
            return Table(plan, networks[0], name, fast=fast)

        _write([network], path, name, dtype, fast=fast, table=table)


def write_raw(
    model: RawModel,
    path: str | os.PathLike[str],
    *,
    name: str | None,
    dtype: DTypeLike | None,
    fast: bool,
) -> None:
    """Write the model of a table as it is; `TabularClassifier.to_c` documents the arguments."""

    def table(name: str, networks: Sequence[_core.Network], *, fast: bool) -> RawTable:
        return RawTable(model, networks, name, fast=fast)

    _write(model.networks, path, name, dtype, fast=fast, table=table)


def _write(
    networks: Sequence[_core.Network],
    path: str | os.PathLike[str],
    name: str | None,
    dtype: DTypeLike | None,
    *,
    fast: bool,
    table: Callable[..., Table | RawTable] | None,
) -> None:
    formats.destination("to_c", checks.path("to_c", path), "a C header")
    own = networks[0].dtype
    wanted = np.dtype(checks.network_dtype("to_c", own if dtype is None else dtype))
    fast = checks.flag("to_c", "fast", fast)
    for network in networks:
        refuse_kinds("to_c", network, PARAMETERS, "C headers")
    chosen = _checked_name(path, name)
    if wanted != own:
        networks = [_converted(network, wanted.name) for network in networks]
    made = None if table is None else table(chosen, networks, fast=fast)
    files.replace(path, _Header(networks, chosen, fast=fast, table=made).text())


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
    if len(name) > _LONGEST_NAME:
        raise ValueError(
            f"to_c: name has {len(name):,} characters, should have at most {_LONGEST_NAME}, since "
            f"compilers limit names"
        )
    return name


def _converted(network: _core.Network, dtype: str) -> _core.Network:
    """Return a copy in which each parameter is rounded to another type."""
    made = _core.Network(network.layers, dtype=dtype, seed=network.seed)
    for i, layer in enumerate(network.layers):
        for parameter in parameters_of(layer):
            with np.errstate(over="ignore"):  # what becomes infinite is refused below
                values = network.get(i, parameter).astype(dtype)
            if parameter in ("mean", "scale"):
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
        self,
        networks: Sequence[_core.Network],
        name: str,
        *,
        fast: bool,
        table: Table | RawTable | None,
    ) -> None:
        self._name = name
        self._fast = fast
        self._table = table
        function = "predict" if table is None else "forward"
        if len(networks) == 1:
            self._networks = [Network(networks[0], name, function)]
        else:
            self._networks = [
                Network(network, name, f"{function}_{i}", f"_{i}")
                for i, network in enumerate(networks)
            ]
        first = networks[0]
        self._bits = 8 * first.dtype.itemsize
        self._type = "float" if self._bits == 32 else "double"
        self._arithmetic = Arithmetic(self._bits, f"{name}_cnn", f"{name}_fma")
        self._common = self._names() | {
            "type": self._type,
            "suffix": "f" if self._bits == 32 else "",
            "SUFFIX": "F" if self._bits == 32 else "",
            "inputs": first.inputs,
            "outputs": first.outputs,
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
            "tile": TILE,
            **macros,
        }

    def text(self) -> str:
        arithmetic, layers = self._functions()
        promise = _FAST if self._fast else _STRICT
        table = self._table
        stack = max(network.stack for network in self._networks)
        stack += table.stack if table else 0
        table_text = table.text(self._filled) if table else ""
        tests, wrong = self._tests()
        text = self._filled(
            "header",
            identity="$identity",
            networks="".join(
                self._filled(
                    "network",
                    network=network.function,
                    statements="\n".join(network.statements(self._function)),
                )
                for network in self._networks
            ),
            table=table_text,
            tests=tests,
            wrong=wrong,
            usage=self._filled(
                table.usage if table else "usage_network",
                stack=stack * self._bits // 8,
                meaning=table.meaning if table else "",
            ),
            bits=self._bits,
            dtype=self._networks[0].network.dtype.name,
            version=_core.version(),
            shape=self._shape(),
            promise=textwrap.fill(
                promise.format(numerics=_core.numerics_version()), 96, subsequent_indent=" * "
            ),
            arithmetic=arithmetic,
            layers=layers,
            parameters="\n\n".join(
                text for network in self._networks for text in network.parameters()
            ),
        )
        # A checksum by which a header detects another one of the same name. It occurs twice, before
        # all names.
        return text.replace("$identity", f"0x{zlib.crc32(text.encode()):08x}", 2)

    def _shape(self) -> str:
        shape = self._networks[0].shape
        count = len(self._networks)
        return shape if count == 1 else f"{shape} and {count - 1} more"

    def _filled(self, template: str, **values: object) -> str:
        path = resources.files("cnn.exchange").joinpath("c_templates", f"{template}.h")
        return Template(path.read_text(encoding="utf-8")).substitute(self._common | values)

    def _functions(self) -> tuple[str, str]:
        """Return the arithmetic that functions need, and the functions of layers."""
        product = "x[k] * weight[k * outputs + j]"
        layers = self._filled(
            "layers",
            multiply_add=f"sum[j] + {product}"
            if self._fast
            else "v_fma(x[k], weight[k * outputs + j], sum[j])",
        )
        layers += self._functions_of_kinds()
        activations = {
            (name, alpha) for network in self._networks for name, alpha, _ in network.activations
        }
        wide = self._table is not None and self._table.is_exponential
        if wide and self._bits == 64:
            activations.add(("exponential", 0.0))
        for activation, alpha in sorted(activations):
            if activation == "softmax":
                layers += self._filled("softmax")
            elif activation != "identity":
                function = self._function(activation, alpha)
                layers += self._activation(self._arithmetic, activation, alpha, function)
        arithmetic = self._arithmetic.text(layers, self._filled)
        functions = self._arithmetic.renamed([layers]).rstrip()
        if wide and self._bits == 32:
            # The only formula in double, beside those of the network.
            own = f"{self._name}_cnn_wide"
            double = Arithmetic(64, own, f"{own}_fused")
            text = self._activation(double, "exponential", 0.0, "exponential", own=own)
            arithmetic += "\n\n" + double.text(text, self._filled)
            functions += "\n\n" + double.renamed([text]).strip()
        return arithmetic, functions

    def _activation(
        self, arithmetic: Arithmetic, activation: str, alpha: float, function: str, **values: object
    ) -> str:
        statements = arithmetic.formulas.of_activation(activation, alpha)
        return self._filled("activation", activation=function, statements=statements, **values)

    def _functions_of_kinds(self) -> str:
        """Return the functions of layers that are not dense."""
        kinds = {kind for network in self._networks for kind in network.kinds}
        found = ""
        if kinds & {"columns", "parametric_activation"}:
            found += self._filled("settle")
        most = max(network.frequencies for network in self._networks)
        for kind, template in (
            ("standardize", "standardize"),
            ("columns", "columns"),
            ("scale", "scale"),
            ("parametric_activation", "blend"),
        ):
            if kind in kinds:
                found += self._filled(template, frequencies=max(most, 1))
        return found

    def _function(self, activation: str, alpha: float) -> str:
        """Return the name of an activation's function, with its first layer if it has a number."""
        if alpha == _core.ALPHAS.get(activation, 0.0):
            return activation
        first = next(
            i
            for network in self._networks
            for name, number, i in network.activations
            if (name, number) == (activation, alpha)
        )
        return f"{activation}_{first}"

    def _tests(self) -> tuple[str, str]:
        """Return the functions of the self-test, and the sum of what they return."""
        compare = self._filled(
            "compare_fast" if self._fast else "compare_strict",
            bits=self._bits,
            result=self._type,
            tolerance="1e-4f" if self._bits == 32 else "1e-12",
        ).rstrip()
        tests = [network.test(self._filled, compare) for network in self._networks]
        called = [f"test_{network.function}" for network in self._networks]
        if self._table:
            tests.insert(0, self._table.test(self._filled))
            called.append("table_test")
        return "".join(tests), " + ".join(f"{self._name}_cnn_{name}()" for name in called)

"""The parts of a C header that belong to one network: parameters, the function that runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnn.exchange._c_formulas import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from cnn import _core

# The parameters of the kinds of layers that headers have; some have only some of them.
PARAMETERS = {
    "dense": ("weight", "bias"),
    "standardize": ("mean", "scale"),
    "columns": ("mean", "scale", "periodic", "embedding"),
    "scale": ("factor",),
    "parametric_activation": ("mix",),
}

# Columns that a dense layer computes side by side, with two numbers of stack for each.
TILE = 64

_NUMBERS_IN_LINE = 6
_COLUMN_KINDS = ("ignored", "number", "periodic", "one_hot", "embedding")
# Rows of a self-test in which each column has, in turn, all that it may have.
_TESTED = 6


def parameters_of(layer: _core.LayerSpec) -> Iterator[str]:
    """Yield the names of the parameters that a layer has."""
    for parameter in PARAMETERS.get(layer.kind, ()):
        size = {"periodic": layer.frequencies, "embedding": layer.embedding_size}
        if size.get(parameter, 1) > 0:
            yield parameter


def in_lines(numbers: list[str]) -> str:
    """Return numbers as the lines of an initializer."""
    lines = [
        ", ".join(numbers[i : i + _NUMBERS_IN_LINE])
        for i in range(0, len(numbers), _NUMBERS_IN_LINE)
    ]
    return "    " + ",\n    ".join(lines)


class _Step(NamedTuple):
    """A call of a layer's function: from a buffer to another one, or in place."""

    i: int
    layer: _core.LayerSpec
    source: str
    target: str
    other: str
    """A buffer that is free meanwhile."""


class Network:
    """A network in a header.

    Parameters
    ----------
    network : _core.Network
        The network, in the header's type.
    name : str
        The prefix of names in the header.
    function : str
        What follows the prefix in the name of the function that runs it, such as "predict".
    member : str
        What follows the prefix and the parameter's name in the names of its parameters, as "_1".
    """

    def __init__(self, network: _core.Network, name: str, function: str, member: str = "") -> None:
        self.network = network
        self.function = function
        self._name = name
        self._member = member
        self._bits = 8 * network.dtype.itemsize
        self._type = "float" if self._bits == 32 else "double"
        self._layers = [
            (i, layer) for i, layer in enumerate(network.layers) if layer.kind != "dropout"
        ]
        self._steps = list(self._found_steps())

    @property
    def kinds(self) -> set[str]:
        """The kinds of its layers."""
        return {layer.kind for _, layer in self._layers}

    @property
    def shape(self) -> str:
        """Its sizes, for the comment at the top."""
        sizes = [layer.outputs for _, layer in self._layers if layer.kind == "dense"]
        return "-".join(map(str, [self.network.inputs, *sizes]))

    @property
    def frequencies(self) -> int:
        """The frequencies of its periodic columns."""
        return self._layers[0][1].frequencies

    @property
    def activations(self) -> list[tuple[str, float, int]]:
        """The activations, their numbers, and the layers that have them."""
        return [
            (layer.activation, layer.alpha, i)
            for i, layer in self._layers
            if layer.kind in ("dense", "parametric_activation")
        ]

    @property
    def stack(self) -> int:
        """The numbers on the stack while it runs."""
        columns = 2 * self.frequencies + 16 if self.frequencies else 0
        return sum(self._buffers().values()) + max(2 * TILE, columns)

    def _found_steps(self) -> Iterator[_Step]:
        source = "x"
        for number, (i, layer) in enumerate(self._layers):
            other = "b" if source == "a" else "a"
            last = number + 1 == len(self._layers)
            in_place = layer.kind == "parametric_activation" or (
                layer.kind == "scale" and source != "x"
            )
            target = "y" if last else source if in_place else other
            yield _Step(i, layer, source, target, other)
            source = target

    def _buffers(self) -> dict[str, int]:
        """Return the sizes of the buffers that layers write to alternately."""
        found: dict[str, int] = {}
        for step in self._steps:
            buffers = [step.target]
            if step.layer.kind == "parametric_activation":
                buffers.append(step.other)
            for buffer in buffers:
                if buffer != "y":
                    found[buffer] = max(found.get(buffer, 0), self._outputs(step.layer))
        return dict(sorted(found.items()))

    @staticmethod
    def _outputs(layer: _core.LayerSpec) -> int:
        return layer.outputs or layer.inputs

    # ---- The function ---------------------------------------------------------------------------

    def statements(self, function: Callable[[str, float], str]) -> Iterator[str]:
        """Yield the statements that run it; `function` names that of an activation."""
        for buffer, size in self._buffers().items():
            yield f"    {self._type} {buffer}[{size}];"
        for step in self._steps:
            for name, *arguments in self._calls(step, function):
                yield self._call(f"    {self._name}_cnn_{name}(", [str(a) for a in arguments])

    @staticmethod
    def _call(begin: str, arguments: list[str]) -> str:
        """Return a call in lines of at most 100 characters."""
        lines = [begin + arguments[0]]
        for argument in arguments[1:]:
            if len(lines[-1]) + len(argument) > 95:
                lines[-1] += ","
                lines.append(" " * 8 + argument)
            else:
                lines[-1] += f", {argument}"
        return "\n".join(lines) + ");"

    def _calls(
        self, step: _Step, function: Callable[[str, float], str]
    ) -> Iterator[tuple[object, ...]]:
        i, layer, source, target, other = step
        width = self._outputs(layer)
        activation = function(layer.activation, layer.alpha)
        own = [self._parameter(i, parameter) for parameter in PARAMETERS[layer.kind]]
        if layer.kind == "standardize":
            yield "standardize", layer.inputs, source, *own, target
        elif layer.kind == "columns":
            has = set(parameters_of(layer))
            given = [
                p if q in has else "NULL" for p, q in zip(own, PARAMETERS["columns"], strict=True)
            ]
            sizes = layer.frequencies, max(layer.periodic_size, 1), layer.embedding_size
            bound = literal(layer.clip, 64)
            places = self._parameter(i, "places")
            yield "features", layer.inputs, places, bound, *sizes, source, *given, target
        elif layer.kind == "scale":
            yield "scale", width, source, *own, target
        elif layer.kind == "parametric_activation":
            yield "copy", width, source, other
            if layer.activation != "identity":
                yield activation, width, other
            yield "blend", width, other, *own, target
        else:
            yield "dense", layer.inputs, width, source, *own, target
            if layer.activation != "identity":
                yield activation, width, target

    # ---- Parameters -----------------------------------------------------------------------------

    def _parameter(self, i: int, parameter: str) -> str:
        return f"{self._name}_{parameter}{self._member}_{i}"

    def parameters(self) -> Iterator[str]:
        """Yield the definitions of its parameters."""
        for i, layer in self._layers:
            if layer.kind == "columns":
                yield self._places(i, layer)
            for parameter in parameters_of(layer):
                values = self.network.get(i, parameter)
                is_matrix = values.ndim == 2
                shape = " * ".join(map(str, values.shape)) if is_matrix else str(values.size)
                if not np.isfinite(values).all():
                    raise ValueError(
                        f"to_c: the {parameter} of layer {i} is not finite in {values.dtype}"
                    )
                numbers = in_lines([literal(v, self._bits) for v in values.ravel().tolist()])
                yield (
                    f"static const {self._type} {self._parameter(i, parameter)}[{shape}] = {{\n"
                    f"{numbers}}};"
                )

    def _places(self, i: int, layer: _core.LayerSpec) -> str:
        """Return what becomes of each column."""
        lines = ",\n".join(
            f"    {{{_COLUMN_KINDS.index(column.kind)}, {int(column.missing)}, "
            f"{column.categories}}}"
            for column in layer.columns
        )
        name = f"{self._name}_cnn_place {self._parameter(i, 'places')}"
        return f"static const {name}[{layer.inputs}] = {{\n{lines}}};"

    # ---- The self-test --------------------------------------------------------------------------

    def test(self, filled: Callable[..., str], compare: str) -> str:
        """Return a C function that runs samples and compares the outputs with those of cnn."""
        x = self._samples()
        return filled(
            "network_test",
            network=self.function,
            bits=self._bits,
            samples=len(x),
            inputs_bits=self._patterns(x),
            expected=self._patterns(self.network.predict(x)),
            compare=compare,
        )

    def _patterns(self, values: NDArray[Any]) -> str:
        digits = self._bits // 4
        rows = np.ascontiguousarray(values).view(f"uint{self._bits}").tolist()
        texts = [in_lines([f"0x{value:0{digits}x}" for value in row]) for row in rows]
        return ",\n".join(f"    {{{text.strip()}}}" for text in texts)

    def _samples(self) -> NDArray[Any]:
        """Return inputs on both sides of 0 or of the means, missing ones and categories too."""
        first = self._layers[0][1]
        places = np.arange(self.network.inputs)
        if first.kind == "columns":
            found = [self._column_samples(first, j) for j in places.tolist()]
            return np.stack(found, axis=1).astype(self.network.dtype)
        x = ((37 * places % 101 - 50) / 64).astype(self.network.dtype)
        if first.kind == "standardize":
            x = x * self.network.get(0, "scale") + self.network.get(0, "mean")
        return x[np.newaxis]

    def _column_samples(self, layer: _core.LayerSpec, j: int) -> NDArray[np.float64]:
        count = layer.columns[j].categories
        if count:
            values = np.array([0, count - 1, np.nan, count, 0.5, count // 2])
        else:
            mean, scale = (float(self.network.get(0, name)[j]) for name in ("mean", "scale"))
            steps = np.array([-50, 37, np.nan, 0, 1, 250]) + 37 * j % 13
            values = np.clip(mean + scale * steps / 32, *self._bounds())
        return np.roll(values, j)

    def _bounds(self) -> tuple[float, float]:
        most = float(np.finfo(self.network.dtype).max)
        return -most, most

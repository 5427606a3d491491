"""Dense networks in ONNX graphs: the values that the output needs, and their evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn.exchange._onnx_nodes import HANDLERS, REASONS, TAIL
from cnn.exchange._onnx_values import MOST_SIZES, Node, Partial, Rows, number
from cnn.exchange.folding import Activated, Affine, Chosen, Product

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnn.exchange._onnx_values import Value
    from cnn.exchange.folding import Step

# Older opsets broadcast by attributes, and their Dropout is active in predictions by default.
_OLDEST_OPSET = 7
# Many nodes may make a layer or a new constant of one shared constant, so a small file could use
# any amount of memory. Constants may take at most this many times the file's size, which allows
# int8 to become float64, and twice that; those of a small file may take a little more.
_MOST_GROWTH = 16
_LEAST_GROWTH = 2**20
# Small types, and the NumPy types that hold their values exactly.
_WIDER = {"float16": np.float32, "bfloat16": np.float32, "int4": np.int8, "uint4": np.uint8}


class Graph:
    """A checked ONNX model of `size` bytes, of which `steps` finds those of a dense network."""

    def __init__(self, onnx: Any, model: Any, size: int) -> None:
        self._onnx = onnx
        self._graph = model.graph
        self._opset = min(
            (o.version for o in model.opset_import if _domain(o.domain) == ""), default=1
        )
        self._own = {(_domain(f.domain), f.name) for f in model.functions}
        self._initializers = {tensor.name: tensor for tensor in self._graph.initializer}
        self._sparse = {tensor.values.name for tensor in self._graph.sparse_initializer}
        # The node that makes each value, and the node's position in the graph.
        self._maker: dict[str, Any] = {}
        self._place: dict[str, int] = {}
        for place, node in enumerate(self._graph.node):
            for name in filter(None, node.output):
                self._maker[name], self._place[name] = node, place
        self._values: dict[str, Value] = {}
        self._made, self._most = 0, max(_LEAST_GROWTH, _MOST_GROWTH * size)

    def steps(self, chosen: str | None) -> list[Step]:
        """Return the steps from the input to the output, or to the value with the chosen name."""
        if self._opset < _OLDEST_OPSET:
            raise ValueError(
                f"from_onnx: the model has opset {self._opset}, should have {_OLDEST_OPSET} or "
                f"more, as onnx.version_converter.convert_version(model, 13) makes it"
            )
        output = self._only_output() if chosen is None else self._named_output(chosen)
        pair = self._pair(output)
        if pair is not None:
            output = str(pair.input[1])
        aside = () if pair is None else (pair.output[0], pair.input[0])
        needed = self._needed(output)
        self._take_input(needed, output, chosen)
        # Parameters may be infinite, so NumPy's warnings are suppressed.
        with np.errstate(all="ignore"):
            for proto in self._graph.node:
                if any(name in needed for name in proto.output):
                    self._evaluate(proto)
                elif (
                    chosen is None
                    and proto.op_type not in (*TAIL, "Constant")
                    and not any(name in aside for name in proto.output)
                ):
                    self._node(proto).refuse(
                        f"is not on the way to the output {output!r}, and makes no labels either"
                    )
        return self._found(output, pair)

    def _found(self, output: str, pair: Any) -> list[Step]:
        found = self._values.get(output)
        maker = self._maker.get(output)
        if maker is None:
            raise ValueError(f"from_onnx: output {output!r} is not made by a dense layer")
        steps = found.steps() if isinstance(found, Rows) else []
        if not any(isinstance(step, Product) for step in steps):
            self._node(maker).refuse(
                "is not the end of a dense network, should be a dense layer or its activation"
            )
        made: list[Step] = []
        for step in steps:
            if isinstance(step, Partial):
                raise ValueError(f"from_onnx: {step.name} is a part of no activation that cnn has")
            made.append(step)
        if pair is not None:
            last = made[-1]
            is_sigmoid = isinstance(last, Activated) and last.activation == "sigmoid"
            if not is_sigmoid or not isinstance(found, Rows) or found.width != 1:
                self._node(pair).refuse("joins 1 - p and p, but p is not one sigmoid output")
        return made

    # ---- Which values ------------------------------------------------------------------------

    def _named_output(self, name: str) -> str:
        """Return the value with a name, or the values of a ZipMap of that name."""
        if name not in self._maker:
            names = ", ".join(repr(output.name) for output in self._graph.output)
            raise ValueError(
                f"from_onnx: outputs is {name!r}, should be an output of the model, {names}, or "
                f"the name of another value in it"
            )
        zipmap = self._made_by("ZipMap", name, "ai.onnx.ml")
        return name if zipmap is None else str(zipmap.input[0])

    def _only_output(self) -> str:
        """Return the output with the probabilities; others may have labels."""
        types = self._onnx.TensorProto
        labels = (types.BOOL, types.INT32, types.INT64, types.STRING)
        numbers = []
        for output in self._graph.output:
            # Maps of probabilities are made of a tensor of them.
            zipmap = self._made_by("ZipMap", output.name, "ai.onnx.ml")
            if zipmap is not None:
                numbers.append(zipmap.input[0])
            elif not output.type.HasField("tensor_type"):
                raise ValueError(f"from_onnx: output {output.name!r} is no tensor, should be one")
            elif output.type.tensor_type.elem_type not in labels:
                numbers.append(output.name)
        if not numbers and len(self._graph.output) == 1:
            numbers = self._scores(self._graph.output[0].name)
        if len(numbers) != 1:
            names = ", ".join(repr(output.name) for output in self._graph.output)
            raise ValueError(
                f"from_onnx: {len(numbers)} of the outputs {names} hold numbers, should be 1, "
                f"beside which there may be labels; outputs= chooses one by its name"
            )
        return str(numbers[0])

    def _scores(self, output: str) -> list[str]:
        """Return the values whose largest an output of labels is, if it is made so."""
        name, found = output, False
        while True:
            maker = self._maker.get(name)
            if maker is None or maker.op_type not in TAIL or not maker.input:
                return [name] if found else []
            found = found or maker.op_type == "ArgMax"
            # The labels themselves come first, then the index.
            name = maker.input[maker.op_type == "ArrayFeatureExtractor"]

    def _pair(self, output: str) -> Any:
        """Return the Concat node if an output is Concat(1 - p, p), as for two classes, or None."""
        concat = self._made_by("Concat", output)
        if concat is None or len(concat.input) != 2:
            return None
        complement = self._made_by("Sub", concat.input[0])
        if complement is None:
            return None
        same = complement.input[1] == concat.input[1]
        is_one = number(self._constant(complement.input[0])) == 1
        along_rows = self._node(concat).get("axis", 0) in (-1, 1)
        return concat if same and is_one and along_rows else None

    def _made_by(self, op: str, name: str, domain: str = "") -> Any:
        """Return the node that makes a value if it is this operation, or None."""
        maker = self._maker.get(name)
        if maker is None or (_domain(maker.domain), maker.op_type) != (domain, op):
            return None
        return maker

    def _needed(self, output: str) -> set[str]:
        needed: set[str] = set()
        seen: set[int] = set()
        waiting = [output]
        while waiting:
            name = waiting.pop()
            if name and name not in needed:
                needed.add(name)
                # The inputs of a node once, however many of its outputs are needed.
                maker = self._place.get(name)
                if maker is not None and maker not in seen:
                    seen.add(maker)
                    waiting.extend(self._maker[name].input)
        return needed

    def _take_input(self, needed: set[str], output: str, chosen: str | None) -> None:
        inputs = [i for i in self._graph.input if i.name not in self._initializers]
        if chosen is not None:
            inputs = [i for i in inputs if i.name in needed] or inputs
        names = ", ".join(repr(i.name) for i in inputs) or "none"
        if len(inputs) != 1:
            raise ValueError(
                f"from_onnx: the inputs are {names}, should be one, with a sample in each row"
            )
        if inputs[0].name not in needed:
            raise ValueError(f"from_onnx: output {output!r} does not depend on the input {names}")
        shape = None
        tensor = inputs[0].type.tensor_type
        if tensor.HasField("shape"):
            if len(tensor.shape.dim) > MOST_SIZES:
                raise ValueError(
                    f"from_onnx: input {names} has {len(tensor.shape.dim)} dimensions, should have "
                    f"2: rows and columns"
                )
            shape = tuple(
                d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None
                for d in tensor.shape.dim
            )
        self._values[inputs[0].name] = Rows(shape)

    # ---- Constants -----------------------------------------------------------------------------

    def _constant(self, name: str) -> NDArray[Any] | None:
        """Return the array of an initializer or a Constant node; None if the value is neither."""
        if name in self._initializers:
            return self._array(f"tensor {name!r}", self._initializers[name])
        maker = self._made_by("Constant", name)
        if maker is None:
            return None
        node = self._node(maker)
        for attribute, dtype in (
            ("value_float", np.float32),
            ("value_floats", np.float32),
            ("value_int", np.int64),
            ("value_ints", np.int64),
        ):
            if node.get(attribute, None) is not None:
                return np.asarray(node.get(attribute, None), dtype)
        array = node.array("value")
        if array is None:
            node.refuse("has no tensor of numbers")
        return array

    def _array(self, what: str, tensor: Any) -> NDArray[Any]:
        try:
            if any(size < 0 for size in tensor.dims):
                raise ValueError(f"its shape is {tuple(tensor.dims)}")
            array: NDArray[Any] = self._onnx.numpy_helper.to_array(tensor)
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise _core.ModelFileError(
                f"from_onnx: the file is not a good model: {what} cannot be read: {error}"
            ) from error
        wider = _WIDER.get(array.dtype.name)
        return array if wider is None else array.astype(wider)

    # ---- Nodes ---------------------------------------------------------------------------------

    def _node(self, proto: Any) -> Node:
        return Node(self._onnx, proto, _domain(proto.domain), self._opset, self._array)

    def _value(self, node: Node, name: str) -> Value:
        if not name:
            return None  # an input that may be left out
        if name not in self._values:
            constant = self._constant(name)
            if constant is None and name in self._sparse:
                node.refuse(f"takes the sparse tensor {name!r}, should be a dense one")
            if constant is None:
                node.refuse(f"takes {name!r}, which is neither a value of a row nor a constant")
            self._values[name] = constant
        return self._values[name]

    def _evaluate(self, proto: Any) -> None:
        """Evaluate a node, and keep its values by their names."""
        node = self._node(proto)
        if node.op == "Constant" and node.domain == "":
            self._value(node, proto.output[0])
            return
        name = node.op if node.domain == "" else f"{node.domain}:{node.op}"
        handler = HANDLERS.get(name)
        if handler is None or (node.domain, node.op) in self._own:
            where = f" of domain {node.domain}" if node.domain else ""
            reason = f": {REASONS[name]}" if name in REASONS else ""
            node.refuse(
                f"is an operation{where} that cnn does not have{reason}; supported are "
                f"{', '.join(sorted(('Constant', *HANDLERS)))}"
            )
        inputs = [self._value(node, name) for name in proto.input]
        made = handler(node, inputs)
        values = made if isinstance(made, tuple) else (made,)
        self._made += sum(_bytes_made(value, inputs) for value in values)
        if self._made > self._most:
            node.refuse(
                f"makes the parameters {self._made:,} bytes, should be at most {self._most:,}, "
                f"{_MOST_GROWTH} times the file"
            )
        self._values.update(zip(proto.output, values, strict=False))


def _domain(name: str) -> str:
    """Return the name of a domain; ONNX's own has two."""
    return "" if name == "ai.onnx" else name


def _bytes_made(value: Value, inputs: list[Value]) -> int:
    """Return the bytes that a node's value needs besides those of its inputs."""
    if isinstance(value, np.ndarray):
        shared = any(np.may_share_memory(value, v) for v in inputs if isinstance(v, np.ndarray))
        return 0 if shared else value.nbytes
    found, given = 0, {id(v) for v in inputs}
    while isinstance(value, Rows) and id(value) not in given:
        step = value.step
        if isinstance(step, Product):
            found += step.weight.nbytes
        elif isinstance(step, Chosen):
            found += step.index.nbytes
        elif isinstance(step, Affine):
            numbers = (step.scale, step.shift, step.mean, step.divisor)
            found += sum(v.nbytes for v in numbers if isinstance(v, np.ndarray))
        value = value.before
    return found

"""ONNX nodes that change no number: shapes, sizes, choices of columns, types."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn.exchange._onnx_activations import cast_of_rows
from cnn.exchange._onnx_values import (
    FLOATS,
    MOST_COLUMNS,
    MOST_SIZES,
    Node,
    Rows,
    Sizes,
    is_number,
    number,
)
from cnn.exchange.folding import Chosen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnn.exchange._onnx_values import Handler, Value

_INTEGERS = {6: "int32", 7: "int64"}


def identity(node: Node, inputs: list[Value]) -> Value:
    if inputs[0] is None:
        node.refuse("has no input")
    return inputs[0]


def dropout(node: Node, inputs: list[Value]) -> Value:
    x = node.rows(inputs[0])
    if len(inputs) > 2 and inputs[2] is not None and number(inputs[2]) != 0:
        node.refuse("is in training mode; export the model in inference mode")
    return x


def cast(node: Node, inputs: list[Value]) -> Value:
    (value,) = inputs
    to = node.get("to", 0)
    if isinstance(value, Sizes) and to in _INTEGERS:
        return value
    if isinstance(value, np.ndarray):
        name = (FLOATS | _INTEGERS).get(to)
        if name is None or not is_number(value):
            node.refuse("makes a constant of a type that cnn does not have")
        return value.astype(name, copy=False)
    return cast_of_rows(node, node.rows(value), to)


# ---- Columns -------------------------------------------------------------------------------------


def _chosen(node: Node, x: Rows, index: NDArray[Any], shape: tuple[int | None, ...]) -> Rows:
    """Return columns of rows, which are the rows themselves if they are all columns in order."""
    width = x.width
    assert width is not None
    if np.array_equal(index, np.arange(width)):
        return Rows(shape, x)
    return x.then(Chosen(node.what, index.astype(np.intp), width), shape)


def _columns(node: Node, x: Rows) -> int:
    """Return the number of columns of rows from which some are chosen."""
    if x.width is None or x.width > MOST_COLUMNS:
        node.refuse(f"takes columns of rows of shape {x.described()}, whose number is not known")
    if not x.is_flat:
        node.refuse(f"takes parts of rows of shape {x.described()}, should have 2 dimensions")
    return x.width


def _check_axis(node: Node, x: Rows, axis: int) -> None:
    rank = len(x.shape or (None, None))
    if axis not in (-1, rank - 1):
        node.refuse(f"has axis {axis}, should be that of the columns, {rank - 1}")


def transpose(node: Node, inputs: list[Value]) -> Value:
    axes, value = node.get("perm", None), inputs[0]
    if isinstance(value, np.ndarray):
        try:
            return np.transpose(value, None if axes is None else list(axes))
        except ValueError as error:
            node.refuse(f"does not fit its constant: {error}")
    x = node.rows(value)
    if x.shape is None or axes is None or sorted(axes) != list(range(len(x.shape))) or axes[0] != 0:
        node.refuse("moves the rows, should keep them first")
    if x.width is None or x.width > MOST_COLUMNS:
        node.refuse(f"takes rows of shape {x.described()}, whose sizes are not known")
    sizes = [size or 0 for size in x.shape[1:]]
    order = np.arange(x.width).reshape(sizes).transpose([axis - 1 for axis in axes[1:]])
    return _chosen(node, x, order.ravel(), tuple(x.shape[axis] for axis in axes))


def gather(node: Node, inputs: list[Value]) -> Value:
    value, index = inputs
    if not isinstance(index, np.ndarray) or index.dtype.kind != "i" or index.ndim > 1:
        node.refuse("has indices that are not a constant number or a list of them")
    if isinstance(value, Rows):
        width = _columns(node, value)
        _check_axis(node, value, node.get("axis", 0))
        if ((index < -width) | (index >= width)).any() or index.size > MOST_COLUMNS:
            node.refuse(f"asks for columns that are not among {width}")
        shape = value.shape or (None, None)
        return _chosen(node, value, index.ravel() % width, (*shape[:-1], index.size))
    if isinstance(value, np.ndarray):
        value = (
            Sizes(tuple(value.tolist())) if value.ndim == 1 and value.dtype.kind == "i" else None
        )
    if not isinstance(value, Sizes) or value.scalar:
        node.refuse("takes from what is neither rows nor sizes")
    _check_count(node, index.size)
    try:
        return Sizes(tuple(value.sizes[i] for i in index.ravel().tolist()), index.ndim == 0)
    except IndexError:
        node.refuse(f"asks for size {index.tolist()} of {len(value.sizes)}")


def slice_(node: Node, inputs: list[Value]) -> Value:
    """Columns, sizes or parts of a constant; before opset 10 by attributes."""
    given = [node.get(name, None) for name in ("starts", "ends", "axes", "steps")]
    parts = [None if values is None else np.asarray(values) for values in given]
    for i, value in enumerate(inputs[1:5]):
        if value is not None and (not isinstance(value, np.ndarray) or value.ndim != 1):
            node.refuse("has bounds that are not constant")
        parts[i] = value if isinstance(value, np.ndarray) else parts[i]
    starts, ends, axes, steps = (None if p is None else [int(v) for v in p] for p in parts)
    if starts is None or ends is None or len(starts) != 1 or len(ends) != 1:
        node.refuse("should cut along one dimension")
    axis, step = (axes or [0])[0], (steps or [1])[0]
    if step == 0:
        node.refuse("has step 0")
    cut = slice(starts[0], ends[0], step) if step > 0 else None
    if cut is None:
        node.refuse(f"has step {step}, should be positive")
    value = inputs[0]
    if isinstance(value, Sizes) and not value.scalar and axis in (0, -1):
        return Sizes(value.sizes[cut])
    if isinstance(value, np.ndarray):
        if not -value.ndim <= axis < value.ndim:
            node.refuse(f"has axis {axis}, but its constant has shape {value.shape}")
        return value[(slice(None),) * (axis % value.ndim) + (cut,)]
    x = node.rows(value)
    width = _columns(node, x)
    _check_axis(node, x, axis)
    index = np.arange(width)[cut]
    if index.size == 0:
        node.refuse("takes no columns")
    return _chosen(node, x, index, (*(x.shape or (None, None))[:-1], index.size))


def split(node: Node, inputs: list[Value]) -> tuple[Value, ...]:
    """Return groups of neighbouring columns; before opset 13 their sizes are an attribute."""
    x = node.rows(inputs[0])
    width = _columns(node, x)
    _check_axis(node, x, node.get("axis", 0))
    sizes = node.get("split", None)
    if len(inputs) > 1 and inputs[1] is not None:
        sizes = inputs[1].tolist() if isinstance(inputs[1], np.ndarray) else None
    if sizes is None:
        each = -(-width // node.outputs)
        sizes = [min(each, max(0, width - each * i)) for i in range(node.outputs)]
    if not isinstance(sizes, list) or any(s < 1 for s in sizes) or sum(sizes) != width:
        node.refuse(f"splits {width} columns into {sizes}")
    ends = np.cumsum(sizes)
    shape = x.shape or (None, None)
    return tuple(
        _chosen(node, x, np.arange(end - size, end), (*shape[:-1], int(size)))
        for size, end in zip(sizes, ends, strict=True)
    )


# ---- Shapes --------------------------------------------------------------------------------------


def flatten(node: Node, inputs: list[Value]) -> Value:
    x = node.rows(inputs[0])
    axis = node.get("axis", 1)
    if axis != 1 and (x.shape is None or axis != 1 - len(x.shape)):
        node.refuse(f"has axis {axis}, should be 1: all of a sample in a row")
    if x.shape is not None and len(x.shape) == 1:
        node.refuse(f"takes rows of shape {x.described()}, should have 2 dimensions or more")
    return x if x.shape is None or len(x.shape) == 2 else Rows((x.shape[0], x.width), x)


def _sizes(node: Node, value: Value) -> tuple[int | None, ...]:
    """Return the sizes of a shape, in which None stands for the number of rows."""
    if isinstance(value, Sizes) and not value.scalar:
        return value.sizes
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind != "i":
        node.refuse("has a shape that is neither constant nor that of the input")
    _check_count(node, value.size)
    return tuple(value.tolist())


def _check_count(node: Node, sizes: int) -> None:
    if sizes > MOST_SIZES:
        node.refuse(f"makes a shape of {sizes} sizes, should have at most {MOST_SIZES}")


def reshape(node: Node, inputs: list[Value]) -> Value:
    value, sizes = inputs[0], _sizes(node, inputs[1])
    if node.get("allowzero", 0) and 0 in sizes:
        node.refuse(f"has shape {list(sizes)} with zeros that are allowed, should have none")
    if isinstance(value, np.ndarray):
        known = [size for size in sizes if size is not None]
        if len(known) < len(sizes):
            node.refuse("makes the shape of a constant depend on the number of rows")
        try:
            return value.reshape([value.shape[i] if n == 0 else n for i, n in enumerate(known)])
        except (IndexError, OverflowError, ValueError) as error:
            node.refuse(f"does not fit its constant: {error}")
    x = node.rows(value)
    shape = _reshaped(x, sizes)
    if shape is None:
        shown = ", ".join("rows" if size is None else str(size) for size in sizes)
        node.refuse(
            f"has shape [{shown}], should be of 2 dimensions and keep each sample in its row"
        )
    return Rows(shape, x)


def _reshaped(x: Rows, sizes: tuple[int | None, ...]) -> tuple[int | None, ...] | None:
    """Return the shape that sizes give rows if each sample stays whole, otherwise None."""
    old = (None, None) if x.shape is None else x.shape
    # A sample alone may be written without the dimension of rows.
    batch = 1 if len(old) == 1 else old[0]
    width = x.width
    if len(sizes) == 1:
        if width == 1 and sizes[0] in (None, -1):
            return old
        alone = batch == 1 and sizes[0] in (-1, 0, width)
        return (width,) if alone and (sizes[0] != 0 or len(old) == 1) else None
    if not sizes or sizes.count(-1) > 1:
        return None
    rows, rest = sizes[0], list(sizes[1:])
    if not (rows in (None, -1) or (rows == 0 and len(old) > 1) or rows == batch):
        return None
    for i, size in enumerate(rest):
        if size == 0 and i + 1 < len(old):
            rest[i] = old[i + 1]
    if any(size is None or size == 0 for size in rest):
        # Sizes that are not known, as they are.
        return (batch, *rest) if list(old[1:]) == rest else None
    known = math.prod(size for size in rest if size is not None and size != -1)
    if -1 in rest:
        if width is None:
            return (batch, None) if len(rest) == 1 else None
        if width % known:
            return None
        rest = [width // known if size == -1 else size for size in rest]
    elif width not in (None, known) or (width is None and len(rest) > 1):
        return None
    return (batch, *rest)


def squeeze(node: Node, inputs: list[Value]) -> Value:
    value, axes = inputs[0], _axes(node, inputs)
    if isinstance(value, np.ndarray):
        try:
            return np.squeeze(value, None if axes is None else tuple(axes))
        except ValueError as error:
            node.refuse(f"does not fit its constant: {error}")
    if isinstance(value, Sizes):
        if value.scalar or len(value.sizes) != 1 or axes not in (None, [0], [-1]):
            node.refuse("does not make a number of one size")
        return Sizes(value.sizes, scalar=True)
    x = node.rows(value)
    shape = (None, None) if x.shape is None else x.shape
    if axes is None:
        axes = [i for i, size in enumerate(shape) if size == 1]
    places = {axis % len(shape) for axis in axes if -len(shape) <= axis < len(shape)}
    if len(places) != len(axes) or any(shape[i] not in (1, None) for i in places):
        node.refuse(f"has axes {axes}, but its input has shape {x.described()}")
    left = tuple(size for i, size in enumerate(shape) if i not in places)
    if 0 in places:
        # A sample alone loses the dimension of rows.
        whole = len([size for size in left if size != 1]) <= 1
        return Rows((x.width,), x) if whole and shape[0] == 1 else _refuse_rows(node, x)
    # The only column of rows is kept, so that they do not look like a sample alone.
    return Rows((*left, 1) if len(left) == 1 else left, x)


def _refuse_rows(node: Node, x: Rows) -> Rows:
    node.refuse(f"moves the rows of shape {x.described()}, should keep them first")


def unsqueeze(node: Node, inputs: list[Value]) -> Value:
    value, axes = inputs[0], _axes(node, inputs)
    if axes is None:
        node.refuse("has no constant axes")
    if isinstance(value, np.ndarray):
        try:
            return np.expand_dims(value, tuple(axes))
        except ValueError as error:
            node.refuse(f"does not fit its constant: {error}")
    if isinstance(value, Sizes):
        if not value.scalar or axes not in ([0], [-1]):
            node.refuse("does not make a shape of a size of the input")
        return Sizes(value.sizes)
    x = node.rows(value)
    old = (None, None) if x.shape is None else x.shape
    rank = len(old) + len(axes)
    places = {axis % rank for axis in axes if -rank <= axis < rank}
    sizes = iter(old)
    if len(places) != len(axes) or rank > MOST_SIZES:
        node.refuse(f"has axes {axes}, but its input has shape {x.described()}")
    shape = tuple(1 if i in places else next(sizes) for i in range(rank))
    if 0 in places and not (len(old) == 1 or old[0] == 1):
        _refuse_rows(node, x)
    if len(old) == 1 and 0 not in places:
        _refuse_rows(node, x)
    return Rows(shape, x)


def _axes(node: Node, inputs: list[Value]) -> list[int] | None:
    """Return the axes of a node, which before opset 13 are an attribute."""
    axes: Any = node.get("axes", None)
    if len(inputs) > 1 and inputs[1] is not None:
        given = inputs[1]
        if not isinstance(given, np.ndarray) or given.ndim != 1 or given.size > MOST_SIZES:
            node.refuse("has axes that are not constant")
        axes = given.tolist()
    return None if axes is None else list(axes)


# ---- Sizes ---------------------------------------------------------------------------------------


def shape_of(node: Node, inputs: list[Value]) -> Value:
    if isinstance(inputs[0], np.ndarray):
        return np.asarray(inputs[0].shape, np.int64)
    x = node.rows(inputs[0])
    # A model may be run with another number of rows than it was exported with.
    sizes = None if x.shape is None or len(x.shape) == 1 else (None, *x.shape[1:])
    asked = None if sizes is None else sizes[node.get("start", 0) : node.get("end", None)]
    if sizes is None or asked is None or None in sizes[1:]:
        node.refuse("asks for sizes that the model's input does not have")
    return Sizes(asked)


def concat(node: Node, inputs: list[Value]) -> Value:
    if any(not isinstance(value, (Sizes, np.ndarray)) for value in inputs):
        node.refuse("joins values of the network, should join sizes to a shape")
    joined: tuple[int | None, ...] = ()
    for value in inputs:
        joined += _sizes(node, value)
        _check_count(node, len(joined))
    return Sizes(joined)


def constant_of_shape(node: Node, inputs: list[Value]) -> Value:
    sizes = _sizes(node, inputs[0])
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes) or any(size < 0 for size in known):
        node.refuse("makes a constant of the number of rows")
    if math.prod(known) > MOST_COLUMNS:
        node.refuse(f"makes a constant of shape {known}, which is too large")
    value = node.array("value")
    if value is None:
        value = np.zeros(1, np.float32)
    if value.size != 1:
        node.refuse(f"has a value of shape {value.shape}, should be one number")
    return np.full(known, value.ravel()[0])


SHAPES: dict[str, Handler] = {
    "Cast": cast,
    "Concat": concat,
    "ConstantOfShape": constant_of_shape,
    "Dropout": dropout,
    "Flatten": flatten,
    "Gather": gather,
    "Identity": identity,
    "Reshape": reshape,
    "Shape": shape_of,
    "Slice": slice_,
    "Split": split,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}

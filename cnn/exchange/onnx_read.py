"""Dense networks in ONNX files: `cnn.from_onnx`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cnn import _core
from cnn._base import checks, extras, files, formats
from cnn.exchange import folding
from cnn.exchange._onnx_graph import Graph
from cnn.exchange.raw import RAW_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

# protobuf's own limit.
_MOST_BYTES = 2**31 - 1


def network(where: str, path: str | os.PathLike[str], outputs: str | None = None) -> _core.Network:
    """Return the network of a file; `cnn.from_onnx` documents it."""
    checks.path(where, path)
    if outputs is not None and not isinstance(outputs, str):
        raise TypeError(
            f"{where}: outputs is of type {type(outputs).__name__}, should be the name of an output"
        )
    onnx = extras.require(where, "onnx", "onnx")
    with formats.explained(where, path):
        data = _read(where, path)
        model = _checked_model(where, onnx, data)
        return folding.network(where, Graph(onnx, model, len(data)).steps(outputs))


def _read(where: str, path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file; refuse it if its size or first byte rule out an ONNX model."""
    with files.named(path), open(path, "rb") as file:
        # The first field of protobuf: its number cannot be 0, and its wire type cannot be 3, 4, 6
        # or 7.
        start = file.peek(1)[:1]
        if start and (start[0] >> 3 == 0 or start[0] & 7 not in (0, 1, 2, 5)):
            raise _core.ModelFileError(
                f"{where}: the file is not an ONNX model: it begins with byte {start[0]}"
            )
        size = os.fstat(file.fileno()).st_size
        if size > _MOST_BYTES:
            raise _core.ModelFileError(
                f"{where}: the file has {size:,} bytes, but an ONNX model has at most "
                f"{_MOST_BYTES:,}"
            )
        return file.read()


def _checked_model(where: str, onnx: Any, data: bytes) -> Any:
    """Return the model in a file's bytes, after ONNX's own checks."""
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's class for this has no public name
        raise _core.ModelFileError(f"{where}: the file is not an ONNX model: {error}") from error
    if not model.graph.node or not model.graph.output:
        raise _core.ModelFileError(f"{where}: the file is not an ONNX model: it has no nodes")
    keys = {entry.key for entry in model.metadata_props}
    for key, net in (("cnn_preprocessing", "model.net"), (RAW_COLUMNS, "model.net_")):
        if key in keys:
            raise ValueError(
                f"{where}: the model takes the columns of a table, should be a network alone; "
                f"cnn.load reads the file that it was exported from, and {net}.to_onnx writes its "
                f"network"
            )
    for tensor in _tensors(model):
        # A model could name any file of this machine as one with external data.
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ValueError(
                f"{where}: tensor {tensor.name!r} is kept in another file, should be in the model; "
                f"save it as one file (torch.onnx.export: external_data=False)"
            )
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, TypeError) as error:
        raise _core.ModelFileError(f"{where}: the file is not a good model: {error}") from error
    return model


def _tensors(model: Any) -> Iterator[Any]:
    """Yield all tensors of a model, including those of subgraphs and functions."""
    yield from _tensors_of_graph(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _tensors_of_node(node)


def _tensors_of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _tensors_of_node(node)


def _tensors_of_node(node: Any) -> Iterator[Any]:
    # The recursion is bounded: protobuf reads at most 100 nested messages.
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        if attribute.HasField("g"):
            yield from _tensors_of_graph(attribute.g)
        for graph in attribute.graphs:
            yield from _tensors_of_graph(graph)

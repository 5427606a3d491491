"""Networks from ONNX files, as PyTorch, skl2onnx, Keras and cnn export them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cnn import _core
from cnn._base import checks, extras, files, formats
from cnn.exchange import assembly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnn.sequential import Sequential

__all__ = ["from_onnx"]

# protobuf's own limit.
_MOST_BYTES = 2**31 - 1


def from_onnx(path: str | os.PathLike[str]) -> Sequential:
    """Read a dense network from an ONNX model.

    It needs the package onnx: ``pip install "cnn[onnx]"``.

    Parameters
    ----------
    path : str or os.PathLike
        The file, as `Sequential.to_onnx`, PyTorch (either exporter), skl2onnx and Keras (by tf2onnx
        or PyTorch) write it for dense networks. Of a classifier with labels as another output, the
        probabilities are taken; of two classes by one sigmoid, that of the second.

    Returns
    -------
    Sequential
        The network, in the dtype of the weights, with seed 0. Weights of float16 and bfloat16
        become float32, which holds them exactly. Dropout, which does nothing to a prediction, is
        left out.

    Raises
    ------
    TypeError
        Where the path is none.
    ImportError
        Where onnx is not installed.
    OSError
        Where the file cannot be read.
    ModelFileError
        Where it is not a well-formed ONNX model.
    ValueError
        Where the model is not a dense network that cnn can run, by the name of the node, is that of
        `cnn.tabular.TableModel.to_onnx`, which takes the columns of a table, keeps
        parameters in other files, or shares them so often that they would take many times the
        file's size.

    See Also
    --------
    cnn.Sequential.to_onnx : Write a network as an ONNX model.

    Examples
    --------
    >>> import cnn
    >>> net = cnn.from_onnx("net.onnx")  # doctest: +SKIP
    >>> net.predict(x)  # doctest: +SKIP
    """
    where = "from_onnx"
    checks.path(where, path)
    onnx = extras.require(where, "onnx", "onnx")
    from cnn.exchange._onnx_graph import Graph  # noqa: PLC0415  # what reads other formats is seldom needed

    with formats.explained(where, path):
        data = _read(where, path)
        model = _checked_model(where, onnx, data)
        graph = Graph(onnx, model, len(data))
        return assembly.sequential(where, graph.parts())


def _read(where: str, path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file, if it can be an ONNX model by its size and its first byte."""
    with files.named(path), open(path, "rb") as file:
        # The number and the kind of the first field of protobuf, which cannot be 0, 3, 4, 6 or 7.
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
    if any(entry.key == "cnn_preprocessing" for entry in model.metadata_props):
        raise ValueError(
            f"{where}: the model takes the columns of a table, should be a network alone; cnn.load "
            f"reads the file that it was exported from, and model.net.to_onnx writes its network"
        )
    for tensor in _tensors(model):
        # Another file's name in a model may be any path of this machine.
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
    """Yield all tensors of a model, those of inner graphs and of functions included."""
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
    # Graphs are in nodes of graphs no deeper than protobuf reads messages in one another: 100.
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        if attribute.HasField("g"):
            yield from _tensors_of_graph(attribute.g)
        for graph in attribute.graphs:
            yield from _tensors_of_graph(graph)

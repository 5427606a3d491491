"""Networks from ONNX files, as PyTorch, skl2onnx, Keras and cnn export them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnn import _assembly, _checks, _core, _extras

if TYPE_CHECKING:
    import os

    from cnn.sequential import Sequential

__all__ = ["from_onnx"]


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
        The network, in the dtype of the weights, with seed 0. Dropout, which does nothing to a
        prediction, is left out.

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
    _checks.path(where, path)
    onnx = _extras.require(where, "onnx", "onnx")
    from cnn._onnx_read import Graph  # noqa: PLC0415  # what reads other formats is seldom needed

    data = Path(path).read_bytes()
    graph = Graph(onnx, _checked_model(where, onnx, data), len(data))
    return _assembly.sequential(where, graph.parts())


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
    tensors = list(model.graph.initializer)
    tensors += [a.t for node in model.graph.node for a in node.attribute if a.HasField("t")]
    for tensor in tensors:
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

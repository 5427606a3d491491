"""Networks from ONNX files, as PyTorch, skl2onnx, Keras and cnn export them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnn.sequential import of_network

if TYPE_CHECKING:
    import os

    from cnn.sequential import Sequential

__all__ = ["from_onnx"]


def from_onnx(path: str | os.PathLike[str], *, outputs: str | None = None) -> Sequential:
    """Read a dense network from an ONNX model.

    It needs the package onnx: ``pip install ".[onnx]"``.

    Parameters
    ----------
    path : str or os.PathLike
        The file, as `Sequential.to_onnx`, PyTorch (either exporter), skl2onnx and Keras (by tf2onnx
        or PyTorch) write it for dense networks. If a classifier also has labels as an output, the
        probabilities are used; if it has labels alone, the numbers of which they are the largest.
        If two classes are predicted by one sigmoid, the output of the network is the probability of
        the second.
    outputs : str, optional
        The name of an output of the model, if it has several, such as the heads of a policy. Or the
        name of another value in it, which is then the output of the network: that before a
        LogSoftmax, or a part of a Split.

    Returns
    -------
    Sequential
        The network, in the dtype of the weights, with seed 0. Weights of float16 and bfloat16
        become float32, which holds them exactly. Dropout, which does not change a prediction, is
        left out. Constants that are added to or multiplied with the inputs become a `Standardize`.
        Others are folded into the weights and biases beside them, as is batch normalization;
        weights that have none are those of the file to the bit. ``docs/guide/exchange.md`` lists
        the operations, and how exactly each is read.

    Raises
    ------
    TypeError
        If the path is neither a string nor a path object, or `outputs` is no string.
    ImportError
        If onnx is not installed.
    OSError
        If the file cannot be read.
    ModelFileError
        If it is not a well-formed ONNX model.
    ValueError
        If the model is not a dense network that cnn can run; the error names the node. Also if it
        has no value with the name `outputs`, or several outputs and no name was given; if
        `cnn.tabular.TableModel.to_onnx` or that of an estimator of `cnn.tabular` wrote it, so that
        it takes the columns of a table, if it has the nodes of a `cnn.Columns` layer, if it keeps
        parameters in other files, or if it shares them so often that they would take many
        times the file's size.

    See Also
    --------
    cnn.Sequential.to_onnx : Write a network as an ONNX model.

    Examples
    --------
    >>> import cnn, os, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "net.onnx")
    >>> cnn.mlp([4, 8, 3], "relu", "softmax", rng=0).to_onnx(path)
    >>> net = cnn.from_onnx(path)
    >>> net.layers
    (Dense(4, 8, 'relu'), Dense(8, 3, 'softmax'))
    >>> folder.cleanup()
    """
    from cnn.exchange import onnx_read  # noqa: PLC0415  # imported on demand, as it is seldom used

    return of_network(onnx_read.network("from_onnx", path, outputs))

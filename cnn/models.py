"""Functions that return networks: from sizes, and from files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cnn import _core, activations
from cnn._base import checks, formats
from cnn._base.hinted import hinted
from cnn._base.log import LOGGER
from cnn._base.metadata import COLUMNS, EPOCHS, LR, RUN, TABULAR
from cnn._model import several
from cnn._model.names import check_names
from cnn._training.optimizer_files import optimizer_of
from cnn.layers import stacked
from cnn.sequential import Sequential, built, of_network

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from cnn import optimizers
    from cnn._base.choices import NetworkDType
    from cnn.activations import Activation

__all__ = ["load", "load_checkpoint", "mlp"]


@hinted("mlp")
def mlp(
    sizes: Sequence[int],
    hidden_activation: Activation,
    output_activation: Activation,
    *,
    rng: int | np.random.Generator | None = None,
    dtype: NetworkDType = "float32",
    dropout: float = 0.0,
    l2: float = 0.0,
) -> Sequential:
    """Return a new multilayer perceptron.

    Parameters
    ----------
    sizes : sequence of int
        The numbers of inputs, of neurons of each hidden layer, and of outputs; two at least.
    hidden_activation : str or cnn.activations.LeakyReLU or ELU
        The activation of the hidden layers.
    output_activation : str or cnn.activations.LeakyReLU or ELU
        The activation of the output layer.
    rng : int or numpy.random.Generator, optional
        The seed, as for `Sequential`.
    dtype : {"float32", "float64"}, default "float32"
        The type of weights and arithmetic.
    dropout : float, default 0.0
        The rate of a Dropout after each hidden layer; none for 0.
    l2 : float, default 0.0
        The strength of the L2 penalty of each layer.

    Returns
    -------
    Sequential
        The network.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range.

    Examples
    --------
    >>> import cnn
    >>> cnn.mlp([64, 50, 100, 10], "sigmoid", "softmax", rng=0)
    Sequential([
        Dense(64, 50, 'sigmoid'),
        Dense(50, 100, 'sigmoid'),
        Dense(100, 10, 'softmax'),
    ], rng=0, dtype='float32')
    """
    where = "mlp"
    if isinstance(sizes, (str, bytes)) or not hasattr(sizes, "__iter__"):
        raise TypeError(f"{where}: sizes is of type {type(sizes).__name__}, should be a list")
    widths = [
        checks.integer(where, f"sizes[{i}]", size, 1, 2**31 - 1) for i, size in enumerate(sizes)
    ]
    if len(widths) < 2:
        raise ValueError(
            f"{where}: sizes has {len(widths)} numbers, should have at least 2: inputs and outputs"
        )
    activations.checked(where, "hidden_activation", hidden_activation)
    activations.checked(where, "output_activation", output_activation)
    rate = checks.real(where, "dropout", dropout, below=1.0)
    l2 = checks.real(where, "l2", l2, most=_core.LARGEST)
    found = stacked(widths, hidden_activation, output_activation, rate, l2)
    return built(where, found, rng, dtype)


def _checked(where: str, network: _core.Network) -> Sequential:
    """Return the network of a file whose metadata are not trusted."""
    epochs = network.get_metadata(EPOCHS)
    if epochs is not None and not (epochs.isascii() and epochs.isdigit() and len(epochs) < 19):
        raise _core.ModelFileError(
            f"{where}: the file has {epochs!r} epochs, should have a whole number"
        )
    network.set_metadata(LR, None)
    network.set_metadata(RUN, None)
    check_names(network)
    return of_network(network)


def _loaded(where: str, network: _core.Network) -> Sequential | Any:
    """Return the network, or the model of tables, of a file whose metadata are not trusted."""
    net = _checked(where, network)
    text = network.get_metadata(TABULAR)
    if text is not None:
        from cnn.tabular import estimator_of_file  # noqa: PLC0415  # needs scikit-learn

        return estimator_of_file(where, [net], text)
    if network.get_metadata(COLUMNS) is None:
        return net
    from cnn.tabular import of_file  # noqa: PLC0415  # most files have no columns

    return of_file(where, net)


def _of_several(where: str, data: bytes) -> Any:
    """Return the estimator of a file of several networks, which is not trusted."""
    networks, metadata = several.of_bytes(where, data)
    nets = [_checked(where, network) for network in networks]
    if TABULAR not in metadata:
        raise _core.ModelFileError(f"{where}: the file has several networks, but no {TABULAR}")
    from cnn.tabular import estimator_of_file  # noqa: PLC0415  # needs scikit-learn

    return estimator_of_file(where, nets, metadata[TABULAR])


def of_bytes(where: str, data: bytes, is_net: bool) -> Sequential | Any:
    """Return the network or TableModel of a file's content; with `is_net` the network alone."""
    estimators = (
        f"{where}: model is the file of an estimator of cnn.tabular, should be one of a network or "
        f"of a TableModel; cnn.load reads it, and its predict takes tables"
    )
    try:
        network = _core.Network.from_bytes(data)
    except _core.ModelFileError as error:
        if several.is_several(data):
            raise ValueError(estimators) from None
        raise _core.ModelFileError(str(error).replace("from_bytes", where, 1)) from None
    if is_net:
        return of_network(network)
    if network.get_metadata(TABULAR) is not None:
        raise ValueError(estimators)
    return _loaded(where, network)


# Any stands for a TableModel: type checkers treat the result as a Sequential, the usual case, and
# still allow isinstance to narrow it to a TableModel.
@hinted("load")
def load(path: str | os.PathLike[str]) -> Sequential | Any:
    """Load a network from a file that `Sequential.save`, ``cnn train`` or libcnn wrote.

    Parameters
    ----------
    path : str or os.PathLike
        The file. The state of an optimizer in it is ignored.

    Returns
    -------
    Sequential or cnn.tabular.TableModel
        The network. If the file also has the columns of a table, as those of ``cnn train`` do, the
        result is a `cnn.tabular.TableModel`: its ``predict`` takes data frames and rows of raw
        values, and its ``net`` is the network. Of a file that `cnn.tabular.TabularClassifier` or
        `cnn.tabular.TabularRegressor` saved, it is that estimator. Type checkers treat the result
        as a Sequential unless ``isinstance(model, cnn.tabular.TableModel)`` narrows it.

    Raises
    ------
    TypeError
        If the path is neither a string nor a path object.
    OSError
        If the file cannot be read.
    ModelFileError
        If it is not a well-formed model. Any file is safe to load: no code is run, and the memory
        used is bounded by the size of the file.

    Examples
    --------
    >>> import cnn
    >>> cnn.load("no such file")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no such file'
    """
    checks.path("load", path)
    with formats.explained("load", path):
        try:
            network = _core.Network.load(path)
        except _core.ModelFileError:
            data = several.of_file("load", path)
            if data is None:
                raise
            found = _of_several("load", data)
        else:
            found = _loaded("load", network)
    LOGGER.info("load: read %r", os.fspath(path))
    return found


def load_checkpoint(
    path: str | os.PathLike[str],
) -> tuple[Sequential | Any, optimizers.Optimizer]:
    """Load a network and its optimizer from a file, to go on with training.

    Parameters
    ----------
    path : str or os.PathLike
        The file, written by ``net.save(path, optimizer=...)`` or by `cnn.ModelCheckpoint`.

    Returns
    -------
    net : Sequential or cnn.tabular.TableModel
        As for `load`. If it is a TableModel, train its ``net``.
    optimizer : Optimizer
        Its optimizer. If the learning rate was a function of your own, which a file cannot hold,
        set ``optimizer.lr`` before training goes on.

    Raises
    ------
    TypeError
        If the path is neither a string nor a path object.
    OSError
        If the file cannot be read.
    ModelFileError
        If the file is not a well-formed model, or has no optimizer.

    Examples
    --------
    >>> import cnn, os, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "net.safetensors")
    >>> net, optimizer = cnn.Sequential([cnn.Dense(1, 1)], rng=0), cnn.Adam(lr=0.01)
    >>> history = net.fit([[0.0], [1.0]], [1.0, 3.0], epochs=10, optimizer=optimizer)
    >>> net.save(path, optimizer=optimizer)
    >>> net, optimizer = cnn.load_checkpoint(path)
    >>> optimizer, optimizer.steps
    (Adam(lr=0.01, betas=(0.9, 0.999), eps=1e-08, clip_norm=None), 10)
    >>> folder.cleanup()
    """
    where = "load_checkpoint"
    checks.path(where, path)
    with formats.explained("load", path):
        trainer = _core.Trainer.load(path)
    LOGGER.info("load_checkpoint: read %r", os.fspath(path))
    optimizer = optimizer_of(where, trainer, trainer.network.get_metadata(LR))
    return _loaded(where, trainer.network), optimizer

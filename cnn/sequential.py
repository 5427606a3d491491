"""Sequential: a stack of layers that is trained, used, saved and loaded as one network."""

from __future__ import annotations

import os
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal

from numpy import ndarray

from cnn import _core, losses, optimizers
from cnn._base import checks, formats
from cnn._base.hinted import hinted
from cnn._base.log import LOGGER
from cnn._base.metadata import LR
from cnn._base.streams import is_stream, with_targets
from cnn._model.derivatives import Backward, Derivatives, Gradient, by_layer
from cnn._model.exports import Exports
from cnn._model.habits import Habits
from cnn._model.names import Names
from cnn._model.stack import Stack
from cnn._training import loop, measures, steps
from cnn._training.given import source_of, stream_outputs
from cnn._training.optimizer_files import rates_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from cnn._base.choices import LossName, OptimizerName, Progress
    from cnn._training.hooks import Hooks
    from cnn._training.measures import Metric
    from cnn._training.samples import ClassWeight
    from cnn.history import History
    from cnn.schedules import Schedule
    from cnn.streams import Data

__all__ = ["Backward", "Gradient", "Sequential"]


class Sequential(Derivatives, Exports, Names, Habits):
    """A network: layers one after the other.

    Parameters
    ----------
    layers : sequence of Layer
        The layers. The last one is a Dense, and the inputs of each Dense are the outputs of the
        layer before it. A Standardize or a Columns is the first layer; a Scale is before a Dense; a
        ParametricActivation is behind a Dense without an activation; a Dropout is between two Dense
        layers, or behind a ParametricActivation.
    rng : int or numpy.random.Generator, optional
        The seed of initial weights, shuffles and dropout: a whole number from 0 to 2**64 - 1, or a
        generator that one is drawn from. By default the system provides a random one.
    dtype : {"float32", "float64"}, default "float32"
        The type of weights, outputs and all arithmetic. Data of other types are converted, a block
        of rows at a time.

    Attributes
    ----------
    stop_training : bool
        A callback sets this to True to end `fit` after the epoch.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range, or layers do not fit one another.
    MemoryError
        If there is not enough memory for the weights.

    Notes
    -----
    The same data, seed and settings give the same bits on every machine, whatever the number of
    threads. Any number of threads may use a network at once. If one of them trains it, a call of
    another waits for the end of a step and sees the weights after it.

    Examples
    --------
    >>> import cnn
    >>> x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
    >>> net = cnn.Sequential([
    ...     cnn.Dense(64, 50, "relu"),
    ...     cnn.Dense(50, 10, "softmax"),
    ... ], rng=0)
    >>> history = net.fit(x, t, epochs=10, batch_size=100, optimizer=cnn.Adam(lr=1e-2))
    >>> net.evaluate(x_test, t_test)["accuracy"] > 0.9
    True
    >>> net.predict(x_test).shape
    (355, 10)
    """

    # ---- Training ------------------------------------------------------------------------------

    @hinted("fit")
    def fit(
        self,
        x: Data,
        t: ArrayLike | str | None = None,
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        optimizer: OptimizerName | optimizers.Optimizer | None = None,
        loss: LossName | losses.Loss | None = None,
        validation_data: tuple[Data, ArrayLike | str]
        | tuple[Data, ArrayLike | str, ArrayLike | str]
        | Data
        | None = None,
        sample_weight: ArrayLike | str | None = None,
        class_weight: ClassWeight | None = None,
        shuffle: bool = True,
        callbacks: Hooks | Iterable[Hooks] = (),
        progress: Progress = "auto",
        validation_split: float = 0.0,
        metrics: Metric | Iterable[Metric] | None = None,
        verbose: Literal[0, 1, 2, "auto"] | None = None,
        shuffle_buffer: int | None = None,
        dropout: Schedule | None = None,
    ) -> History:
        """Train the network from its present weights.

        Parameters
        ----------
        x : array_like of shape (n, inputs), or a stream
            A sample in each row. Arrays of any type of numbers and any layout are read without a
            copy, `numpy.memmap` included; the additional memory depends on the batch size only.
            Frames of pandas and polars and Arrow tables are read too, those of several types into
            one array. Numbers must be finite in the network's dtype.

            A stream is read ahead by a thread, piece by piece: the path of a .npy or .npz file;
            paths of Parquet files or of folders with such; a dataset or a reader of pyarrow, a lazy
            frame of polars; an object with the methods of `cnn.Rows`; or an iterable of batches
            (x, t) or (x, t, weight), such as a generator, for one epoch, or PyTorch's DataLoader.
        t : array_like of shape (n,) or (n, outputs), str or None
            Targets. With softmax: class numbers (n,) from 0 to outputs - 1, or rows of
            probabilities. Otherwise a row for each sample, or (n,) if there is one output. They
            must be from 0 to 1 for binary_cross_entropy, 0 or more for poisson, and always finite
            in the network's dtype. With `cnn.Quantile` (n,) and (n, 1) are the targets of all
            outputs. The name of a column if x is a frame, a table or a Parquet file,
            which is then no input; the path of a .npy file if x is one; None if x brings its
            targets.
        epochs : int, default 1
            How many times each sample is used.
        batch_size : int, optional
            How many samples a step uses; the last step of an epoch uses the remaining ones. By
            default 32, and for an iterable of batches these as they come. A number cuts their rows
            anew.
        optimizer : Optimizer or str, optional
            The optimizer. An object continues from its last step; a name such as "sgd" stands for a
            new one with default settings. By default, a new `cnn.Adam`.
        loss : Loss or str, optional
            The loss to minimise. By default that of the output layer: cross_entropy for softmax,
            binary_cross_entropy for sigmoid, and squared_error for all others.
        validation_data : tuple (x, t) or (x, t, sample_weight), or a stream, optional
            Samples on which the network is evaluated after each epoch.
        sample_weight : array_like of shape (n,) or str, optional
            The weight of each sample in the loss, from 0 to 1e100. The sum must be at least 1e-270,
            so that the weighted mean is defined. The name of a column if x is a stream of tables;
            the batches of an iterable bring their weights.
        class_weight : dict, array_like of shape (outputs,) or "balanced", optional
            The weight of the samples of each class, from 0 to 1e100; with class numbers only.
            Classes that a dict does not have get weight 1. "balanced" gives each class of t the
            same total: n / (classes count) to one with count of the n rows, as in scikit-learn.
            The validation does not use it. A stream cannot have "balanced".
        shuffle : bool, default True
            Whether each epoch uses the samples in a new random order. Batches that are used as they
            come are not shuffled, and the rows of tables that are streams within a buffer only.
        callbacks : Callback or iterable of Callback, optional
            Callbacks, whose methods are called during training.
        progress : {"auto", True, False}, default "auto"
            Whether to show progress: a bar on a terminal and in a notebook. Elsewhere True prints
            plain lines on stderr, about ten in all. Bars round metrics to 3 digits and lines to 4,
            with ~ before a rounded number; the History that is returned has all digits.
        validation_split : float, default 0.0
            The share of samples that are not trained on, but are the validation data: the last
            rows, before any shuffling, as in Keras. Rows that are sorted by class should be
            shuffled first. Not together with `validation_data`.
        metrics : list of str and functions, optional
            More metrics for the History, also of the validation data as ``val_`` and the name:
            names of functions of `cnn.metrics`, namely "auc", "f1", "log_loss", "mae", "mse",
            "precision", "r2", "recall", "rmse" and "top5"; or functions f(t, y) of targets and
            outputs that return a number, under their ``__name__``. They are computed at the end of
            each epoch with its last weights, which costs a prediction of all samples and memory
            for their outputs. Those of `cnn.metrics` get sample_weight.
        verbose : {0, 1, 2, "auto"}, optional
            `progress` as Keras has it: 0 stands for False, and 1 and 2 for True.
        shuffle_buffer : int, optional
            The rows among which a stream is shuffled that cannot be shuffled as a whole; by default
            10,000, or fewer if they take more than 16 MB. Two such buffers are in memory. Arrays,
            files of NumPy and objects like `cnn.Rows` are always shuffled as a whole.
        dropout : Schedule, optional
            By what the rates of all Dropout layers are multiplied at each step of the optimizer,
            from 0 to 1; 1 by default.

        Returns
        -------
        History
            The metrics of each epoch.

        Raises
        ------
        TypeError, ValueError
            If an argument is of a wrong type or shape, or out of range; the network is then
            unchanged. All targets and weights are checked before the first step, those of a stream
            when they are read: network and optimizer are then as they were at the end of the last
            finished epoch, as after any other exception of a stream. If a function for
            the learning rate raises or returns a rate out of range later, network and optimizer are
            as they were at the end of the last finished epoch.
        FloatingPointError
            If the loss, the weights or the optimizer's state become NaN or infinite. The network
            and the optimizer are then as they were at the end of the last finished epoch. If a
            number in x is the reason, the error names the first one, its row and its column, and is
            a ValueError too.
        KeyboardInterrupt
            On Ctrl-C, between two steps; network and optimizer are those of the last step.

        Warns
        -----
        UserWarning
            If a layer has the activation step: it and the layers before it cannot learn.

        Notes
        -----
        The order of the samples is a function of the seed and the number of the epoch, counted
        over the life of the network, and dropout is one of the seed and the number of the
        optimizer's step. So a run that is saved with its optimizer and loaded by
        `cnn.load_checkpoint` ends with the same bits as one that was not interrupted.

        A batch whose weights are all 0, or add up to less than 1e-270, makes no step: weights,
        state and step number of the optimizer, and with them its learning rate and dropout, stay
        as they are. Its rows count in the accuracy of the epoch, but not in its loss.

        softmax with one output is refused: its output is always 1 and its cross_entropy 0, so
        nothing can be learnt. Use sigmoid with one output, or softmax with two.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(1, 1)], rng=0)
        >>> history = net.fit([[0.0], [1.0]], [1.0, 3.0], epochs=200, optimizer=cnn.SGD(lr=0.3))
        >>> net.predict([[2.0]]).round(2)
        array([[5.]], dtype=float32)
        """
        x, t = with_targets("fit", x, t)
        source = source_of("fit", x, t, sample_weight, shuffle_buffer)
        if shuffle_buffer is not None and batch_size is None and source and source.has_batches:
            raise ValueError(
                f"fit: shuffle_buffer is {shuffle_buffer}, but the batches of x are used as they "
                f"come; give batch_size too, or shuffle x itself"
            )
        history = loop.fit(
            self,
            self._network,
            x,
            t,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            loss=loss,
            validation_data=validation_data,
            sample_weight=sample_weight,
            class_weight=class_weight,
            shuffle=shuffle,
            callbacks=callbacks,
            progress=progress,
            validation_split=validation_split,
            metrics=metrics,
            verbose=verbose,
            source=source,
            dropout=dropout,
        )
        self._name_features(x if source is None else source)
        return history

    @hinted("train_step")
    def train_step(
        self,
        x: ArrayLike,
        t: ArrayLike,
        *,
        optimizer: optimizers.Optimizer,
        loss: LossName | losses.Loss | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: ClassWeight | None = None,
    ) -> dict[str, float]:
        """Make one step with all samples as one batch.

        Parameters
        ----------
        x, t
            As for `fit`.
        optimizer : Optimizer
            The optimizer; use the same object for the next step.
        loss, sample_weight, class_weight
            As for `fit`.

        Returns
        -------
        dict of str to float
            "loss" before the step, L2 penalties included, and for a classification "accuracy".

        Raises
        ------
        TypeError, ValueError
            If an argument is of a wrong type or shape, or out of range; the network is then
            unchanged.
        FloatingPointError
            If the loss or a number of x is NaN or infinite in the network's dtype, or a weight or
            the optimizer's state would become so; the step is then not made. If the reason is in x,
            the error names the first such number, its row and its column, and is a ValueError too.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")], rng=0)
        >>> optimizer = cnn.SGD(lr=0.5)
        >>> net.train_step([[1.0]], [1.0], optimizer=optimizer)
        {'loss': 0.5}
        >>> net.train_step([[1.0]], [1.0], optimizer=optimizer)
        {'loss': 0.0}
        """
        return steps.train_step(
            self._network,
            x,
            t,
            optimizer=optimizer,
            loss=loss,
            sample_weight=sample_weight,
            class_weight=class_weight,
        )

    # Any stands for None, so that type checkers allow gradients[0].weight, and completion works,
    # without a check of layers that are known to be dense.
    @hinted("gradients")
    def gradients(
        self,
        x: ArrayLike,
        t: ArrayLike,
        *,
        loss: LossName | losses.Loss | None = None,
        sample_weight: ArrayLike | None = None,
        dropout_step: int | None = None,
    ) -> tuple[float, list[Gradient | Any]]:
        """Return the loss of all samples as one batch, and its gradients.

        Parameters
        ----------
        x, t, loss, sample_weight
            As for `fit`.
        dropout_step : int, optional
            Apply the dropout masks of this step of an optimizer, counted from 0. By default there
            is no dropout.

        Returns
        -------
        loss : float
            The loss, L2 penalties included.
        gradients : list of Gradient or None
            For each Dense layer its ``weight`` (inputs, outputs) and ``bias`` (outputs,); None for
            a Dropout or a Standardize.

        Raises
        ------
        TypeError, ValueError
            If an argument is of a wrong type or shape, or out of range. For a number of x that
            is not finite in the network's dtype the error is a FloatingPointError too.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(2, 1, init="zeros")], rng=0)
        >>> loss, gradients = net.gradients([[1.0, 2.0]], [-1.0])
        >>> loss, gradients[0].weight
        (0.5, array([[1.],
               [2.]], dtype=float32))
        """
        value, flat = steps.gradients(
            self._network, x, t, loss=loss, sample_weight=sample_weight, dropout_step=dropout_step
        )
        return value, by_layer(self._layers, flat)

    # ---- Prediction and evaluation -------------------------------------------------------------

    def predict(self, x: Data, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the outputs of the network.

        Parameters
        ----------
        x : array_like of shape (n, inputs) or (inputs,), or a stream
            Samples, or one, or a stream as for `fit`, whose batches may be x alone; targets are not
            read. Any type of numbers and any layout. To save time, they are not checked:
            a NaN in a row makes all outputs of that row NaN with every activation, and does not
            affect other rows. An infinity, or a number that overflows the network's dtype, gives
            infinite or NaN outputs, or the limits of activations such as tanh.
        out : ndarray of shape (n, outputs) or (outputs,), optional
            Where to put the outputs, of the network's dtype. With a memory map here, the memory
            for a stream does not depend on its number of rows.

        Returns
        -------
        ndarray of shape (n, outputs) or (outputs,)
            `out`, or a new array. The bits of a row do not depend on the others.

        Raises
        ------
        TypeError
            If x does not hold numbers, or `out` is no array of the network's dtype.
        ValueError
            If a shape is wrong, or `out` is read-only or overlaps x.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(3, 2, "softmax", init="zeros")])
        >>> net.predict([[1.0, 2.0, 3.0]])
        array([[0.5, 0.5]], dtype=float32)
        >>> net.predict([1.0, 2.0, 3.0])
        array([0.5, 0.5], dtype=float32)
        """
        if type(x) is not ndarray and is_stream(x, with_targets=False):
            return stream_outputs("predict", self._network, x, out)
        return self._network.predict(x, out)  # type: ignore[arg-type]  # is_stream has the others

    @hinted("evaluate")
    def evaluate(
        self,
        x: Data,
        t: ArrayLike | str | None = None,
        *,
        loss: LossName | losses.Loss | None = None,
        sample_weight: ArrayLike | str | None = None,
        metrics: Metric | Iterable[Metric] | None = None,
    ) -> dict[str, float]:
        """Return the loss and other metrics of the network on samples.

        Parameters
        ----------
        x, t, loss, sample_weight, metrics
            As for `fit`. A stream is read once.

        Returns
        -------
        dict of str to float
            "loss", the weighted mean over the rows, L2 penalties included. With cross_entropy and
            binary_cross_entropy also "accuracy", the share of rows classified correctly. With
            squared_error, huber and absolute_error also "mse", "mae" and "r2", as `cnn.metrics` has
            them, weighted by sample_weight. Then `metrics`.

        Raises
        ------
        TypeError, ValueError
            If an argument is of a wrong type or shape, or out of range. For a number of x that
            is not finite in the network's dtype, which the error names with its row and its column,
            it is a FloatingPointError too.

        Notes
        -----
        squared_error has a factor of 1/2, and is summed over the outputs: of k outputs, "mse" is
        2 / k times "loss", if there are no L2 penalties. With squared_error, huber and
        absolute_error a second forward pass computes the errors, a block of rows at a time.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(1, 1, init="zeros")])
        >>> net.evaluate([[1.0], [2.0]], [1.0, 3.0])
        {'loss': 2.5, 'mse': 5.0, 'mae': 2.0, 'r2': -4.0}
        """
        x, t = with_targets("evaluate", x, t)
        source = source_of("evaluate", x, t, sample_weight)
        return measures.evaluation(
            self._network,
            x,
            t,
            loss=loss,
            sample_weight=sample_weight,
            metrics=metrics,
            source=source,
        )

    # ---- Files ---------------------------------------------------------------------------------

    @hinted("save")
    def save(
        self, path: str | os.PathLike[str], *, optimizer: optimizers.Optimizer | None = None
    ) -> None:
        """Save the network to a safetensors file, optionally with the state of the optimizer.

        If saving fails, a file that existed is unchanged.

        Parameters
        ----------
        path : str or os.PathLike
            The file; one that exists is replaced. Its name should end in ".safetensors"; all
            endings are allowed but those of other formats.
        optimizer : Optimizer, optional
            The optimizer that trains the network: its settings, learning rate and state are saved
            too, for `cnn.load_checkpoint`. A file cannot hold a learning rate that is a function of
            your own, but for those in `cnn.schedules`.

        Raises
        ------
        TypeError
            If an argument is of a wrong type.
        ValueError
            If the optimizer belongs to another network, or the path ends like the files of
            another format, such as ".h5", ".pt" or ".onnx", whose programs could not read it, or
            a weight decay or a rate of the optimizer's groups is a schedule of your own.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import cnn, os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = os.path.join(folder.name, "net.safetensors")
        >>> net = cnn.Sequential([cnn.Dense(2, 1)], rng=0)
        >>> net.save(path)
        >>> bool((cnn.load(path).layers[0].weight == net.layers[0].weight).all())
        True
        >>> folder.cleanup()
        """
        formats.destination("save", checks.path("save", path), "a safetensors file")
        if optimizer is None:
            self._network.save(path)
            LOGGER.info("save: wrote %r", os.fspath(path))
            return
        if not isinstance(optimizer, optimizers.Optimizer):
            raise TypeError(
                f"save: optimizer is of type {type(optimizer).__name__}, should be the object that "
                f"fit was given"
            )
        trainer = optimizers.bound("save", optimizer, self._network)
        trainer.save(path, LR, rates_text("save", optimizer))
        LOGGER.info("save: wrote %r with the optimizer", os.fspath(path))


# Errors of bad calls have the names of functions, which should be those of the public class.
for _part in (Stack, Derivatives, Exports, Names, Habits):
    for _name, _function in vars(_part).items():
        if isinstance(_function, FunctionType):
            _function.__qualname__ = f"Sequential.{_name}"


def built(where: str, layers: object, rng: object, dtype: object) -> Sequential:
    """Return a network of layers; `where` is for messages."""
    made = Sequential.__new__(Sequential)
    made._build(where, layers, rng, dtype)
    return made


def of_network(network: _core.Network) -> Sequential:
    """Return a Sequential around a compiled network, such as one from a file."""
    made = Sequential.__new__(Sequential)
    made._restore(network, {})
    return made


def network_of(net: Sequential) -> _core.Network:
    """Return the compiled network in a Sequential, for other modules of cnn."""
    return net._network


def _of_bytes(data: bytes) -> Sequential:
    """Return the network of a pickle that an earlier version of cnn wrote."""
    return of_network(_core.Network.from_bytes(data))

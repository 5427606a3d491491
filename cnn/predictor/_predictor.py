"""Predictor: a model that travels to the processes that use it."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cnn import _core, models
from cnn._base import checks, files, formats
from cnn.predictor import _batches, _opened
from cnn.sequential import Sequential, network_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnn.predictor._batches import Batch
    from cnn.tabular import TableModel

_WHERE = "Predictor"
# Types of columns in the data definition language of Spark.
_SPARK_TYPES = {"float32": "float", "float64": "double", "object": "string"}


class Predictor:
    """A model for the worker processes of Dask, Ray, Spark or joblib.

    It is a function of a batch of rows, ``predictor(x)``. A pickle of it is small, a process opens
    the model once, at the first batch, and all threads and tasks of the process share it.

    Parameters
    ----------
    model : str, os.PathLike, Sequential or cnn.tabular.TableModel
        A file that `Sequential.save` or ``cnn train`` wrote: a pickle has its absolute path and a
        digest of its content, so that each worker must be able to read it. Or a network or a
        TableModel: a pickle has a copy of it, as it is now.
    columns : str or sequence of str, optional
        The columns of tables that are the network's inputs, in their order. The rows of a column
        may be numbers, or arrays of several inputs. By default the ``feature_names`` of the
        network; if it has none, all columns but those of `keep`. A TableModel knows its columns.
    names : str or sequence of str, optional
        The names of the columns of predictions in tables. One string stands for one column whose
        rows are arrays. By default the ``class_names`` of the network; if it has none, "output" for
        a single output, or "output_0", "output_1" and so on. Of a TableModel the target, or the
        classes with predict_proba.
    keep : sequence of str, default ()
        Columns of tables that are copied to the results, such as a number of the row.
    method : {"predict", "predict_proba"}, default "predict"
        What to call; a network has predict alone.
    threads : int, optional
        The number of threads that cnn may use in a worker; it is set when a process that has got
        the Predictor from another one opens the model. By default that of its environment, as Dask,
        Ray, Spark and joblib set OMP_NUM_THREADS for their workers; if neither CNN_NUM_THREADS nor
        OMP_NUM_THREADS is set, 1. The process that has made the Predictor keeps its own number.

    Attributes
    ----------
    model : Sequential or cnn.tabular.TableModel
        The model of this process; it should not be changed.
    outputs : int
        The number of predictions of a row.
    dtype : numpy.dtype
        The type of predictions.
    dtypes : dict of str to numpy.dtype
        The columns of predictions in tables and their types, as Dask takes them as ``meta``.
    schema : str
        The columns of predictions in tables as Spark takes them as a ``schema``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type, or does not suit the model.
    OSError
        If the file cannot be read.
    ModelFileError
        If it is not a well-formed model.

    Notes
    -----
    If the file has changed when a worker opens it, the worker raises a ModelFileError instead of
    predicting with another model. A worker that has already opened it goes on with what it has
    read.

    The results have the same bits as those of the model's own method, in any number of batches,
    workers and threads.

    Examples
    --------
    >>> import cnn, pickle
    >>> net = cnn.mlp([2, 3], "relu", "softmax", rng=0)
    >>> predictor = cnn.Predictor(net, columns=["length", "width"], keep=["id"])
    >>> batch = {"id": [7], "width": [2.0], "length": [1.0]}
    >>> sorted(pickle.loads(pickle.dumps(predictor))(batch))
    ['id', 'output_0', 'output_1', 'output_2']
    >>> predictor.schema
    '`output_0` float, `output_1` float, `output_2` float'
    >>> (cnn.Predictor(net)([[1.0, 2.0]]) == net.predict([[1.0, 2.0]])).all()
    np.True_
    """

    # Of an object, for engines that show the names of functions.
    __name__ = "Predictor"

    def __init__(
        self,
        model: str | os.PathLike[str] | Sequential | TableModel,
        *,
        columns: str | Sequence[str] | None = None,
        names: str | Sequence[str] | None = None,
        keep: Sequence[str] = (),
        method: Literal["predict", "predict_proba"] = "predict",
        threads: int | None = None,
    ) -> None:
        if threads is not None:
            threads = checks.integer(_WHERE, "threads", threads, 1, 1024)
        checks.choice(_WHERE, "method", method, ("predict", "predict_proba"))
        self._keep = _texts("keep", keep)
        self._method = method
        self._threads = threads
        self._origin = _opened.process()
        self._take(model)
        found = self.model
        is_net = isinstance(found, Sequential)
        if is_net and method != "predict":
            raise ValueError(
                f"{_WHERE}: method is {method!r}, should be 'predict': a network has no other"
            )
        self._columns = _columns(found, columns)
        # So that what a user asks of the results opens no model, and raises no error later.
        usual, self._dtype = _predictions(found, method)
        self._outputs = len(usual)
        self._names = _names(names, usual, self._keep)
        self._is_flat = not is_net and method == "predict"  # one prediction a row, shape (n,)

    def _take(self, model: Any) -> None:
        """Read a file or copy a model, and open it."""
        self._path, self._data = None, None
        self._is_net = isinstance(model, Sequential)
        if isinstance(model, (str, os.PathLike)):
            self._path = os.path.abspath(os.fsdecode(checks.path(_WHERE, model)))
            with formats.explained("load", self._path):
                data = self._content()
                self._digest = hashlib.sha256(data).hexdigest()
                self._open(data)
            return
        net = model if self._is_net else getattr(model, "net", None)
        if not isinstance(net, Sequential):
            hint = "; of an estimator of cnn.sklearn, its net_" if hasattr(model, "net_") else ""
            raise TypeError(
                f"{_WHERE}: model is of type {type(model).__name__}, should be a path, a "
                f"Sequential or a TableModel{hint}"
            )
        # Not compressed: of trained weights zlib takes off 7 %, at 20 MB/s.
        self._data = network_of(net).to_bytes()
        self._digest = hashlib.sha256(self._data).hexdigest()

    # ---- The model ------------------------------------------------------------------------------

    @property
    def model(self) -> Sequential | Any:
        """The model of this process; it should not be changed."""
        return self._open(self._data)

    def _open(self, data: bytes | None) -> Any:
        """Return the model, which is read of a file without `data` if it is not open yet."""

        def read() -> Any:
            return models.of_bytes(_WHERE, self._checked() if data is None else data, self._is_net)

        key = f"{self._digest} {self._is_net}"
        return _opened.opened(key, read, self._origin, self._threads)

    def _content(self) -> bytes:
        with files.named(self._path or ""), open(self._path or "", "rb") as file:
            return file.read()

    def _checked(self) -> bytes:
        """Return the content of the file in a worker."""
        try:
            data = self._content()
        except FileNotFoundError as error:
            raise FileNotFoundError(
                errno.ENOENT,
                f"{_WHERE}: {error.strerror}, where a worker should find it too; "
                f"Predictor(cnn.load(path)) takes the content along",
                self._path,
            ) from error
        digest = hashlib.sha256(data).hexdigest()
        if digest != self._digest:
            raise _core.ModelFileError(
                f"{_WHERE}: {self._path!r} has changed since the Predictor was made: its SHA-256 "
                f"is {digest[:12]}..., should be {self._digest[:12]}...; make a new Predictor"
            )
        return data

    # ---- What results are like ------------------------------------------------------------------

    @property
    def outputs(self) -> int:
        """The number of predictions of a row."""
        return self._outputs

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of predictions."""
        return self._dtype

    @property
    def dtypes(self) -> dict[str, np.dtype[Any]]:
        """The columns of predictions in tables and their types, as Dask takes them as ``meta``."""
        if isinstance(self._names, str):
            return {self._names: self._dtype if self._is_flat else np.dtype(object)}
        return dict.fromkeys(self._names, self._dtype)

    @property
    def schema(self) -> str:
        """The columns of predictions in tables as Spark takes them as a ``schema``."""
        kind = _SPARK_TYPES[self._dtype.name]
        if isinstance(self._names, str) and not self._is_flat:
            kind = f"array<{kind}>"
        return ", ".join(f"`{name.replace('`', '``')}` {kind}" for name in self.dtypes)

    def __repr__(self) -> str:
        model = type(self.model).__name__ if self._path is None else repr(self._path)
        return f"Predictor({model} -> {', '.join(self.dtypes)})"

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """Return what Dask names tasks by: the same for the same predictions."""
        settings = (self._columns, self._names, self._keep, self._method)
        return "cnn.Predictor", self._digest, self._is_net, settings

    # ---- Predictions ----------------------------------------------------------------------------

    # One parameter alone: pyspark counts them.
    def __call__(self, x: Any) -> Any:
        """Return the predictions for a batch of rows.

        Parameters
        ----------
        x : array_like, table or iterator of tables
            The rows. A table is a frame of pandas or polars, an Arrow table or record batch, or a
            dict of columns. The columns of an array are those of the model, in its order.

        Returns
        -------
        ndarray, table or iterator of tables
            What the model's method returns for an array. For a table one of the same kind, with the
            columns of `keep` and those of `dtypes`; a frame of pandas keeps its index. For an
            iterator one of the results, which are computed when they are asked for.

        Raises
        ------
        TypeError, ValueError
            If a column is missing or has no numbers, or as the model's method raises them.
        OSError, ModelFileError
            If a worker cannot read the file, or it has changed.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.Sequential([cnn.Dense(2, 1, "sigmoid", init="zeros")])
        >>> net.feature_names = ["a", "b"]
        >>> predictor = cnn.Predictor(net)
        >>> predictor([[1.0, 2.0]])
        array([[0.5]], dtype=float32)
        >>> predictor({"b": [2.0], "a": [1.0], "c": [0.0]})
        {'output': array([0.5], dtype=float32)}
        """
        if isinstance(x, Iterator):
            return map(self, x)
        batch = _batches.batch_of(x)
        model = self.model
        predict = getattr(model, self._method)
        if batch is None:
            if self._keep:
                raise ValueError(
                    f"{_WHERE}: keep has {self._keep[0]!r}, but x of type {type(x).__name__} has "
                    f"no columns; should be a table"
                )
            return predict(x)
        kept = batch.columns(self._keep)
        if isinstance(model, Sequential):
            y = self._of_columns(batch, model)
        else:
            y = predict(batch.table)
        return batch.result(kept | self._named(y))

    def _of_columns(self, batch: Batch, net: Sequential) -> Any:
        """Return the outputs of a network for the columns of a table."""
        names = self._columns
        if names is None:
            names = tuple(name for name in batch.names if name not in self._keep)
        if not names or not _batches.has_rows(batch.columns(names)):
            return np.empty((0, net.outputs), net.dtype)
        return net.predict(_batches.inputs(batch, names))

    def _named(self, y: Any) -> dict[str, Any]:
        """Return predictions by the names of their columns."""
        if isinstance(self._names, str):
            return {self._names: y}
        if self._is_flat:
            return {self._names[0]: y}
        return {name: y[:, i] for i, name in enumerate(self._names)}


# ---- Arguments ----------------------------------------------------------------------------------


def _texts(what: str, given: Any) -> tuple[str, ...]:
    """Return an argument that is a list of different names."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(
            f"{_WHERE}: {what} is of type {type(given).__name__}, should be a list of names"
        )
    found = tuple(given)
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"{_WHERE}: {what} has {name!r}, should be strings")
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ValueError(f"{_WHERE}: {what} has {twice!r} twice, names should differ")
    return found


def _columns(model: Any, given: Any) -> tuple[str, ...] | None:
    """Return the names of the columns to predict from; None for all of a table."""
    if not isinstance(model, Sequential):
        if given is not None:
            raise ValueError(
                f"{_WHERE}: columns is given, but the model is a TableModel, which has the names "
                f"of its columns; should be left out"
            )
        return None
    if given is None:
        return model.feature_names
    found = (given,) if isinstance(given, str) else _texts("columns", given)
    if not found:
        raise ValueError(f"{_WHERE}: columns has no names, should have at least 1")
    return found


def _predictions(model: Any, method: str) -> tuple[tuple[str, ...], np.dtype[Any]]:
    """Return the usual names of the columns of predictions, and their type."""
    if isinstance(model, Sequential):
        names, count = model.class_names, model.outputs
        if names is None or len(names) != count:
            names = ("output",) if count == 1 else tuple(f"output_{i}" for i in range(count))
        return names, model.dtype
    if method == "predict":
        return (model.target,), np.dtype(np.float64 if model.classes is None else object)
    if model.classes is None:
        raise ValueError(
            f"{_WHERE}: method is 'predict_proba', should be 'predict': the model predicts the "
            f"number {model.target!r}, which has no classes"
        )
    return model.classes, model.net.dtype


def _names(given: Any, usual: tuple[str, ...], keep: tuple[str, ...]) -> str | tuple[str, ...]:
    """Return the names of the columns of predictions, or that of their only column."""
    if isinstance(given, str):
        found: str | tuple[str, ...] = given
    else:
        found = usual if given is None else _texts("names", given)
        if len(found) != len(usual):
            raise ValueError(
                f"{_WHERE}: names has {len(found)} names, should have {len(usual)}, one for each "
                f"prediction of a row, or be one string"
            )
    for name in keep:
        if name in ((found,) if isinstance(found, str) else found):
            raise ValueError(
                f"{_WHERE}: keep has {name!r}, which is the name of a prediction too; names should "
                f"be others"
            )
    return found

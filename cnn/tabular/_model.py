"""TableModel: a network with the preprocessing of a table's rows."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from cnn._base.texts import listed, shown
from cnn._tables import preprocessing
from cnn._tables.table import Category
from cnn.sequential import Sequential, network_of
from cnn.tabular._columns import Reader

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TypeAlias

    from numpy.typing import DTypeLike, NDArray

    from cnn._base.choices import Task
    from cnn._tables.preprocessing import Preprocessing
    from cnn.optimizers import Optimizer

    Rows: TypeAlias = (
        Mapping[str, Any]
        | Sequence[Sequence[Any]]
        | Sequence[Mapping[str, Any]]
        | NDArray[Any]
        | Any
    )

# Rows that are standardised at a time.
_BLOCK = 4096


class TableModel:
    """A network that takes the rows of a table and predicts classes or numbers.

    `cnn.load` returns one for a file that ``cnn train`` or `save` wrote. It has the network and,
    from the same file, the preprocessing of columns and the meaning of outputs:

    - a number v becomes ``(v - mean) / scale``, in float64, rounded once to the network's type;
    - a category becomes one input for each category, 1 for its own and 0 for the others;
    - if the network has the output z for a number, the prediction is ``z * scale + mean`` in
      float64.

    Parameters
    ----------
    net : Sequential
        A network with columns: that of another TableModel, or a copy or pickle of it.

    Attributes
    ----------
    net : Sequential
        The network alone. Its inputs are those that `transform` returns, and its files keep the
        columns.
    task : str
        "classification" or "regression".
    columns : tuple of str
        The names of the columns that are taken, in the order of rows without names.
    categories : dict of str to tuple of str
        The categories of those columns that have them.
    target : str
        The name of the column that is predicted.
    classes : tuple of str or None
        The classes, in the order of `predict_proba`; None in regression.

    Raises
    ------
    TypeError
        If `net` is no Sequential.
    ValueError
        If `net` has no columns.

    Notes
    -----
    Tables are data frames of pandas or polars, Arrow tables, dicts of columns, structured arrays,
    lists of dicts, and rows of values in the order of `columns`: a list of lists, or an array of 2
    dimensions. With names, columns may have any order, and others may be among them.

    Numbers are real numbers or texts of such, as a file has them. A category is its text, character
    by character. A value of another type stands for the text that a file would have: 7 for "7", and
    True for the one of "True", "true" and "TRUE" that is a category. A float such as 7.0 is the
    category "7.0" or "7", since whole numbers become floats in a column that had missing values. A
    number is refused if several categories are spellings of it, such as "7" and "07". Values that
    are missing, masked, not finite, or none of the categories are refused, with their row, counted
    from 0, and column.

    Examples
    --------
    >>> import cnn, os, tempfile
    >>> from cnn.__main__ import main
    >>> folder = tempfile.TemporaryDirectory()
    >>> data = os.path.join(folder.name, "fruit.csv")
    >>> path = os.path.join(folder.name, "fruit.safetensors")
    >>> with open(data, "w") as file:
    ...     print("weight,skin,fruit", *["150,smooth,apple", "10,rough,lychee"] * 20, file=file,
    ...           sep=chr(10))
    >>> main(["train", data, "--target", "fruit", "-o", path, "--quiet"])  # doctest: +ELLIPSIS
    /...
    0
    >>> model = cnn.load(path)
    >>> model
    TableModel(weight, skin -> fruit: apple, lychee)
    >>> model.predict([[140, "smooth"], [12, "rough"]])
    array(['apple', 'lychee'], dtype=object)
    >>> model.predict({"skin": ["rough"], "weight": [9.5]})
    array(['lychee'], dtype=object)
    >>> model.predict([[140, "hairy"]])
    Traceback (most recent call last):
    ValueError: predict: row 0, column 'skin' is 'hairy', should be one of rough, smooth
    >>> folder.cleanup()
    """

    def __init__(self, net: Sequential) -> None:
        if not isinstance(net, Sequential):
            raise TypeError(
                f"TableModel: net is of type {type(net).__name__}, should be a Sequential"
            )
        self._adopt("TableModel", net)

    def _adopt(self, where: str, net: Sequential) -> None:
        network = network_of(net)
        plan = preprocessing.of_network(network, where)
        if plan is None:
            raise ValueError(
                f"{where}: net does not say how inputs are made of columns, should be the network "
                f"of a file that 'cnn train' wrote"
            )
        self._net, self._network = net, network
        self._plan = plan
        self._reader = Reader(plan.columns, plan.decimal)

    # ---- Structure -----------------------------------------------------------------------------

    @property
    def net(self) -> Sequential:
        """The network alone."""
        return self._net

    @property
    def task(self) -> Task:
        """The task: "classification" or "regression"."""
        return self._plan.task

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that are taken."""
        return tuple(column.name for column in self._plan.columns)

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """The categories of those columns that have them."""
        return {c.name: c.categories for c in self._plan.columns if isinstance(c, Category)}

    @property
    def target(self) -> str:
        """The name of the column that is predicted."""
        return self._plan.target.name

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes; None in regression."""
        target = self._plan.target
        return target.categories if isinstance(target, Category) else None

    def __repr__(self) -> str:
        made = "a number" if self.classes is None else listed(self.classes)
        text = f"TableModel({listed(self.columns)} -> {self.target}: {made})"
        return shown(text)

    def summary(self) -> str:
        """Return a table of the layers and of the preprocessing of columns as text.

        Returns
        -------
        str
            The lines of the table. Numbers have all of their digits.
        """
        return "\n".join([self._net.summary(), "", *preprocessing.described(self._plan)])

    def __getattr__(self, name: str) -> NoReturn:
        # Only called if there is no such attribute. Copying calls it before __init__ has run.
        text = f"TableModel has no {name!r}"
        if name == "to_torch":
            text += ", since a PyTorch module has no columns; model.net.to_torch() makes one of "
            text += "the network alone, which takes what model.transform returns"
        elif not name.startswith("_") and hasattr(Sequential, name):
            text += f"; its network has model.net.{name}, and takes what model.transform returns"
        raise AttributeError(text, name=name, obj=self)

    def __copy__(self) -> TableModel:
        # Two objects with the same weights would train each other.
        return TableModel(copy.copy(self._net))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._adopt("TableModel", state["net"])

    def __getstate__(self) -> dict[str, Any]:
        # Everything else is computed from it.
        return {"net": self._net}

    # ---- Prediction ----------------------------------------------------------------------------

    def predict(self, rows: Rows) -> NDArray[Any]:
        """Predict the target of each row.

        Parameters
        ----------
        rows : data frame, dict of columns, or list of rows
            A table with the model's columns, of a type that the class describes.

        Returns
        -------
        ndarray of shape (n,)
            In classification the texts of the classes, of dtype object; in regression numbers, of
            dtype float64. They do not depend on the other rows.

        Raises
        ------
        TypeError, ValueError
            If `rows` is no table, a column is missing, or a value is no finite number, is none of
            the categories, or is so far from those of training that the prediction is not finite.

        Examples
        --------
        >>> import cnn
        >>> model = cnn.load("penguins.safetensors")  # doctest: +SKIP
        >>> model.predict(pandas.read_csv("penguins.csv"))  # doctest: +SKIP
        array(['Adelie', 'Gentoo', 'Adelie'], dtype=object)
        """
        found = list(self._outputs("predict", rows))
        if self.classes is None:
            return np.concatenate([y[:, 0] for y in found])
        best = np.concatenate([y.argmax(axis=1) for y in found])
        return np.array(self.classes, object).take(best)

    def predict_proba(self, rows: Rows) -> NDArray[Any]:
        """Return the probability of each class for each row.

        Parameters
        ----------
        rows : data frame, dict of columns, or list of rows
            A table with the model's columns, of a type that the class describes.

        Returns
        -------
        ndarray of shape (n, classes)
            The probabilities in the order of `classes`, of the network's dtype.

        Raises
        ------
        TypeError, ValueError
            As for `predict`, and if the model predicts a number.

        Examples
        --------
        >>> import cnn
        >>> model = cnn.load("penguins.safetensors")  # doctest: +SKIP
        >>> model.predict_proba([[39.1, "Torgersen"]])  # doctest: +SKIP
        array([[0.97, 0.02, 0.01]], dtype=float32)
        """
        if self.classes is None:
            raise ValueError(
                f"predict_proba: the model predicts the number {self.target!r}, which has no "
                f"classes; predict returns it"
            )
        return np.concatenate(list(self._outputs("predict_proba", rows)))

    def transform(self, rows: Rows) -> NDArray[Any]:
        """Return the network's inputs for rows: standardised numbers, and one-hot categories.

        Parameters
        ----------
        rows : data frame, dict of columns, or list of rows
            A table with the model's columns, of a type that the class describes.

        Returns
        -------
        ndarray of shape (n, net.inputs)
            The inputs of ``model.net``, of its dtype.

        Raises
        ------
        TypeError, ValueError
            As for `predict`.

        Examples
        --------
        >>> import cnn
        >>> model = cnn.load("penguins.safetensors")  # doctest: +SKIP
        >>> model.net.predict(model.transform([[39.1, "Torgersen"]]))  # doctest: +SKIP
        array([[0.97, 0.02, 0.01]], dtype=float32)
        """
        values = self._reader.read("transform", rows)
        return self._plan.x(values, "transform", -1, dtype=self._net.dtype)

    def _outputs(self, where: str, rows: Rows) -> Iterator[NDArray[Any]]:
        values = self._reader.read(where, rows)
        # At least once, for a table without rows.
        for first in range(0, max(1, len(values)), _BLOCK):
            yield self._plan.predicted(
                self._network, values[first : first + _BLOCK], where, first - 1
            )

    # ---- Files ---------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, optimizer: Optimizer | None = None) -> None:
        """Save the network and the columns to a file that `cnn.load` and ``cnn predict`` read.

        Parameters
        ----------
        path, optimizer
            As for `Sequential.save`.

        Raises
        ------
        TypeError, ValueError, OSError
            As for `Sequential.save`.

        Examples
        --------
        >>> import cnn
        >>> model = cnn.load("penguins.safetensors")  # doctest: +SKIP
        >>> model.save("copy.safetensors")  # doctest: +SKIP
        """
        self._net.save(path, optimizer=optimizer)

    def to_c(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        dtype: DTypeLike | None = None,
        fast: bool = False,
    ) -> None:
        """Write the model as one C99 header that takes the raw values of a row.

        The header has ``int NAME_predict(const double *row, ...)``, which standardises as `predict`
        does, to the same bits; ``int NAME_category(size_t column, const char *text)``, the place of
        a category; the names of columns, categories and classes as arrays of strings; and
        ``NAME_forward``, the network alone, which is what `Sequential.to_c` calls ``NAME_predict``.
        The comment at its top describes their use.

        Parameters
        ----------
        path, name, dtype, fast
            As for `Sequential.to_c`.

        Raises
        ------
        TypeError, ValueError, OSError
            As for `Sequential.to_c`, and if a name or category has a NUL character or cannot be
            encoded in UTF-8.

        Examples
        --------
        >>> import cnn
        >>> model = cnn.load("penguins.safetensors")  # doctest: +SKIP
        >>> model.to_c("penguins.h")  # doctest: +SKIP
        """
        from cnn.exchange import c_header  # noqa: PLC0415  # `import cnn` need not wait for it

        c_header.write(self._network, path, name=name, dtype=dtype, fast=fast, plan=self._plan)

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the model as an ONNX model that takes raw columns by their names.

        It needs the package onnx: ``pip install ".[onnx]"``. Each column is an input of shape
        (n, 1) with the column's name: float64 for numbers, strings for categories. Inputs of the
        network are computed in float64 and have the bits of `transform`. In classification the
        outputs are "label" (n,), the texts of the classes, and "probabilities" (n, classes); in
        regression "number" (n,), in float64. If a column has the name of an output, the output's
        name ends with "_". The metadata ``cnn_preprocessing`` has columns and target as JSON.

        For a category that was not in training, ONNX Runtime raises an error. If a number is NaN,
        infinite or too far from those of training, outputs are NaN and the label is empty, or "NaN"
        if an empty text is one of the classes.

        Parameters
        ----------
        path : str or os.PathLike
            The file; one that exists is replaced, whole or not at all.

        Raises
        ------
        TypeError, ImportError, OSError
            As for `Sequential.to_onnx`.
        ValueError
            As for `Sequential.to_onnx`, and if a name or category cannot be encoded in UTF-8.

        Examples
        --------
        >>> import cnn
        >>> model = cnn.load("penguins.safetensors")  # doctest: +SKIP
        >>> model.to_onnx("penguins.onnx")  # doctest: +SKIP
        """
        from cnn.exchange import onnx_table  # noqa: PLC0415  # as above

        onnx_table.write(self._network, self._plan, path)


def of_file(where: str, net: Sequential) -> TableModel:
    """Return the model around a file's network, whose columns are not trusted."""
    made = TableModel.__new__(TableModel)
    made._adopt(where, net)
    return made


def plan_of(model: TableModel) -> Preprocessing:
    """Return the preprocessing of a model, for the command line."""
    return model._plan

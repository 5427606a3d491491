"""How TabularClassifier and TabularRegressor leave cnn: C headers and ONNX files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from cnn.exchange.raw import RawColumn, RawModel
from cnn.sequential import network_of
from cnn.tabular import _recipe

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

    from cnn import _core
    from cnn.exchange.raw import RawTarget
    from cnn.sequential import Sequential
    from cnn.tabular._encoder import Encoder, Feature

_MICROSECONDS = 10**6
# A category that no column has.
_UNSEEN = object()


class EstimatorExports:
    """The part of an estimator of tables that writes files for other programs."""

    nets_: list[Sequential]
    unseen: str
    _encoder: Encoder

    def _results(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is predicted, probabilities or numbers, from the means of outputs."""
        raise NotImplementedError

    def _raw_target(self) -> RawTarget:
        """Return what exports need of the target."""
        raise NotImplementedError

    def to_c(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        dtype: DTypeLike | None = None,
        fast: bool = False,
    ) -> None:
        """Write the model as one C99 header that takes the values of a row as they are.

        The header has ``int NAME_predict(const double *row, double *y)``, whose y has the bits of
        `predict_proba` or, for numbers, of `predict`. A row has a number for each column, NaN for a
        missing value; of a category its place, which ``int NAME_category(size_t column, const char
        *text)`` finds; of a date the seconds since 1970-01-01 00:00 UTC. Several networks
        (`n_ens`) are all in the header, and their outputs averaged. ``NAME_forward`` is the network
        alone, of several ``NAME_forward_0`` and so on. The comment at its top describes their use.

        Parameters
        ----------
        path, name, dtype, fast
            As for `cnn.Sequential.to_c`.

        Raises
        ------
        TypeError, ValueError, OSError
            As for `cnn.Sequential.to_c`, and if two categories of a column are the same text, or a
            name or category has a NUL character or cannot be encoded in UTF-8.

        Notes
        -----
        A category that training did not have, -1, counts as an infrequent one, or as a missing one
        if the column has no infrequent categories; with ``unseen="error"`` the row is refused.

        Examples
        --------
        >>> import cnn, os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = os.path.join(folder.name, "fruit.h")
        >>> table = {"weight": [150.0, 10.0] * 20, "skin": ["smooth", "rough"] * 20}
        >>> model = cnn.tabular.TabularClassifier(epochs=20, random_state=0)
        >>> model.fit(table, ["apple", "lychee"] * 20).to_c(path)
        >>> os.path.getsize(path) > 0
        True
        >>> folder.cleanup()
        """
        from cnn.exchange import c_header  # noqa: PLC0415  # `import cnn` need not wait for it

        c_header.write_raw(self._raw_model(), path, name=name, dtype=dtype, fast=fast)

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the model as an ONNX model that takes the columns of a table by their names.

        It needs the package onnx: ``pip install ".[onnx]"``. Each column is an input of shape
        (n, 1) with the column's name. Numbers are float64, NaN if they are missing, and so are
        dates, in seconds since 1970-01-01 00:00 UTC. Categories are strings: the texts of numbers
        and truth values as `str` makes them, and an empty one for a missing value, unless it is a
        category. All of the preprocessing and several networks (`n_ens`) are in the graph. The
        outputs of a classifier are "label" (n,), the texts of the classes, and "probabilities" (n,
        classes); those of a regressor "number" (n,), or "numbers" (n, k) for several targets or
        quantiles. Both are float64. If a column has the name of an output, the output's name ends
        with "_". The metadata ``cnn_columns`` has names, kinds and categories as JSON.

        Parameters
        ----------
        path : str or os.PathLike
            The file; one that exists is replaced, whole or not at all.

        Raises
        ------
        TypeError, ImportError, OSError
            As for `cnn.Sequential.to_onnx`.
        ValueError
            As for `cnn.Sequential.to_onnx`, and if two categories of a column are the same text, or
            a name or category cannot be encoded in UTF-8.

        Notes
        -----
        A category that training did not have counts as an infrequent one, or as a missing one if
        the column has no infrequent categories. With ``unseen="error"``, and if a number is
        infinite or a date out of range, the outputs of the row are NaN, and the label is empty.
        Inputs of the network have the bits of Python; the network itself is rounded differently, as
        `cnn.Sequential.to_onnx` tells.

        Examples
        --------
        >>> import cnn, os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = os.path.join(folder.name, "fruit.onnx")
        >>> table = {"weight": [150.0, 10.0] * 20, "skin": ["smooth", "rough"] * 20}
        >>> model = cnn.tabular.TabularClassifier(epochs=20, random_state=0)
        >>> model.fit(table, ["apple", "lychee"] * 20).to_onnx(path)
        >>> os.path.getsize(path) > 0
        True
        >>> folder.cleanup()
        """
        from cnn.exchange import onnx_raw  # noqa: PLC0415  # as above

        onnx_raw.write(self._raw_model(), path)

    def _raw_model(self) -> RawModel:
        """Return what exports need of the estimator, with copies of its networks."""
        check_is_fitted(self)

        def predict(
            networks: Sequence[_core.Network], rows: NDArray[np.float64]
        ) -> NDArray[np.float64]:
            x = self._encoder.transform(
                "predict", _table_of(self._encoder.features, rows), "ignore"
            )
            outputs = [network.predict(x.astype(network.dtype)) for network in networks]
            return self._results(_recipe.mean_of(outputs))

        return RawModel(
            columns=tuple(_column(feature) for feature in self._encoder.features),
            networks=tuple(network_of(net).copy() for net in self.nets_),
            target=self._raw_target(),
            refuses_unseen=self.unseen == "error",
            predict=predict,
        )


def _column(feature: Feature) -> RawColumn:
    kind = "category" if feature.kind == "boolean" else feature.kind
    numbers = tuple(feature.centers), tuple(feature.scales)
    categories = tuple(feature.categories), tuple(feature.infrequent)
    return RawColumn(feature.name, kind, *categories, *numbers)


def _table_of(features: Sequence[Feature], rows: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Return the table whose values rows of exports stand for."""
    return {feature.name: _values_of(feature, rows[:, i]) for i, feature in enumerate(features)}


def _values_of(feature: Feature, values: NDArray[np.float64]) -> NDArray[Any]:
    if feature.kind == "number":
        return values
    missing = np.isnan(values)
    if feature.kind == "date":
        found = np.full(len(values), "NaT", dtype="datetime64[us]")
        known = values[~missing]
        # As exports do it: float64 has not all microseconds of dates that are far from 1970.
        whole = np.floor(known)
        part = np.floor((known - whole) * _MICROSECONDS + 0.5)
        times = whole.astype(np.int64) * _MICROSECONDS + part.astype(np.int64)
        found[~missing] = times.astype("datetime64[us]")
        return found
    categories = np.empty(len(values), dtype=object)
    categories[~missing] = [
        feature.known[int(place)] if place >= 0 else _UNSEEN for place in values[~missing]
    ]
    return categories

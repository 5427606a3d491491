"""How models of tables leave cnn: model files, C headers, ONNX files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from numpy.typing import DTypeLike

    from cnn import _core
    from cnn._tables.preprocessing import Preprocessing
    from cnn.optimizers import Optimizer
    from cnn.sequential import Sequential


class Exports:
    """The part of `TableModel` that writes files."""

    _net: Sequential
    _network: _core.Network
    _plan: Preprocessing

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
        >>> import cnn, os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = os.path.join(folder.name, "fruit.safetensors")
        >>> table = {"weight": [150, 10] * 20, "fruit": ["apple", "lychee"] * 20}
        >>> model = cnn.tabular.TableModel.fit(table, target="fruit", epochs=50, rng=0)
        >>> model.save(path)
        >>> cnn.load(path)
        TableModel(weight -> fruit: apple, lychee)
        >>> folder.cleanup()
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
        >>> import cnn, os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = os.path.join(folder.name, "fruit.h")
        >>> table = {"weight": [150, 10] * 20, "fruit": ["apple", "lychee"] * 20}
        >>> model = cnn.tabular.TableModel.fit(table, target="fruit", epochs=50, rng=0)
        >>> model.to_c(path)
        >>> os.path.getsize(path) > 0
        True
        >>> folder.cleanup()
        """
        from cnn.exchange import c_header  # noqa: PLC0415  # `import cnn` need not wait for it

        network = self._network.copy()
        c_header.write(network, path, name=name, dtype=dtype, fast=fast, plan=self._plan)

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
        >>> import cnn, os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = os.path.join(folder.name, "fruit.onnx")
        >>> table = {"weight": [150, 10] * 20, "fruit": ["apple", "lychee"] * 20}
        >>> model = cnn.tabular.TableModel.fit(table, target="fruit", epochs=50, rng=0)
        >>> model.to_onnx(path)
        >>> os.path.getsize(path) > 0
        True
        >>> folder.cleanup()
        """
        from cnn.exchange import onnx_table  # noqa: PLC0415  # as above

        onnx_table.write(self._network.copy(), self._plan, path)

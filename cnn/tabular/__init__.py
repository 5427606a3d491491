"""Networks for tables: from the columns of a data frame to classes or numbers.

`TabularClassifier` and `TabularRegressor` are scikit-learn estimators that take tables as they are,
`distill` trains one with the predictions of another estimator.
`TableModel.fit` trains a `TableModel`. `cnn.load` of a file that ``cnn train`` wrote returns one.
"""

from typing import TYPE_CHECKING, Any

from cnn._base import extras
from cnn.tabular._fit import Fitted as Fitted
from cnn.tabular._fit import Settings as Settings
from cnn.tabular._fit import Start as Start
from cnn.tabular._fit import fit as fit
from cnn.tabular._fit_shards import Run as Run
from cnn.tabular._fit_shards import fit_shards as fit_shards
from cnn.tabular._model import TableModel
from cnn.tabular._model import of_file as of_file
from cnn.tabular._model import of_fitted as of_fitted
from cnn.tabular._model import plan_of as plan_of
from cnn.tabular._recipe import PRESETS as PRESETS
from cnn.tabular._recipe import Recipe as Recipe
from cnn.tabular._row_models import RowModel as RowModel
from cnn.tabular._row_models import described as described
from cnn.tabular._row_models import described_columns as described_columns
from cnn.tabular._row_models import row_model as row_model
from cnn.tabular._scores import scores as scores
from cnn.tabular._shards import Outline as Outline
from cnn.tabular._shards import Reading as Reading

if TYPE_CHECKING:
    from cnn.tabular._classifier import TabularClassifier as TabularClassifier
    from cnn.tabular._distill import Distillation as Distillation
    from cnn.tabular._distill import distill as distill
    from cnn.tabular._estimator_tables import EstimatorStart as EstimatorStart
    from cnn.tabular._estimator_tables import FittedEstimator as FittedEstimator
    from cnn.tabular._estimator_tables import fit_estimator as fit_estimator
    from cnn.tabular._regressor import TabularRegressor as TabularRegressor

__all__ = ["Distillation", "TableModel", "TabularClassifier", "TabularRegressor", "distill"]

# The modules of what needs scikit-learn.
_ESTIMATORS = {"TabularClassifier": "_classifier", "TabularRegressor": "_regressor"}
_LATER = {
    **_ESTIMATORS,
    **dict.fromkeys(("Distillation", "distill"), "_distill"),
    "fit_estimator": "_estimator_tables",
}


def __getattr__(name: str) -> Any:
    """Import what needs scikit-learn when it is first used."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    extras.require(
        f"cnn.tabular.{name}", "sklearn.utils.validation", "sklearn", has="validate_data"
    )
    from importlib import import_module  # noqa: PLC0415  # `import cnn.tabular` need not wait

    found = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = found
    return found


def estimator_of_file(where: str, nets: list[Any], text: str) -> Any:
    """Return the estimator around a file's networks; neither they nor the text are trusted."""
    kinds = {name: __getattr__(name) for name in _ESTIMATORS}
    from cnn.tabular._estimator_files import restored  # noqa: PLC0415

    return restored(where, nets, text, kinds)

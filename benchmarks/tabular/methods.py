"""The libraries, each with its defaults and its own way for categories and missing values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

THREADS = 1


class Estimator(Protocol):
    """What is timed."""

    def fit(self, X: Any, y: Any) -> Any: ...

    def predict(self, X: Any) -> Any: ...


@dataclass(frozen=True)
class Method:
    """A library with its settings."""

    label: str
    package: str
    """The distribution that a user installs for it."""
    make: Callable[[bool, int, list[str]], Estimator]
    """Returns an estimator, given if the target are classes, a seed, and columns of categories."""


def _cnn(**settings: Any) -> Callable[[bool, int, list[str]], Estimator]:
    def make(is_classes: bool, seed: int, categories: list[str]) -> Estimator:
        from cnn.tabular import TabularClassifier, TabularRegressor

        kind: Any = TabularClassifier if is_classes else TabularRegressor
        found: Estimator = kind(random_state=seed, n_jobs=THREADS, unseen="ignore", **settings)
        return found

    return make


def _lightgbm(is_classes: bool, seed: int, categories: list[str]) -> Estimator:
    import lightgbm

    kind: Any = lightgbm.LGBMClassifier if is_classes else lightgbm.LGBMRegressor
    found: Estimator = kind(random_state=seed, n_jobs=THREADS, verbose=-1)
    return found


def _xgboost(is_classes: bool, seed: int, categories: list[str]) -> Estimator:
    import xgboost

    settings = {"random_state": seed, "n_jobs": THREADS, "enable_categorical": True}
    if not is_classes:
        found: Estimator = xgboost.XGBRegressor(**settings)
        return found
    return _Coded(xgboost.XGBClassifier(**settings))


def _catboost(is_classes: bool, seed: int, categories: list[str]) -> Estimator:
    import catboost

    kind: Any = catboost.CatBoostClassifier if is_classes else catboost.CatBoostRegressor
    made = kind(
        random_seed=seed,
        thread_count=THREADS,
        verbose=False,
        allow_writing_files=False,
        cat_features=categories,
    )
    return _Filled(made, categories)


def _hist_gradient_boosting(is_classes: bool, seed: int, categories: list[str]) -> Estimator:
    from sklearn import ensemble

    kind: Any = (
        ensemble.HistGradientBoostingClassifier
        if is_classes
        else ensemble.HistGradientBoostingRegressor
    )
    found: Estimator = kind(random_state=seed)
    return found


def _mlp(is_classes: bool, seed: int, categories: list[str]) -> Estimator:
    from sklearn.compose import TransformedTargetRegressor, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler

    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        QuantileTransformer(output_distribution="normal", random_state=seed),
    )
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer((one_hot, categories), remainder=numbers)
    settings = {"random_state": seed, "early_stopping": True}
    if is_classes:
        found: Estimator = make_pipeline(columns, MLPClassifier(**settings))
        return found
    scaled = TransformedTargetRegressor(MLPRegressor(**settings), transformer=StandardScaler())
    found = make_pipeline(columns, scaled)
    return found


def _pytabkit(name: str) -> Callable[[bool, int, list[str]], Estimator]:
    def make(is_classes: bool, seed: int, categories: list[str]) -> Estimator:
        import pytabkit

        kind = getattr(pytabkit, f"{name}_{'Classifier' if is_classes else 'Regressor'}")
        made = kind(random_state=seed, device="cpu", n_threads=THREADS, verbosity=0)
        return _Numbers(made, categories)

    return make


class _Wrapped:
    """An estimator that gets its table in another form."""

    def __init__(self, inner: Any, categories: list[str] | None = None) -> None:
        self._inner = inner
        self._categories = categories or []

    def fit(self, X: Any, y: Any) -> Any:
        self._inner.fit(self._taken(X), y)
        self.classes_ = getattr(self._inner, "classes_", None)
        return self

    def predict(self, X: Any) -> Any:
        return self._inner.predict(self._taken(X))

    def predict_proba(self, X: Any) -> Any:
        return self._inner.predict_proba(self._taken(X))

    def _taken(self, X: Any) -> Any:
        return X


class _Filled(_Wrapped):
    """Missing categories as a category of their own, which CatBoost does not do."""

    def _taken(self, X: Any) -> Any:
        X = X.copy()
        for name in self._categories:
            X[name] = X[name].astype(object).where(X[name].notna(), "missing").astype(str)
        return X


class _Numbers(_Wrapped):
    """Missing numbers as medians with a mark beside them, which pytabkit's networks do not do."""

    def fit(self, X: Any, y: Any) -> Any:
        numbers = X.drop(columns=self._categories)
        self._medians = numbers.median()
        self._marked = [name for name in numbers.columns if numbers[name].isna().any()]
        return super().fit(X, y)

    def _taken(self, X: Any) -> Any:
        X = X.copy()
        for name in self._marked:
            X[f"{name} is missing"] = X[name].isna().astype(float)
        return X.fillna(self._medians.to_dict())


class _Coded(_Wrapped):
    """Classes as numbers, which XGBoost needs."""

    def fit(self, X: Any, y: Any) -> Any:
        from sklearn.preprocessing import LabelEncoder

        self._encoder = LabelEncoder()
        self._inner.fit(X, self._encoder.fit_transform(y))
        self.classes_ = self._encoder.classes_
        return self

    def predict(self, X: Any) -> Any:
        return self._encoder.inverse_transform(self._inner.predict(X))


METHODS = {
    "cnn": Method("cnn", "cnn", _cnn()),
    "cnn-fast": Method('cnn, preset="fast"', "cnn", _cnn(preset="fast")),
    "mlp": Method("scikit-learn MLP", "scikit-learn", _mlp),
    "hgb": Method("scikit-learn HistGradientBoosting", "scikit-learn", _hist_gradient_boosting),
    "lightgbm": Method("LightGBM", "lightgbm", _lightgbm),
    "xgboost": Method("XGBoost", "xgboost", _xgboost),
    "catboost": Method("CatBoost", "catboost", _catboost),
    "realmlp": Method("RealMLP-TD (pytabkit)", "pytabkit", _pytabkit("RealMLP_TD")),
    "tabm": Method("TabM-D (pytabkit)", "pytabkit", _pytabkit("TabM_D")),
}

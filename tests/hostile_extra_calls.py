"""Plots and estimators with good arguments, as hostile_calls.py wants them."""

import contextlib
import os

import numpy as np
from hostile_core_calls import Case

import cnn


def extras():
    """Return the calls of parts that need other packages, where these are."""
    found = {}
    with contextlib.suppress(ImportError):
        found |= plots()
    with contextlib.suppress(ImportError):
        found |= estimators()
        found |= estimators_of_tables()
    return found


def plots():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    import cnn.plot

    def drawn(function):
        def draw(**kw):
            try:
                return function(**kw)
            finally:
                pyplot.close("all")

        return draw

    def history(w):
        return w.made("history", lambda: w.net.fit(w.x, w.t, progress=False))

    plot = cnn.plot
    return {
        "learning_curves": Case(
            drawn(plot.learning_curves), lambda w: {"history": history(w), "ax": None}
        ),
        "confusion_matrix": Case(
            drawn(plot.confusion_matrix),
            lambda w: {"t": w.t, "p": w.rows, "class_names": ["a", "b"], "ax": None},
        ),
        "predictions": Case(
            drawn(plot.predictions),
            lambda w: {"net": w.net, "x": w.x, "t": w.t, "shape": (1, 3), "ax": None},
        ),
        "first_layer_weights": Case(
            drawn(plot.first_layer_weights), lambda w: {"net": w.net, "shape": (1, 3), "ax": None}
        ),
        "gradient_norms": Case(
            drawn(plot.gradient_norms), lambda w: {"net": w.net, "x": w.x, "t": w.t, "ax": None}
        ),
        "activations": Case(drawn(plot.activations), lambda w: {"names": ["relu"], "ax": None}),
        "likelihood_curve": Case(drawn(plot.likelihood_curve), lambda w: {"k": 3, "n": 10}),
        "roc_curve": Case(drawn(plot.roc_curve), lambda w: {"t": w.t, "p": w.rows}),
        "precision_recall_curve": Case(
            drawn(plot.precision_recall_curve), lambda w: {"t": w.t, "p": w.rows}
        ),
        "calibration_curve": Case(
            drawn(plot.calibration_curve), lambda w: {"t": w.t, "p": w.rows, "bins": 3}
        ),
        "predicted_vs_true": Case(
            drawn(plot.predicted_vs_true), lambda w: {"t": w.rows, "y": w.rows, "names": ["a", "b"]}
        ),
        "decision_boundary": Case(
            drawn(plot.decision_boundary),
            lambda w: {"net": w.net, "x": w.x, "t": w.t, "columns": (0, 1), "resolution": 5},
        ),
        "network_diagram": Case(
            drawn(plot.network_diagram), lambda w: {"net": w.net, "most": 3, "texts": None}
        ),
        "activation_histograms": Case(
            drawn(plot.activation_histograms),
            lambda w: {"net": w.net, "x": w.x, "bins": 3, "limits": (0, 1)},
        ),
        "loss_surface": Case(
            drawn(plot.loss_surface),
            lambda w: {"net": w.net, "x": w.x, "t": w.t, "span": 1.0, "resolution": 2, "rng": 0},
        ),
    }


def estimators():
    from cnn.sklearn import MLPClassifier, MLPRegressor

    settings = {"hidden_layer_sizes": (3,), "max_iter": 1, "random_state": 0, "batch_size": 2}

    def fitted(w, cls):
        return w.made(cls.__name__, lambda: cls(**settings).fit(np.eye(5, 3), [0, 1, 1, 0, 1]))

    return {
        **{
            f"{cls.__name__}.fit": Case(
                lambda cls=cls, **kw: cls(**settings).fit(**kw),
                lambda w: {
                    "X": w.x,
                    "y": w.t,
                    "sample_weight": w.sample_weight,
                    "callbacks": (),
                    "validation_data": (w.x, w.t),
                },
            )
            for cls in (MLPClassifier, MLPRegressor)
        },
        **{
            f"{cls.__name__}.partial_fit": Case(
                lambda cls=cls, **kw: cls(**settings).partial_fit(**kw),
                lambda w: {"X": w.x, "y": w.t},
            )
            for cls in (MLPClassifier, MLPRegressor)
        },
        **{
            f"{cls.__name__}.predict": Case(
                lambda estimator, X: estimator.predict(X),
                lambda w, cls=cls: {"estimator": fitted(w, cls), "X": w.x},
                ("estimator",),
            )
            for cls in (MLPClassifier, MLPRegressor)
        },
        "MLPClassifier.score": Case(
            lambda estimator, **kw: estimator.score(**kw),
            lambda w: {
                "estimator": fitted(w, MLPClassifier),
                "X": w.x,
                "y": w.t,
                "sample_weight": w.sample_weight,
            },
            ("estimator",),
        ),
        "MLPClassifier": Case(
            lambda **kw: MLPClassifier(**settings | kw).fit(np.eye(5, 3), [0, 1, 1, 0, 1]),
            lambda w: {
                "activation": "relu",
                "alpha": 0.1,
                "learning_rate_init": 0.1,
                "shuffle": True,
                "tol": 0.1,
                "dropout": 0.1,
                "class_weight": None,
                "hidden_layer_sizes": (2,),
            },
        ),
        "from_sklearn of": Case(
            lambda **kw: cnn.from_sklearn(_estimator(**kw)),
            lambda w: {
                "coefs_": [w.w],
                "intercepts_": [w.b],
                "activation": "relu",
                "out_activation_": "softmax",
            },
        ),
    }


def estimators_of_tables():
    from cnn.tabular import TabularClassifier, TabularRegressor

    settings = {"preset": "fast", "epochs": 1, "hidden_layer_sizes": (3,), "random_state": 0}
    table = {"a": [0.1, None, 0.3, 0.4, 0.5], "b": ["x", "y", None, "x", "y"]}
    classes = [0, 1, 1, 0, 1]

    def fitted(w, cls):
        return w.made(cls.__name__, lambda: cls(**settings).fit(table, classes))

    both = (TabularClassifier, TabularRegressor)
    return {
        **{
            f"{cls.__name__}.fit": Case(
                lambda cls=cls, **kw: cls(**settings).fit(**kw),
                lambda w: {"X": w.x, "y": w.t, "sample_weight": w.sample_weight},
            )
            for cls in both
        },
        **{
            f"{cls.__name__}.fit of a column": Case(
                lambda cls=cls, **columns: cls(**settings).fit(columns, classes),
                lambda w: dict(table),
            )
            for cls in both
        },
        **{
            f"{cls.__name__}.predict": Case(
                lambda estimator, X: estimator.predict(X),
                lambda w, cls=cls: {"estimator": fitted(w, cls), "X": table},
                ("estimator",),
            )
            for cls in both
        },
        "TabularClassifier.to_c": Case(
            lambda estimator, **kw: estimator.to_c(**kw),
            lambda w: {
                "estimator": fitted(w, TabularClassifier),
                "path": os.path.join(w.folder, "m.h"),
                "name": "m",
                "dtype": "float32",
                "fast": False,
            },
            ("estimator",),
        ),
        "TabularRegressor.to_onnx": Case(
            lambda estimator, path: estimator.to_onnx(path),
            lambda w: {
                "estimator": fitted(w, TabularRegressor),
                "path": os.path.join(w.folder, "m.onnx"),
            },
            ("estimator",),
        ),
        "TabularClassifier.predict_proba": Case(
            lambda estimator, **columns: estimator.predict_proba(columns),
            lambda w: {"estimator": fitted(w, TabularClassifier), **table},
            ("estimator",),
        ),
        **{
            cls.__name__: Case(
                lambda cls=cls, **kw: cls(**settings | kw).fit(table, classes),
                lambda w: {
                    "preset": "fast",
                    "n_ens": 1,
                    "hidden_layer_sizes": (2,),
                    "activation": "relu",
                    "batch_size": 2,
                    "lr": 0.1,
                    "dropout": 0.1,
                    "weight_decay": 0.1,
                    "sigma": 0.1,
                    "validation_fraction": 0.4,
                    "early_stopping": False,
                    "categorical_features": ["b"],
                    "unseen": "ignore",
                },
            )
            for cls in both
        },
    }


def _estimator(**attributes):
    made = type("MLPClassifier", (), {})()
    vars(made).update(attributes)
    return made

"""Pipelines with these estimators as ONNX models, by skl2onnx."""

from __future__ import annotations

from cnn.sequential import network_of
from cnn.sklearn._classifier import MLPClassifier
from cnn.sklearn._regressor import MLPRegressor


def register_skl2onnx() -> None:
    """Let skl2onnx convert `MLPClassifier` and `MLPRegressor`, alone and in a Pipeline.

    Call it once before ``skl2onnx.to_onnx``. The models have the outputs of those of scikit-learn's
    classes, label and probabilities, and take the same options: ``zipmap``, ``nocl`` and
    ``output_class_labels``. A regressor has a column for each output, where skl2onnx puts all
    outputs of scikit-learn's into one; and the labels of several at once are right if there are two
    of them. The model computes in float32, or in float64 if its input is double. It needs the
    package skl2onnx: ``pip install ".[skl2onnx]"``.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    cnn.Sequential.to_onnx : Write the network alone.

    Examples
    --------
    >>> import numpy as np
    >>> from cnn.sklearn import MLPClassifier, register_skl2onnx
    >>> x, y = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32), [0, 0, 1, 1]
    >>> model = MLPClassifier(solver="lbfgs", random_state=0).fit(x, y)
    >>> import skl2onnx  # doctest: +SKIP
    >>> register_skl2onnx()  # doctest: +SKIP
    >>> exported = skl2onnx.to_onnx(model, x)  # doctest: +SKIP
    >>> [output.name for output in exported.graph.output]  # doctest: +SKIP
    ['output_label', 'output_probability']
    """
    from cnn.exchange import skl2onnx_write  # noqa: PLC0415  # imported on demand, seldom used

    skl2onnx_write.register(
        MLPClassifier, MLPRegressor, lambda estimator: network_of(estimator.net_)
    )

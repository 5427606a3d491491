"""scikit-learn's multilayer perceptrons, trained by cnn: to migrate, change the import.

Parameters, attributes and methods are those of `sklearn.neural_network`. In addition there are more
activations, dropout, class weights, validation sets given to `fit`, and callbacks.

>>> from cnn.sklearn import MLPClassifier
>>> from sklearn.datasets import load_iris
>>> x, y = load_iris(return_X_y=True)
>>> MLPClassifier(solver="lbfgs", random_state=0, max_iter=1000).fit(x, y).score(x, y) > 0.95
True
"""

from cnn._base import extras

try:
    from cnn.sklearn._classifier import MLPClassifier
    from cnn.sklearn._regressor import MLPRegressor
    from cnn.sklearn._skl2onnx import register_skl2onnx
except ImportError:
    # scikit-learn 1.6, the oldest version that will do, is the first that has validate_data.
    extras.require("cnn.sklearn", "sklearn.utils.validation", "sklearn", has="validate_data")
    raise

__all__ = ["MLPClassifier", "MLPRegressor", "register_skl2onnx"]

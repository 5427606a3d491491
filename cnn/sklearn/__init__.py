"""scikit-learn's multilayer perceptrons with cnn inside: to migrate, change the import.

Parameters, attributes and methods are those of `sklearn.neural_network`; beside them there are more
activations, dropout, class weights, a validation set of your own and callbacks.

>>> from cnn.sklearn import MLPClassifier
>>> from sklearn.datasets import load_iris
>>> x, y = load_iris(return_X_y=True)
>>> MLPClassifier(solver="lbfgs", random_state=0, max_iter=1000).fit(x, y).score(x, y) > 0.95
True
"""

try:
    # The youngest part of scikit-learn that is used: a version that is too old fails here.
    from sklearn.utils.validation import validate_data as _validate_data
except ImportError as error:
    raise ImportError(
        "cnn.sklearn needs scikit-learn 1.6 or newer, which is not installed: "
        'pip install "cnn[sklearn]"'
    ) from error

from cnn.sklearn._classifier import MLPClassifier
from cnn.sklearn._regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]

del _validate_data

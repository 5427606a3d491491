"""Networks from the models of PyTorch and scikit-learn, without an import of either."""

from __future__ import annotations

import copy
from typing import Any

from cnn._base.metadata import CLASS_NAMES, FEATURE_NAMES
from cnn._model.names import take_names
from cnn.sequential import Sequential, network_of, of_network

__all__ = ["from_sklearn", "from_torch"]


def from_torch(module: Any) -> Sequential:
    """Return a network with copies of the parameters of a PyTorch module.

    Parameters
    ----------
    module : torch.nn.Module
        A `torch.nn.Sequential`, nested ones included, of Linear, Dropout, Flatten, Identity,
        BatchNorm1d and activations. Or a module of your own with such children, used in the order
        in which they were made. Since its ``forward`` or a hook may do anything, its outputs for a
        few samples are compared with those of the network. Modules that call functions such as
        ``torch.nn.functional.tanh``, have several outputs or compute their weights (pruning, weight
        norm) are refused; `from_onnx` reads many of them. For one head of several, make a
        `torch.nn.Sequential` of the modules on the way to it: of a policy of Stable-Baselines3,
        ``torch.nn.Sequential(policy.mlp_extractor.policy_net, policy.action_net)``.

    Returns
    -------
    Sequential
        The network, in the dtype of the parameters, with seed 0. It computes what the module does
        after ``module.eval()``. Linear layers keep their parameters to the bit, unless there are
        constants to fold into them, such as those of BatchNorm1d. ``docs/guide/exchange.md`` lists
        the modules, and how exactly each is read.

    Raises
    ------
    TypeError
        If `module` is not a PyTorch module.
    ValueError
        If the module has a part that cnn does not, or computes something else.

    See Also
    --------
    cnn.Sequential.to_torch : Make a PyTorch module of a network.

    Examples
    --------
    >>> import cnn, torch  # doctest: +SKIP
    >>> cnn.from_torch(torch.nn.Sequential(  # doctest: +SKIP
    ...     torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3), torch.nn.Softmax(dim=1)
    ... ))
    Sequential([
        Dense(4, 8, 'relu'),
        Dense(8, 3, 'softmax'),
    ], rng=0, dtype='float32')
    """
    from cnn.exchange import torch_read  # noqa: PLC0415  # imported on demand, as it is seldom used

    return of_network(torch_read.network(module))


def from_sklearn(estimator: Any) -> Sequential:
    """Return a network with the weights of a scikit-learn MLPClassifier or MLPRegressor.

    Parameters
    ----------
    estimator : sklearn.neural_network.MLPClassifier or MLPRegressor, or Pipeline
        The estimator, or any object with its attributes ``coefs_``, ``intercepts_``, ``activation``
        and ``out_activation_``. If it is an estimator of `cnn.sklearn`, its network is copied. An
        estimator with ``loss="poisson"``, whose predictions are exponentials of outputs, is
        refused. Or a Pipeline that ends in one of these after a StandardScaler, MinMaxScaler,
        MaxAbsScaler or RobustScaler: they become a `Standardize`, the network's first layer, with
        mean and scale rounded to the dtype of the weights. Other steps are refused by their names.

    Returns
    -------
    Sequential
        The network, in the dtype of ``coefs_``. Its outputs are those of ``predict_proba`` or, for
        a regressor, ``predict``. For two classes it has one output, the probability of the second.
        Its ``class_names`` are the labels of the classes, and its ``feature_names`` those of the
        columns if the estimator was fitted to a data frame.

    Raises
    ------
    TypeError
        If the object is no such estimator, or not fitted.
    ValueError
        If it has an activation that cnn does not have, or arrays that do not fit one another, or if
        a pipeline has another step.

    Examples
    --------
    >>> import cnn, numpy as np, types
    >>> fitted = types.SimpleNamespace(
    ...     coefs_=[np.ones((2, 3)), np.ones((3, 1))],
    ...     intercepts_=[np.zeros(3), np.zeros(1)],
    ...     activation="relu",
    ...     out_activation_="logistic",
    ... )
    >>> cnn.from_sklearn(fitted)
    Sequential([
        Dense(2, 3, 'relu'),
        Dense(3, 1, 'sigmoid'),
    ], rng=0, dtype='float64')
    """
    from cnn.exchange import sklearn_read  # noqa: PLC0415  # as above

    where = "from_sklearn"
    scalers, given = None, estimator
    if sklearn_read.is_pipeline(estimator):
        scalers, estimator = sklearn_read.scalers(where, estimator)
    sklearn_read.check(where, estimator)
    own = getattr(estimator, "net_", None)
    if isinstance(own, Sequential) and not scalers:
        net = copy.deepcopy(own)
    else:
        if isinstance(own, Sequential):
            steps = sklearn_read.steps_of_layers(own.layers)
        else:
            steps = sklearn_read.steps_of(where, estimator)
        net = of_network(sklearn_read.network(where, scalers or [], steps))
    take_names(network_of(net), CLASS_NAMES, sklearn_read.class_names(estimator))
    take_names(network_of(net), FEATURE_NAMES, sklearn_read.feature_names(given))
    return net

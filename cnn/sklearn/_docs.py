"""The common parts of the docstrings of both estimators."""

from __future__ import annotations

from typing import TypeVar

_Class = TypeVar("_Class", bound=type)

_PARAMETERS = """hidden_layer_sizes : int or sequence of int, default (100,)
        The number of neurons of each hidden layer.
    activation : str, cnn.activations.LeakyReLU or ELU, or a sequence of these, default "relu"
        The activation of the hidden layers, or one for each: "identity", "logistic" (also called
        "sigmoid"), "tanh", "relu", and beyond scikit-learn "leaky_relu", "elu", "softplus",
        "silu", "gelu", "gelu_tanh", "mish", "selu", "hard_sigmoid", "hard_swish", "relu6",
        "softsign", "exponential" and "step"; with a number as ``cnn.activations.LeakyReLU(0.2)``.
    solver : {"adam", "sgd", "lbfgs"}, default "adam"
        The method of training. For some hundreds of samples, "lbfgs" is often the best.
    alpha : float, default 0.0001
        The strength of the L2 penalty, which is alpha / 2 times the sum of the squared weights,
        divided by the number of samples of a batch (their weight, with sample weights).
    batch_size : int or "auto", default "auto"
        The number of samples of a step; "auto" is min(200, n_samples). Not for "lbfgs".
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        "invscaling" is ``learning_rate_init / t_ ** power_t``, changed after each epoch;
        "adaptive" divides it by 5 instead of ending training. With solver "sgd" only.
    learning_rate_init : float, default 0.001
        The initial learning rate. Not for "lbfgs".
    power_t : float, default 0.5
        The exponent of "invscaling".
    max_iter : int, default 200
        The largest number of epochs, or of iterations of "lbfgs".
    shuffle : bool, default True
        Whether the samples are shuffled in each epoch. Not for "lbfgs".
    random_state : int, RandomState or None, default None
        Determines the initial weights, the validation split, the order of the samples, and dropout.
        The initial weights and the split are the same as in scikit-learn.
    tol : float, default 0.0001
        Training ends when loss or score have not improved by this for `n_iter_no_change` epochs.
        "lbfgs" ends when no element of the gradient is larger.
    verbose : bool or int, default False
        Whether to print the loss of each epoch.
    warm_start : bool, default False
        Whether fit continues from the present weights.
    momentum : float, default 0.9
        At least 0 and less than 1. With solver "sgd" only.
    nesterovs_momentum : bool, default True
        Whether to use Nesterov's momentum.
    early_stopping : bool, default False
        Whether the score on a validation set, rather than the loss, decides when training ends. The
        weights with the best score are kept. Not for "lbfgs".
    validation_fraction : float, default 0.1
        The share of the samples that early stopping sets aside, unless fit is given
        `validation_data`. If there are weights, or equal rows, it is the share of the weight: a
        weight of 2 is a row given twice, a weight of 0 is no row.
    beta_1, beta_2 : float, default 0.9 and 0.999
        The decay rates of Adam's means of gradients and of their squares.
    epsilon : float, default 1e-8
        Added to Adam's denominator, so that it is not 0.
    n_iter_no_change : int, default 10
        The number of epochs for which loss or score may fail to improve.
    max_fun : int, default 15000
        The largest number of times that "lbfgs" computes the loss.
    dropout : float, default 0.0
        The share of each hidden layer's outputs that are set to 0 at random in training.
        scikit-learn does not have it."""

_ATTRIBUTES = """net_ : cnn.Sequential
        The network, whose methods do what estimators have no method for, such as
        ``net_.save(path)``, ``net_.to_c(path)`` and ``net_.summary()``.
    coefs_ : list of ndarray
        The weights (inputs, outputs) of each layer, as read-only copies. To change them, set the
        list or its items.
    intercepts_ : list of ndarray
        The biases (outputs,) of each layer, as read-only copies, which are set like `coefs_`.
    history_ : cnn.History
        The metrics of each epoch as callbacks get them, "val_score" being the score on a validation
        set; of each iteration the loss, with "lbfgs". The loss is that of ``net_``, which is
        scikit-learn's but for a factor or a constant in some regressions. A training that continues
        appends to it.
    loss_ : float
        The loss of the last epoch.
    best_loss_ : float or None
        The smallest; None with early stopping. Not for "lbfgs".
    loss_curve_ : list of float
        The loss of each epoch. Not for "lbfgs".
    validation_scores_ : list of float or None
        The score on the validation set after each epoch; None without a validation set.
    best_validation_score_ : float or None
        The largest of them.
    n_iter_ : int
        The number of epochs of the last fit.
    t_ : int
        The number of samples that the network was trained with.
    n_layers_ : int
        The number of layers, the inputs being one.
    n_outputs_ : int
        The number of outputs.
    out_activation_ : str
        The activation of the output layer.
    n_features_in_ : int
        The number of columns of X.
    feature_names_in_ : ndarray of str
        Their names, if X has names."""

_RAISES = """TypeError, ValueError
        From fit, if a parameter or an argument is of a wrong type or shape, or out of range.
    FloatingPointError
        From fit, if the loss becomes NaN or infinite."""

_WARNS = """sklearn.exceptions.ConvergenceWarning
        If training has reached `max_iter` before it converged."""


def documented(cls: _Class) -> _Class:
    """Put the common parts into the docstring of a class."""
    cls.__doc__ = (cls.__doc__ or "").format(
        parameters=_PARAMETERS,
        attributes=_ATTRIBUTES,
        raises=_RAISES,
        warns=_WARNS,
    )
    return cls

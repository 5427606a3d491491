"""What to write for what other libraries have: the one table of hints in messages.

A hint is a phrase that follows a semicolon. tests/test_hints.py walks all of them: each comes out
of the call that it is for, and the names of cnn in it exist.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NoReturn, TypeAlias, TypeVar

_C = TypeVar("_C")
Hints: TypeAlias = Mapping[str, str]


def _each(hint: str, *names: str) -> dict[str, str]:
    """Return the same hint for several names."""
    return dict.fromkeys(names, hint)


# ---- Keyword arguments ---------------------------------------------------------------------------

_INPUTS = _each("write x=", "X", "inputs", "data", "x_train", "X_train")
_TARGETS = _each(
    "write t=, or give it without a name, after x",
    *("y", "Y", "y_true", "y_train", "target", "targets", "label", "labels"),
)
_LOSS = _each("write loss=", "criterion", "loss_fn", "loss_function", "objective")
_WEIGHTS = _each("write sample_weight=", "weight", "weights", "sample_weights")
_LR = "write optimizer=cnn.Adam(lr=...)"
_SEED = _each(
    "write rng=, an int or a numpy.random.Generator",
    *("seed", "random_state", "random_seed", "key", "generator"),
)
_STOPPING = "write callbacks=[cnn.EarlyStopping(patience=...)], with validation_split="
_THREADS = _each(
    "cnn.set_num_threads sets the number of threads",
    "n_jobs",
    "workers",
    "num_threads",
    "use_multiprocessing",
)
_CPU = _each("cnn runs on the CPU; leave it out", "device", "use_gpu")
_NETWORK_RNG = _each(
    "the network has the seed: write cnn.Sequential(layers, rng=...)",
    *("seed", "random_state", "rng"),
)
_NETWORK_DTYPE = "the network has the type: write cnn.Sequential(layers, dtype=...)"
_MODEL_L2 = "each layer has its penalty: write cnn.Dense(inputs, outputs, l2=...)"

_SAMPLES = _INPUTS | _TARGETS | _LOSS | _WEIGHTS

_FIT: Hints = {
    **_SAMPLES,
    **_THREADS,
    **_CPU,
    **_NETWORK_RNG,
    **_each(
        "write epochs=",
        *("epoch", "n_epochs", "num_epochs", "nb_epoch", "max_epochs", "max_iter", "n_iter"),
    ),
    **_each("write batch_size=", "batch", "batchsize", "bs", "minibatch_size"),
    **_each(_LR, "lr", "learning_rate", "learning_rate_init", "eta"),
    **_each("write optimizer=, a name or an object like cnn.Adam()", "solver", "optim", "opt"),
    **_each(
        "write validation_data=(x, t)",
        *("validation", "val_data", "valid_data", "eval_set", "test_data"),
    ),
    **_each("write validation_split=", "val_split", "validation_fraction", "test_size"),
    **_each("write callbacks=", "callback"),
    **_each(_STOPPING, "patience", "early_stopping", "early_stopping_rounds"),
    **_each("write class_weight=", "class_weights"),
    **_each("write metrics=", "metric", "eval_metric", "scoring"),
    **_each(_MODEL_L2, "l2", "alpha", "weight_decay"),
    **_each("write optimizer=cnn.SGD(momentum=...)", "momentum"),
    **_each("write optimizer=cnn.Adam(clip_norm=...)", "clip_norm", "clipnorm", "max_norm"),
    "initial_epoch": "epochs are counted over the life of the network: net.epochs; leave it out",
    "warm_start": "fit goes on from the present weights; for new ones make a cnn.Sequential",
    "validation_freq": "the validation follows each epoch; leave it out",
    "validation_batch_size": "the result does not depend on it; leave it out",
    "steps_per_epoch": "an epoch uses each sample once; net.train_step makes single steps",
    "dtype": _NETWORK_DTYPE,
}

_EVALUATE: Hints = {
    **_SAMPLES,
    "metric": "write metrics=",
    "batch_size": "the result does not depend on it; write net.evaluate(x, t)",
    "verbose": "net.evaluate prints nothing; leave it out",
    "return_dict": "net.evaluate always returns a dict; leave it out",
}

_TRAIN_STEP: Hints = {
    **_SAMPLES,
    **_each(_LR, "lr", "learning_rate"),
    "class_weights": "write class_weight=",
}

_SEQUENTIAL: Hints = {
    **_SEED,
    **_CPU,
    **_each(
        "the first layer has the number of inputs: write cnn.Dense(inputs, outputs)",
        *("input_shape", "input_dim", "inputs"),
    ),
    **_each("net.fit takes it", "loss", "optimizer", "metrics"),
    "name": "net.metadata keeps texts: write net.metadata['name'] = ...",
}

_DENSE: Hints = {
    **_each(
        "write outputs=",
        *("units", "out_features", "output_dim", "n_out", "neurons", "n_units", "size"),
    ),
    **_each(
        "write inputs=, the number of columns",
        *("in_features", "input_dim", "input_shape", "input_size", "n_in"),
    ),
    **_each("write activation=", "activation_fn", "act", "nonlinearity", "activation_function"),
    **_each(
        "write init=",
        *("kernel_initializer", "weight_init", "initializer", "weights_init", "init_method"),
    ),
    **_each(
        "write l2=, which adds l2 / 2 sum(weight^2) to the loss",
        *("kernel_regularizer", "weight_decay", "regularizer", "l2_reg"),
    ),
    **_each(
        "each layer has a bias, which is 0 at first; leave it out", "bias", "use_bias", "with_bias"
    ),
    "bias_initializer": "biases are 0 at first; write layer.bias = ... once it is in a network",
    **_NETWORK_RNG,
    "dtype": _NETWORK_DTYPE,
    **_each("write cnn.Dropout(rate) after the layer", "dropout", "dropout_rate"),
    "name": "layers have numbers: net.layers[0]; leave it out",
}

_STANDARDIZE: Hints = {
    **_each("write scale=", "std", "stds", "stdev", "sd", "sigma", "deviation"),
    **_each("write scale=, the root of it", "variance", "var"),
    **_each("write mean=", "means", "loc", "shift", "mu"),
    **_each("write inputs=, the number of columns", "in_features", "num_features", "input_dim"),
    **_each("write inputs=, the number of columns", "input_shape", "n_features"),
    **_each("write cnn.Standardize().adapt(x)", "x", "X", "data"),
    "axis": "each column has a mean and a scale; leave it out",
    **_each("without adapt, the mean is 0; leave it out", "with_mean"),
    **_each("without adapt, the scale is 1; leave it out", "with_std"),
    "dtype": _NETWORK_DTYPE,
    "name": "layers have numbers: net.layers[0]; leave it out",
}

_DENSE_CALL = "write cnn.Dense(inputs, outputs, activation), as cnn.Dense(64, 10, 'relu')"

_MLP: Hints = {
    **_SEED,
    **_each(
        "write sizes=, from the number of inputs to that of outputs",
        *("hidden_layer_sizes", "layers", "layer_sizes", "units", "hidden_sizes", "dims"),
    ),
    **_each(
        "write hidden_activation= and output_activation=",
        *("activation", "activations", "activation_fn"),
    ),
    **_each("write output_activation=", "out_activation", "final_activation", "output"),
    **_each("write dropout=", "dropout_rate", "p", "rate"),
    **_each("write l2=", "alpha", "weight_decay", "l2_reg"),
}

_OPTIMIZER: Hints = _each("write lr=", "learning_rate", "learning_rate_init", "eta", "step_size")
_CLIP: Hints = _each("write clip_norm=", "clipnorm", "max_norm", "max_grad_norm", "global_clipnorm")
_BETAS: Hints = _each("write betas=(0.9, 0.999)", "beta_1", "beta_2", "beta1", "beta2", "b1", "b2")
_EPS: Hints = _each("write eps=", "epsilon")
_DECAYS = (
    "write cnn.AdamW(weight_decay=...), or cnn.Dense(64, 10, l2=...) for a penalty in the loss"
)

_EARLY_STOPPING: Hints = {
    **_each("write monitor=", "metric", "quantity", "monitored"),
    **_each("write restore_best_weights=", "restore_best", "restore"),
    **_each("write min_delta=", "tol", "delta", "min_improvement", "threshold"),
    **_each("write patience=", "n_iter_no_change", "rounds", "wait"),
    "verbose": "cnn.EarlyStopping prints nothing, its stopped_epoch says it; leave it out",
}
_CHECKPOINT: Hints = {
    **_each("write path=", "filepath", "filename", "dirpath", "file"),
    **_each("write save_best_only=", "best_only", "save_top_k"),
    "save_weights_only": "the file has all that cnn.load_checkpoint needs; leave it out",
    "save_freq": "it saves after each epoch, or with save_best_only= after the best",
}

KEYWORDS: Mapping[str, Hints] = {
    "fit": _FIT,
    "evaluate": _EVALUATE,
    "train_step": _TRAIN_STEP,
    "gradients": _SAMPLES,
    "Sequential": _SEQUENTIAL,
    "Dense": _DENSE,
    "Dropout": _each("write rate=", "p", "prob", "dropout_rate"),
    "Standardize": _STANDARDIZE,
    "mlp": _MLP,
    "SGD": {
        **_OPTIMIZER,
        **_CLIP,
        **_each(_DECAYS, "weight_decay", "decay"),
    },
    "Adam": {
        **_OPTIMIZER,
        **_CLIP,
        **_BETAS,
        **_EPS,
        **_each(_DECAYS, "weight_decay", "decay"),
    },
    "AdamW": {**_OPTIMIZER, **_CLIP, **_BETAS, **_EPS},
    "RMSprop": {**_OPTIMIZER, **_CLIP, **_EPS, **_each("write alpha=", "rho", "decay_rate")},
    "Adagrad": {**_OPTIMIZER, **_CLIP, **_EPS},
    "EarlyStopping": _EARLY_STOPPING,
    "ModelCheckpoint": _CHECKPOINT,
    "load": {
        **_each("no code is in a file; write cnn.load(path)", "custom_objects", "weights_only"),
        "compile": "write cnn.load(path); cnn.load_checkpoint gives the optimizer too",
        "map_location": "cnn runs on the CPU; write cnn.load(path)",
    },
    "load_mnist": {
        "normalize": "numbers are from 0 to 1; leave it out",
        "flatten": "each row is an image of 784 numbers; leave it out",
        "one_hot_label": "net.fit takes the class numbers; leave it out",
    },
    "save": {
        "include_optimizer": "write optimizer=, the object that net.fit was given",
        "overwrite": "a file that exists is replaced; write net.save(path)",
    },
}
"""Hints for keyword arguments that a function does not have, by function and argument."""

CALLS: Hints = {
    "Dense": _DENSE_CALL,
    "Sequential": "give the layers as a list: cnn.Sequential([cnn.Dense(64, 10), ...])",
    "mlp": "write cnn.mlp([64, 50, 10], 'relu', 'softmax')",
    "fit": "write net.fit(x, t, epochs=10): options have names, and targets are needed",
    "evaluate": "write net.evaluate(x, t)",
}
"""Hints for calls with too many or too few arguments."""


# ---- Attributes ----------------------------------------------------------------------------------

_WEIGHT_LISTS = "net.get_weights() returns all weights, and net.layers[0].weight those of a layer"
_PROBABILITIES = "net.predict(x) returns the probabilities of a softmax or sigmoid"
_NO_MODE = "there are no modes: dropout acts in net.fit alone; leave it out"
_NO_DEVICE = "cnn runs on the CPU; leave it out"
_DTYPE = "the type is chosen by cnn.Sequential(layers, dtype='float64')"
_ALL_LAYERS = "the list of layers is fixed: give all of them to cnn.Sequential"
_COUNT = "net.parameter_count is the number of weights and biases"
_HISTORY = "the History that net.fit returns has it: history.loss"

_SEQUENTIAL_ATTRIBUTES: Hints = {
    "compile": "there is nothing to compile: give optimizer and loss to net.fit",
    **_each(_WEIGHT_LISTS, "weights", "variables", "trainable_weights", "trainable_variables"),
    **_each(_WEIGHT_LISTS, "parameters", "named_parameters", "params", "coefs_", "intercepts_"),
    **_each("net.get_weights() returns the weights, net.save(path) keeps them", "state_dict"),
    "load_state_dict": "net.set_weights(list) sets the weights, cnn.load(path) reads a file",
    "predict_proba": _PROBABILITIES,
    **_each("write net.predict(x).argmax(axis=1)", "predict_classes", "predict_class"),
    "predict_log_proba": "write cnn.log_softmax of the logits, or the log of net.predict(x)",
    **_each("write net.predict(x)", "predict_on_batch", "infer", "inference", "run", "call"),
    **_each(_NO_MODE, "train", "eval", "training"),
    **_each("net.train_step(x, t, optimizer=...) makes a step", "train_on_batch", "partial_fit"),
    **_each(
        "net.fit takes arrays and generators of batches (x, t)", "fit_generator", "fit_transform"
    ),
    **_each("write net.evaluate(x, t)", "test", "score", "test_on_batch", "evaluate_generator"),
    "zero_grad": "gradients do not pile up: net.gradients(x, t) returns new ones; leave it out",
    **_each(_NO_DEVICE, "to", "cuda", "cpu", "device"),
    **_each(_DTYPE, "half", "float", "double", "astype"),
    **_each(_ALL_LAYERS, "add", "append", "pop", "insert", "extend", "add_module"),
    "build": "a network is ready once cnn.Sequential has made it; leave it out",
    **_each("write net.save(path)", "save_weights", "save_model", "export", "dump", "to_file"),
    **_each("write cnn.load(path)", "load", "load_weights", "load_model", "from_file"),
    **_each("write cnn.load(path), as net.save(path) keeps the layers", "to_json", "get_config"),
    **_each(_COUNT, "count_params", "num_parameters", "n_params", "num_params", "size"),
    **_each("net.inputs is the number of inputs", "input_shape", "input_dim", "n_features_in_"),
    **_each("net.outputs is the number of outputs", "output_shape", "output_dim", "n_outputs_"),
    **_each("net.class_names has the names of classes", "classes_", "classes"),
    **_each("net.feature_names has the names of inputs", "feature_names_in_", "columns"),
    **_each("net.epochs counts the epochs", "n_iter_", "epoch"),
    **_each(_HISTORY, "history", "loss_curve_", "loss_", "best_loss_", "history_"),
    **_each("len(net.layers) is the number of layers", "num_layers", "n_layers", "n_layers_"),
    **_each("net.layers has the layers", "modules", "children", "get_layer", "layers_", "blocks"),
    **_each("copy.deepcopy(net) copies net.layers and all else", "copy", "clone"),
    **_each("a layer has it: write net.layers[0].weight", "weight", "kernel", "W", "w"),
    **_each("a layer has it: write net.layers[0].bias", "bias", "b"),
    **_each("net.seed is the seed", "rng", "random_state", "generator"),
    **_each("net.fit takes it", "optimizer", "loss", "criterion"),
    **_each("write net.evaluate(x, t)['accuracy']", "accuracy"),
    **_each("write net.gradients(x, t)", "gradient", "numerical_gradient", "grads"),
    "update": "write net.apply_gradients(gradients, optimizer)",
    "name": "net.metadata keeps texts: write net.metadata['name'] = ...",
    "describe": "write print(net.summary())",
    "plot": "write cnn.plot.learning_curves(history)",
    "to_tensorflow": "write net.to_onnx(path)",
}

_MEAN = "a cnn.Standardize has it: write net.layers[0].mean"
_SCALE = "a cnn.Standardize has the deviation: write net.layers[0].scale"

_LAYER_ATTRIBUTES: Hints = {
    **_each("write layer.weight", "weights", "kernel", "W", "w"),
    **_each("write layer.bias", "biases", "b"),
    **_each("write layer.outputs", "units", "out_features", "output_dim", "output_shape"),
    **_each("write layer.inputs", "in_features", "input_dim", "input_shape", "n_in"),
    **_each("write layer.weight and layer.bias", "get_weights", "set_weights", "parameters"),
    **_each("write layer.weight and layer.bias", "state_dict", "trainable_weights", "variables"),
    **_each("write layer.activation", "act", "activation_fn", "nonlinearity"),
    **_each("write layer.init", "kernel_initializer", "initializer"),
    **_each("write layer.l2", "kernel_regularizer", "regularizer"),
    **_each("write layer.parameter_count", "count_params", "num_parameters"),
    **_each("write layer(x), as net.layers[0](x)", "call", "forward", "predict", "transform"),
    **_each(
        "a network has it: net.fit(x, t); a cnn.Standardize has adapt(x)",
        *("fit", "partial_fit", "fit_transform"),
    ),
    **_each(_MEAN, "mean_", "center_", "running_mean"),
    **_each(_SCALE, "scale_", "std", "std_", "stddev", "var_", "variance", "running_var"),
    "p": "write cnn.Dropout(rate).rate",
    "name": "layers have numbers: net.layers[0]",
}

_NETWORK = "write cnn.Sequential, a list of layers"
_NO_TENSORS = "cnn.Sequential takes NumPy arrays; leave it out"
_ACTIVATION_LAYER = "an activation is a part of a layer: cnn.Dense(64, 10, 'relu')"
_DATASET = "net.fit takes arrays, and PyTorch's DataLoader too; see cnn.Sequential.fit"

_MODULE_ATTRIBUTES: Hints = {
    **_each(
        "layers are in cnn itself: cnn.Dense, cnn.Dropout, cnn.Sequential",
        *("nn", "keras", "modules"),
    ),
    **_each("optimizers are in cnn itself: cnn.Adam, cnn.SGD", "optim", "optimisers"),
    **_each("write cnn.Dense(inputs, outputs)", "Linear", "Layers", "FullyConnected", "Affine"),
    **_each(_NETWORK, "Model", "Module", "Network", "NeuralNetwork", "Net", "NN", "network"),
    **_each("write cnn.mlp(sizes, 'relu', 'softmax')", "MLP", "Mlp", "make_mlp"),
    **_each(
        "write cnn.mlp(sizes, 'relu', 'softmax')",
        *("TwoLayerNet", "MultiLayerNet", "MultiLayerNetExtend", "init_network"),
    ),
    **_each("write cnn.sklearn.MLPClassifier", "MLPClassifier"),
    **_each("write cnn.sklearn.MLPRegressor", "MLPRegressor"),
    **_each("write cnn.tabular.TableModel", "TableModel"),
    **_each(_NO_TENSORS, "tensor", "Tensor", "Variable", "from_numpy", "as_tensor", "array"),
    **_each(_NO_TENSORS, "no_grad", "device", "cuda"),
    **_each("write cnn.load(path)", "load_model", "read", "load_weights", "restore"),
    **_each("write net.save(path)", "save", "save_model", "dump"),
    **_each(
        "write net.fit(x, t), with net from cnn.Sequential", "fit", "train", "compile", "Trainer"
    ),
    **_each(
        "write net.fit(x, t, validation_split=...), or use that of sklearn.model_selection",
        "train_test_split",
    ),
    **_each(
        "the network has the seed: write cnn.Sequential(layers, rng=0)",
        *("seed", "manual_seed", "set_seed", "set_random_seed", "random"),
    ),
    **_each(_DATASET, "DataLoader", "Dataset", "TensorDataset", "utils"),
    **_each(_ACTIVATION_LAYER, "ReLU", "Sigmoid", "Tanh", "Softmax", "GELU", "Activation"),
    **_each(_ACTIVATION_LAYER, "Relu"),
    **_each(
        "write cnn.Standardize().adapt(x), as a first layer",
        *("Normalization", "Normalize", "StandardScaler", "Standardise", "Standardizer"),
    ),
    **_each(
        "no layer normalizes its outputs; cnn.Standardize().adapt(x) does so to inputs",
        *("BatchNorm1d", "BatchNormalization", "LayerNorm", "LayerNormalization"),
    ),
    **_each(
        "the first layer has the number of inputs: cnn.Dense(inputs, outputs)",
        *("Input", "InputLayer", "Flatten"),
    ),
    **_each(
        "cnn stands for C neural network: cnn.Dense layers, no convolution",
        *("Conv1d", "Conv1D", "Conv2d", "Conv2D", "MaxPool2d", "MaxPooling2D", "LSTM"),
        *("Convolution", "Pooling"),
    ),
    **_each("write cnn.CrossEntropy()", "CrossEntropyLoss", "CategoricalCrossentropy", "NLLLoss"),
    **_each("write cnn.CrossEntropy()", "SparseCategoricalCrossentropy"),
    **_each("write cnn.BinaryCrossEntropy()", "BCELoss", "BCEWithLogitsLoss", "BinaryCrossentropy"),
    **_each(
        "write cnn.SquaredError(), which has a factor of 1/2", "MSELoss", "MSE", "MeanSquaredError"
    ),
    **_each("write cnn.Huber(delta=...)", "HuberLoss", "SmoothL1Loss"),
    **_each(
        "write cnn.AbsoluteError(), the sum over the outputs of a row",
        *("L1Loss", "MAE", "MeanAbsoluteError"),
    ),
    **_each("write cnn.Quantile(quantiles=...)", "QuantileLoss", "PinballLoss"),
    **_each(
        "write cnn.quantile_loss, the sum over the outputs of a row",
        *("pinball_loss", "mean_pinball_loss"),
    ),
    **_each("write cnn.Poisson()", "PoissonNLLLoss"),
    **_each(
        "write cnn.metrics.accuracy, cnn.metrics.auc and the like",
        *("accuracy", "accuracy_score", "auc", "roc_auc_score", "r2_score", "confusion_matrix"),
    ),
    **_each(
        "write cnn.metrics.mse, or cnn.squared_error for half of it and its gradient",
        *("mse", "mean_squared_error"),
    ),
    **_each("write cnn.squared_error, the mean over the rows", "sum_squared_error"),
    **_each(
        "write cnn.cross_entropy, which takes logits, or cnn.metrics.log_loss for probabilities",
        *("cross_entropy_error", "softmax_loss", "SoftmaxWithLoss"),
    ),
    **_each("write net.gradients(x, t)", "numerical_gradient", "gradient"),
    **_each("write cnn.activation_backward(name, dy, y)", "sigmoid_grad", "relu_grad"),
    "step_function": "write cnn.step",
    "identity_function": "write cnn.identity",
    **_each("t takes class numbers: net.fit(x, t)", "to_categorical", "one_hot", "LabelEncoder"),
    **_each("write cnn.datasets.load_mnist()", "mnist", "load_mnist"),
    **_each("write cnn.datasets.load_digits()", "digits", "load_digits"),
    **_each("write net.summary()", "summary"),
    **_each("write cnn.activations.LeakyReLU(0.2)", "LeakyReLU", "PReLU"),
    **_each("write cnn.activations.ELU(0.5)", "ELU"),
    **_each("write cnn.Dense(inputs, outputs, init=...)", "initializers", "init"),
    **_each("write cnn.Dense(inputs, outputs, l2=...)", "regularizers"),
    **_each("write net.to_onnx(path)", "to_onnx", "export"),
    **_each(
        "cnn.from_onnx(path) reads what tf2onnx makes of a model",
        *("from_keras", "from_tensorflow"),
    ),
    **_each("the lr of cnn.SGD and others may be a function of the step", "LearningRateScheduler"),
    **_each("write cnn.metrics.mae", "mae", "mean_absolute_error"),
    "swish": "write cnn.silu",
    "linear": "write cnn.identity, or cnn.dense(x, weight, bias)",
    "functional_api": "write cnn.Sequential",
    "Regularizer": "write cnn.Dense(inputs, outputs, l2=...)",
    "ReduceLROnPlateau": "write cnn.StepDecay or another of cnn.schedules, as lr of the optimizer",
    "StepLR": "write cnn.StepDecay",
    "ExponentialLR": "write cnn.ExponentialDecay",
    "CosineAnnealingLR": "write cnn.CosineDecay",
    "RMSProp": "write cnn.RMSprop",
    "AdaGrad": "write cnn.Adagrad",
    "Momentum": "write cnn.SGD(momentum=0.9)",
    "Nesterov": "write cnn.SGD(momentum=0.9, nesterov=True)",
    "Nadam": "write cnn.Adam",
    "Checkpoint": "write cnn.ModelCheckpoint",
}

ATTRIBUTES: Mapping[str, Hints] = {
    "Sequential": _SEQUENTIAL_ATTRIBUTES,
    "layer": _LAYER_ATTRIBUTES,
    "cnn": _MODULE_ATTRIBUTES,
}
"""Hints for attributes that networks, layers and the module do not have."""


def missing_attribute(holder: str, name: str, obj: object) -> AttributeError:
    """Return the error for an attribute that `obj` does not have.

    `holder` is the name of the kind of object in `ATTRIBUTES`. A property of its class that raised
    an AttributeError raises it again.
    """
    if hasattr(type(obj), name):
        object.__getattribute__(obj, name)
    what = f"{type(obj).__name__!r} object"
    if holder == "cnn":
        what = "module 'cnn'"
    elif isinstance(obj, type):
        what = f"type object {obj.__name__!r}"
    text = f"{what} has no attribute {name!r}"
    hint = ATTRIBUTES[holder].get(name)
    return AttributeError(f"{text}; {hint}" if hint else text, name=name, obj=obj)


class _Absent:
    """A name that a class does not have: reading it raises an AttributeError with a hint."""

    def __init__(self, holder: str, name: str) -> None:
        self._holder, self._name = holder, name
        self.__doc__ = f"Not there; {ATTRIBUTES[holder][name]}."

    def __get__(self, obj: object, owner: type | None = None) -> NoReturn:
        raise missing_attribute(self._holder, self._name, owner if obj is None else obj)


def hinted_attributes(holder: str) -> Callable[[type[_C]], type[_C]]:
    """Return a decorator of a class that gives the hints for the attributes that it does not have.

    `__getattr__` would do the same, but with it Python 3.11 finds no attribute of an object by its
    caches: each call of a method takes 0.1 microseconds more.
    """

    def decorated(cls: type[_C]) -> type[_C]:
        for name in ATTRIBUTES[holder]:
            setattr(cls, name, _Absent(holder, name))
        return cls

    return decorated


# ---- Values --------------------------------------------------------------------------------------

SAME: Mapping[str, Mapping[object, str]] = {
    "activation": {None: "identity", "linear": "identity", "swish": "silu"},
    "loss": {
        "categorical_crossentropy": "cross_entropy",
        "sparse_categorical_crossentropy": "cross_entropy",
    },
}
"""Second names of the same thing, by argument; they are accepted."""

_SQUARES = "write 'squared_error', which is half of it: 1/2 sum_j (y_j - t_j)^2"
_ABSOLUTES = "write 'absolute_error', the sum over the outputs of a row"
_QUANTILES = "write cnn.Quantile(quantiles=...)"
_BINARY = "write 'binary_cross_entropy', the sum over the outputs of a row"
_CLASSES = "write 'cross_entropy', with 'softmax' in the output layer"
_NORMAL = "write 'he_uniform' or 'glorot_uniform': the draws are uniform"
_ACCURACY = "write 'accuracy'"

VALUES: Mapping[str, Hints] = {
    "outputs": _each(
        _DENSE_CALL,
        *("relu", "sigmoid", "tanh", "softmax", "linear", "identity", "gelu", "elu", "selu"),
    ),
    "batch_size": _each("write batch_size=len(x)", "full", "all", "auto"),
    "activation": {
        **_each("write 'sigmoid'", "logistic", "logit", "expit"),
        **_each("write cnn.activations.LeakyReLU(0.2) or 'leaky_relu'", "leakyrelu", "lrelu"),
        **_each("write cnn.activations.LeakyReLU(0.2) or 'leaky_relu'", "prelu", "LeakyReLU"),
        **_each("write 'hard_swish'", "hardswish", "hard_silu"),
        **_each("write 'hard_sigmoid'", "hardsigmoid"),
        **_each("write 'gelu_tanh'", "gelu_new", "gelu_approximate", "gelu_pytorch_tanh"),
        **_each("write 'step'", "heaviside", "threshold", "binary_step", "sign"),
        **_each("write 'exponential'", "exp"),
        **_each(
            "write 'softmax'; its cross_entropy is computed from the logits", "log_softmax", "probs"
        ),
        **_each("write 'identity'", "none", "id", "lin"),
        "hardtanh": "write 'tanh' or 'relu6'",
    },
    "loss": {
        **_each(_SQUARES, "mse", "MSE", "mean_squared_error", "l2", "squared_loss", "rmse"),
        **_each(_ABSOLUTES, "mae", "MAE", "mean_absolute_error", "l1", "l1_loss"),
        **_each(_QUANTILES, "pinball", "pinball_loss", "mean_pinball_loss", "quantile_loss"),
        **_each(_BINARY, "bce", "binary_crossentropy", "bce_with_logits"),
        **_each(_CLASSES, "nll", "nll_loss", "crossentropy", "ce", "log_loss", "logloss"),
        **_each(_CLASSES, "softmax_cross_entropy", "kl_divergence", "hinge"),
        "huber_loss": "write 'huber'",
        "smooth_l1": "write cnn.Huber(delta=...), which is linear for errors above delta",
        "poisson_nll": "write 'poisson'",
    },
    "optimizer": {
        **_each("write cnn.SGD(momentum=0.9)", "momentum"),
        **_each("write cnn.SGD(momentum=0.9, nesterov=True)", "nesterov"),
        **_each("write 'adam' or 'adamw'", "nadam", "adamax", "adadelta", "lion", "radam"),
        **_each(
            "write 'adam'; the estimators of cnn.sklearn have it for small data", "lbfgs", "bfgs"
        ),
        "rms": "write 'rmsprop'",
    },
    "init": {
        **_each("write 'glorot_uniform'", "xavier", "xavier_uniform", "glorot"),
        **_each("write 'he_uniform'", "he", "kaiming", "kaiming_uniform"),
        **_each("write 'lecun_uniform'", "lecun"),
        **_each(_NORMAL, "he_normal", "glorot_normal", "xavier_normal", "kaiming_normal"),
        **_each(_NORMAL, "lecun_normal", "truncated_normal"),
        **_each("write cnn.normal(0.05)", "normal", "random_normal"),
        **_each("write cnn.uniform(0.05)", "uniform", "random_uniform", "random"),
        **_each("set layer.weight once the layer is in a network", "ones", "constant", "identity"),
    },
    "metrics": {
        **_each(_ACCURACY, "acc", "categorical_accuracy", "sparse_categorical_accuracy"),
        **_each(_ACCURACY, "binary_accuracy", "accuracy_score"),
        **_each("write 'mse'", "mean_squared_error", "neg_mean_squared_error"),
        **_each("write 'rmse'", "root_mean_squared_error"),
        **_each("write 'mae'", "mean_absolute_error", "neg_mean_absolute_error"),
        **_each("write 'auc'", "AUC", "roc_auc", "auroc", "roc_auc_score"),
        **_each("write 'r2'", "r2_score", "R2"),
        **_each("write 'f1'", "f1_score", "f1_macro", "F1"),
        **_each("write 'log_loss'", "logloss", "cross_entropy", "nll"),
        **_each("write 'top5'", "top_5", "top_k", "top_k_categorical_accuracy"),
    },
}
"""Hints for values that an argument does not take, by argument and value."""


def value(name: str, given: str, options: Collection[str]) -> str:
    """Return what follows the message on a value that is not one of the options, or ""."""
    from cnn._base import texts  # noqa: PLC0415  # for errors alone

    kind = name.partition("[")[0].removeprefix("hidden_").removeprefix("output_")
    hint = VALUES.get(kind, {}).get(given)
    if hint is not None:
        return f"; {hint}"
    return texts.did_you_mean(given, options)

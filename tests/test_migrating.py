"""The pages from other libraries say what the hints in messages say, and defaults as they are.

`cnn._base.hints` has what to write for a name of another library. The tables of docs/migrating have
a row for each of those that are names of scikit-learn, Keras 3 or PyTorch 2.
"""

import inspect
import re

import pytest
from doc_blocks import ROOT

import cnn
from cnn._base import hints
from cnn._training import loop

# The names of each library, by the table of hints.
KERAS = {
    "fit": "y initial_epoch validation_freq validation_batch_size steps_per_epoch",
    "evaluate": "batch_size verbose return_dict",
    "Sequential": "input_shape",
    "Dense": "units input_dim input_shape kernel_initializer kernel_regularizer use_bias "
    "bias_initializer dtype name",
    "Standardize": "variance axis",
    "SGD": "learning_rate clipnorm global_clipnorm weight_decay",
    "Adam": "learning_rate clipnorm global_clipnorm beta_1 beta_2 epsilon weight_decay",
    "RMSprop": "learning_rate epsilon rho",
    "Adagrad": "learning_rate epsilon",
    "EarlyStopping": "verbose",
    "ModelCheckpoint": "filepath save_weights_only save_freq",
    "load": "custom_objects compile",
    "save": "include_optimizer overwrite",
    ".Sequential": "compile weights variables trainable_weights trainable_variables call "
    "predict_on_batch predict_classes train_on_batch test_on_batch evaluate_generator "
    "fit_generator add pop build save_weights save_model export load_weights to_json get_config "
    "count_params input_shape output_shape get_layer optimizer loss name",
    ".layer": "kernel units get_weights set_weights count_params",
    ".cnn": "Model Input InputLayer Flatten Activation ReLU Softmax Normalization "
    "BatchNormalization LayerNormalization Conv1D Conv2D MaxPooling2D LSTM LeakyReLU PReLU ELU "
    "CategoricalCrossentropy SparseCategoricalCrossentropy BinaryCrossentropy MeanSquaredError "
    "MeanAbsoluteError initializers regularizers LearningRateScheduler ReduceLROnPlateau Nadam "
    "to_categorical mnist load_model set_random_seed DataLoader",
    "activation": "log_softmax hard_silu",
    "loss": "mse mean_squared_error mae mean_absolute_error binary_crossentropy kl_divergence "
    "hinge",
    "optimizer": "nadam adamax adadelta lion",
    "init": "glorot_normal he_normal lecun_normal random_normal truncated_normal random_uniform "
    "ones constant identity",
    "metrics": "acc categorical_accuracy sparse_categorical_accuracy binary_accuracy AUC "
    "mean_squared_error mean_absolute_error top_k_categorical_accuracy",
}
TORCH = {
    "fit": "criterion loss_fn device max_norm",
    "Dense": "in_features out_features bias nonlinearity dtype",
    "Dropout": "p",
    "SGD": "weight_decay",
    "Adam": "weight_decay max_norm",
    "load": "weights_only map_location",
    ".Sequential": "parameters named_parameters state_dict load_state_dict train eval training "
    "zero_grad to cuda cpu half float double append insert extend pop add_module modules children "
    "compile",
    ".layer": "in_features out_features forward running_mean running_var p",
    ".cnn": "nn optim utils Linear Module tensor Tensor from_numpy as_tensor no_grad manual_seed "
    "DataLoader Dataset TensorDataset ReLU Sigmoid Tanh GELU Softmax LeakyReLU PReLU ELU "
    "BatchNorm1d LayerNorm Flatten Conv1d Conv2d MaxPool2d LSTM MSELoss HuberLoss SmoothL1Loss "
    "L1Loss BCELoss BCEWithLogitsLoss PoissonNLLLoss CrossEntropyLoss NLLLoss StepLR "
    "ExponentialLR CosineAnnealingLR ReduceLROnPlateau",
    "activation": "hardsigmoid hardswish hardtanh prelu log_softmax",
    "loss": "huber_loss l1_loss nll_loss",
    "optimizer": "nadam adamax adadelta radam lbfgs",
    "init": "xavier_uniform kaiming_uniform xavier_normal kaiming_normal normal uniform ones "
    "constant",
}
SKLEARN = {
    "fit": "X y random_state max_iter learning_rate_init solver validation_fraction "
    "early_stopping alpha momentum warm_start n_jobs",
    "mlp": "hidden_layer_sizes activation alpha random_state",
    "Adam": "learning_rate_init beta_1 beta_2 epsilon",
    "EarlyStopping": "tol n_iter_no_change",
    "Standardize": "with_mean with_std",
    ".Sequential": "coefs_ intercepts_ predict_proba predict_log_proba partial_fit score "
    "n_features_in_ feature_names_in_ n_outputs_ n_layers_ classes_ n_iter_ loss_ best_loss_ "
    "loss_curve_ random_state",
    ".layer": "mean_ scale_ transform",
    ".cnn": "MLPClassifier MLPRegressor StandardScaler LabelEncoder train_test_split "
    "accuracy_score auc roc_auc_score r2_score confusion_matrix mean_squared_error "
    "mean_absolute_error mean_pinball_loss",
    "activation": "logistic",
    "loss": "log_loss mean_pinball_loss",
    "optimizer": "lbfgs",
    "metrics": "accuracy_score roc_auc roc_auc_score r2_score f1_score f1_macro "
    "neg_mean_squared_error root_mean_squared_error mean_squared_error mean_absolute_error",
}
NAMES = {"keras": KERAS, "pytorch": TORCH, "scikit-learn": SKLEARN}
CASES = [
    (page, table, name)
    for page, tables in NAMES.items()
    for table, names in tables.items()
    for name in names.split()
]


def hint_of(table, name):
    """Return the hint for a name; a dot before the table's name stands for attributes."""
    if table.startswith("."):
        return hints.ATTRIBUTES[table[1:]][name]
    return (hints.KEYWORDS.get(table) or hints.VALUES[table])[name]


def code(text):
    """Return the words in the code of a text."""
    return set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", text))))


def text_of(page):
    return (ROOT / "docs" / "migrating" / f"{page}.md").read_text(encoding="utf-8")


def rows_of(page):
    """Return the words in the code of the first and of the other cells of each row of tables."""
    found = []
    for line in text_of(page).splitlines():
        if line.startswith("| "):
            first, *others = line.strip("| ").split(" | ")
            found.append((code(first), code(" ".join(others))))
    return found


ROWS = {page: rows_of(page) for page in NAMES}


@pytest.mark.parametrize(("page", "table", "name"), CASES)
def test_a_row_says_what_the_hint_says(page, table, name):
    """One of the rows of a name has a word of cnn that its hint has, if the hint has one."""
    hint = hint_of(table, name)
    rows = [others for first, others in ROWS[page] if name in first]
    assert rows, f"docs/migrating/{page}.md has no row for {name}: {hint}"
    words = set(re.findall(r"(?:cnn|net|layer)\.([A-Za-z_]\w*)|(\w+)=|'(\w+)'", hint))
    words = {word for groups in words for word in groups if word}
    if words and "leave it out" not in hint:
        assert any(words & others for others in rows), (name, hint, rows)


# ---- Defaults ------------------------------------------------------------------------------------


def calls_of(page):
    """Return the calls of optimizers in the tables of a page."""
    pattern = r"`(cnn\.(?:SGD|AdamW|Adam|RMSprop|Adagrad)\([^`]*=[\d(][^`]*\))`"
    return sorted({call for call in re.findall(pattern, text_of(page)) if "…" not in call})


def test_defaults_of_optimizers():
    """What the pages give as cnn's defaults are the defaults."""
    kinds = set()
    for page in NAMES:
        for call in calls_of(page):
            if "clip_norm" in call or "momentum=0.9" in call:
                continue  # not a list of defaults
            made = eval(call)
            assert repr(made) == repr(type(made)()), call
            kinds.add(type(made).__name__)
    assert kinds == {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad"}


def test_defaults_of_fit_and_callbacks():
    parameters = inspect.signature(cnn.Sequential.fit).parameters
    assert parameters["batch_size"].default is None
    defaults = {str(parameters[name].default) for name in ("epochs", "shuffle")}
    defaults.add(str(loop.BATCH_SIZE))
    (row,) = [line for line in text_of("keras").splitlines() if "`batch_size=`, `epochs=`" in line]
    assert defaults <= set(re.findall(r"\w+", row))
    # Those of Keras, as the page says.
    stopping = inspect.signature(cnn.EarlyStopping).parameters
    assert {name: stopping[name].default for name in stopping} == {
        "monitor": "val_loss",
        "patience": 0,
        "min_delta": 0.0,
        "mode": "auto",
        "restore_best_weights": False,
    }


def test_slopes():
    """The name has PyTorch's slope, and not the one of Keras."""
    assert cnn.leaky_relu(-1.0) == -0.01

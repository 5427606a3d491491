"""Names of other libraries: what is accepted, and the hints in messages for what is not."""

import copy
import importlib
import inspect
import pickle
import re

import numpy as np
import pytest

import cnn
from cnn._base import hints

X = np.random.default_rng(0).normal(size=(6, 3))
LABELS = [0, 1, 0, 1, 1, 0]


def made():
    return cnn.mlp([3, 4, 2], "relu", "softmax", rng=0, dropout=0.5)


NET = made()
CALLS = {
    **{name: getattr(NET, name) for name in ("fit", "evaluate", "train_step", "gradients", "save")},
    **{name: getattr(cnn, name) for name in ("Sequential", "Dense", "Dropout", "mlp", "load")},
    "Standardize": cnn.Standardize,
    "load_mnist": cnn.datasets.load_mnist,
    **{name: getattr(cnn, name) for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad")},
    **{name: getattr(cnn, name) for name in ("EarlyStopping", "ModelCheckpoint")},
}
HOLDERS = {
    "Sequential": [NET],
    "layer": [NET[0], NET[1], cnn.Dense(3, 2), cnn.Standardize()],
    "cnn": [cnn],
}
VALUES = {
    "activation": [lambda v: cnn.Dense(3, 2, v), lambda v: cnn.mlp([3, 2], v, "relu")],
    "loss": [lambda v: made().fit(X, LABELS, loss=v)],
    "optimizer": [lambda v: made().fit(X, LABELS, optimizer=v)],
    "batch_size": [lambda v: made().fit(X, LABELS, batch_size=v)],
    "init": [lambda v: cnn.Dense(3, 2, init=v)],
    "outputs": [lambda v: cnn.Dense(3, v)],
    "metrics": [lambda v: made().evaluate(X, LABELS, metrics=[v])],
}

KEYWORDS = [(call, name) for call, found in hints.KEYWORDS.items() for name in found]
ATTRIBUTES = [(holder, name) for holder, found in hints.ATTRIBUTES.items() for name in found]
VALUE_HINTS = [(name, value) for name, found in hints.VALUES.items() for value in found]


def test_the_number_of_hints():
    """As a figure for readers, and so that a table is not lost."""
    assert len(KEYWORDS) + len(ATTRIBUTES) + len(VALUE_HINTS) + len(hints.CALLS) > 400


# ---- Each hint comes out of its call -------------------------------------------------------------


@pytest.mark.parametrize("call", hints.KEYWORDS)
def test_keyword_arguments(call):
    for name, hint in hints.KEYWORDS[call].items():
        with pytest.raises(TypeError) as found:
            CALLS[call](**{name: 1})
        message = str(found.value)
        assert re.match(
            rf"(Sequential\.)?{call}\(\) got an unexpected keyword argument '{name}'", message
        )
        assert message.endswith(f"; {hint}"), name


@pytest.mark.parametrize("holder", hints.ATTRIBUTES)
def test_attributes(holder):
    for name, hint in hints.ATTRIBUTES[holder].items():
        for object_ in HOLDERS[holder]:
            with pytest.raises(AttributeError, match=rf"no attribute '{name}'; ") as found:
                getattr(object_, name)
            assert str(found.value).endswith(f"; {hint}")
            assert (found.value.name, found.value.obj) == (name, object_)
            assert not hasattr(object_, name)
            assert name not in dir(object_)


@pytest.mark.parametrize("argument", hints.VALUES)
def test_values(argument):
    for value, hint in hints.VALUES[argument].items():
        for call in VALUES[argument]:
            with pytest.raises(
                (ValueError, TypeError), match=r"should be (one of|an int)"
            ) as found:
                call(value)
            assert str(found.value).endswith(f"; {hint}")


@pytest.mark.parametrize("call", hints.CALLS)
def test_calls_with_other_numbers_of_arguments(call):
    for arguments in ((), range(9)):
        with pytest.raises(TypeError, match="positional arg") as found:
            CALLS[call](*arguments)
        assert str(found.value).endswith(f"; {hints.CALLS[call]}")


# ---- What hints suggest exists -------------------------------------------------------------------

HERE = {"cnn": cnn, "net": NET, "layer": NET[0], "copy": copy}
NAME = r"(?:cnn|net|layer|copy)(?:\.[A-Za-z_]\w*)+"
NOTHING = ("leave it out", "sklearn.model_selection", "there is nothing to compile")


def resolved(dotted):
    first, *rest = dotted.split(".")
    found = HERE[first]
    for name in rest:
        if found is cnn and name in ("plot", "sklearn", "tabular"):
            found = importlib.import_module(f"cnn.{name}")
        else:
            found = getattr(found, name)
    return found


def check_suggestion(hint, call=None):
    """Check that the names in a hint are names of cnn, and its arguments those of functions."""
    names = re.findall(NAME, hint)
    for name in names:
        resolved(name)
    calls = re.findall(rf"({NAME})\(([^()]*)\)", hint)
    for name, arguments in calls:
        for keyword in re.findall(r"(\w+)=", arguments):
            assert keyword in inspect.signature(resolved(name)).parameters, (name, keyword)
    rest = re.sub(rf"{NAME}\([^()]*\)(\.\w+\([^()]*\))?", "", hint)
    keywords = re.findall(r"\b(\w+)=", rest)
    for keyword in keywords:
        assert call is not None, hint
        assert keyword in inspect.signature(call).parameters, (keyword, hint)
    return names, keywords


@pytest.mark.parametrize("call", hints.KEYWORDS)
def test_suggested_arguments_exist(call):
    for name, hint in hints.KEYWORDS[call].items():
        names, keywords = check_suggestion(hint, CALLS[call])
        assert names or keywords or any(text in hint for text in NOTHING), (name, hint)


@pytest.mark.parametrize("holder", hints.ATTRIBUTES)
def test_suggested_names_exist(holder):
    for name, hint in hints.ATTRIBUTES[holder].items():
        names, _ = check_suggestion(hint)
        assert names or any(text in hint for text in NOTHING), (name, hint)


def test_suggested_calls_exist():
    for call, hint in hints.CALLS.items():
        names, _ = check_suggestion(hint, CALLS[call])
        assert names


@pytest.mark.parametrize("argument", hints.VALUES)
def test_suggested_values_exist(argument):
    options = {
        "activation": cnn._core.ACTIVATIONS,
        "loss": cnn.losses.LOSSES,
        "optimizer": cnn.optimizers.OPTIMIZERS,
        "init": cnn._core.INITIALIZERS,
        "metrics": cnn.metrics.BY_NAME,
        "batch_size": (),
        "outputs": (),
    }
    for value, hint in hints.VALUES[argument].items():
        names, keywords = check_suggestion(hint, NET.fit)
        quoted = re.findall(r"'(\w+)'", hint)
        for name in quoted:
            assert name in options[argument] or name in cnn._core.ACTIVATIONS, hint
        assert names or quoted or keywords, (value, hint)


# ---- Other calls ---------------------------------------------------------------------------------


def test_names_that_are_nearly_right_are_asked_about():
    with pytest.raises(TypeError, match=r"argument 'epoch_s'[;.] [dD]id you mean 'epochs'\?"):
        NET.fit(X, LABELS, epoch_s=1)
    with pytest.raises(ValueError, match=r"quantile; did you mean 'huber'\?"):
        NET.fit(X, LABELS, loss="Huber")
    with pytest.raises(ValueError, match=r"did you mean 'relu'\?"):
        cnn.Dense(1, 1, "ReLU")


def test_what_nobody_has_ever_heard_of_has_no_hint():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'qqq'$"):
        NET.fit(X, LABELS, qqq=1)
    with pytest.raises(AttributeError, match=r"^'Sequential' object has no attribute 'qqq'$"):
        NET.qqq  # noqa: B018
    with pytest.raises(AttributeError, match=r"^module 'cnn' has no attribute 'qqq'$"):
        cnn.qqq  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Linear'"):
        from cnn import Linear  # noqa: F401


def test_errors_in_the_users_own_functions_are_left_alone():
    def wrong(**options):
        raise TypeError("f() got an unexpected keyword argument 'y'")

    callback = cnn.LambdaCallback(on_train_begin=wrong)
    with pytest.raises(TypeError) as found:
        NET.fit(X, LABELS, callbacks=[callback])
    assert str(found.value) == "f() got an unexpected keyword argument 'y'"


def test_signatures_are_those_of_the_functions():
    assert list(inspect.signature(cnn.Dense).parameters)[:3] == ["inputs", "outputs", "activation"]
    assert list(inspect.signature(cnn.SGD).parameters) == [
        "lr",
        "momentum",
        "nesterov",
        "clip_norm",
        "groups",
    ]
    assert list(inspect.signature(NET.fit).parameters)[:3] == ["x", "t", "epochs"]
    assert cnn.mlp.__module__ == "cnn.models"
    assert cnn.mlp.__doc__.startswith("Return a new multilayer perceptron.")


def test_attributes_of_layers_that_are_not_in_a_network_keep_their_own_message():
    with pytest.raises(AttributeError, match="Dense: weight does not exist yet"):
        cnn.Dense(3, 2).weight  # noqa: B018


def test_errors_of_calls_have_the_name_of_the_public_class():
    for name in ("forward", "summary", "jacobian", "activations", "to_c", "set_weights"):
        with pytest.raises(TypeError, match=rf"^Sequential\.{name}\(\) "):
            getattr(NET, name)(qqq=1)
    assert pickle.loads(pickle.dumps(NET.summary))() == NET.summary()


def test_the_function_of_an_activation_is_no_name():
    with pytest.raises(
        TypeError, match=r"is of type function, should be a string .*; write 'relu'$"
    ):
        cnn.Dense(3, 2, cnn.relu)


def test_properties_of_subclasses_keep_their_own_errors():
    class Net(cnn.Sequential):
        @property
        def loss(self):
            return self.qqq

    with pytest.raises(AttributeError, match=r"^'Net' object has no attribute 'qqq'$"):
        Net([cnn.Dense(1, 1)]).loss  # noqa: B018


def test_copies_and_pickles_do_not_meet_hints():
    for other in (copy.copy(NET), copy.deepcopy(NET), pickle.loads(pickle.dumps(NET))):
        assert (other(X) == NET(X)).all()
    assert copy.copy(cnn.Dense(3, 2)).outputs == 2


# ---- What is accepted ----------------------------------------------------------------------------


@pytest.mark.parametrize("argument", hints.SAME)
def test_second_names(argument):
    for given, name in hints.SAME[argument].items():
        if argument == "activation":
            assert cnn.Dense(3, 2, given).activation == name
            assert cnn.mlp([3, 2, 1], given, given)[0].activation == name
        else:
            nets = [made(), made()]
            for net, loss in zip(nets, (given, name), strict=True):
                net.fit(X, LABELS, loss=loss)
            assert (nets[0](X) == nets[1](X)).all()


def test_a_network_can_be_called():
    assert (NET(X) == NET.predict(X)).all()
    assert (NET(X[0]) == NET.predict(X[0])).all()


def test_layers_by_index():
    assert NET[0] is NET.layers[0]
    assert NET[-1] is NET.layers[-1]
    assert NET[1:] == NET.layers[1:]
    with pytest.raises(IndexError):
        NET[3]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", [*cnn._core.ACTIVATIONS, cnn.activations.LeakyReLU(0.3)])
def test_the_last_activations_are_the_prediction(activation, dtype):
    hidden = "tanh" if activation == "softmax" else activation
    net = cnn.mlp([300, 40, 5], hidden, activation, rng=1, dtype=dtype, dropout=0.1)
    x = np.random.default_rng(1).normal(size=(9, 300))
    found = net.activations(x)
    assert [a.shape for a in found] == [(9, 40), (9, 40), (9, 5)]
    assert {a.dtype for a in found} == {np.dtype(dtype)}
    assert found[-1].tobytes() == net.predict(x).tobytes()
    one = net.activations(x[0])
    assert [a.shape for a in one] == [(40,), (40,), (5,)]
    assert one[-1].tobytes() == net.predict(x[0]).tobytes()
    assert (net[0](x) == found[0]).all()
    assert (net[1](found[0]) == found[0]).all()
    assert (net[2](net[0](x)) == found[2]).all()


def test_numbers_that_overflow_are_those_of_predict():
    net = cnn.Sequential([cnn.Dense(1, 1, "tanh")], rng=0)
    assert (net.activations([[1e300]])[0] == net.predict([[1e300]])).all()


def test_bad_arguments_of_activations_and_layers():
    with pytest.raises(ValueError, match=r"activations: x has shape \(1, 1, 3\), should be"):
        NET.activations([[[1, 2, 3]]])
    with pytest.raises(TypeError, match="activations: x"):
        NET.activations("a")
    for call in (NET.activations, NET[0]):
        with pytest.raises(ValueError, match=r"Dense: x has 2 columns, but the layer has 3 inputs"):
            call([[1, 2]])
    with pytest.raises(ValueError, match=r"Dense\(3, 2, 'relu'\) is called, but is not in a netwo"):
        cnn.Dense(3, 2, "relu")([[1, 2, 3]])
    with pytest.raises(ValueError, match=r"Dropout\(0.5\) is called, but"):
        cnn.Dropout(0.5)([[1, 2, 3]])


def test_a_subclass_may_have_the_names_that_are_hints():
    class Compiled(cnn.Sequential):
        def compile(self):
            return "compiled"

    net = Compiled([cnn.Dense(2, 1)], rng=0)
    assert net.compile() == "compiled"
    assert "compile" in dir(net)
    net.history = [1.0]
    assert net.history == [1.0]
    assert "history" in dir(net)
    with pytest.raises(
        AttributeError, match=r"type object 'Sequential' has no attribute 'compile'; "
    ):
        _ = cnn.Sequential.compile

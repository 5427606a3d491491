"""Numbers as text: nothing that is printed or shown loses digits in silence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refused import refused

import cnn
from cnn._base.numbers import exact, rounded


@given(st.floats(allow_nan=False))
def test_exact(value):
    assert float(exact(value)) == value
    single = np.float32(value) if abs(value) < 3e38 else np.float32(0.1)
    assert np.float32(exact(single)) == single


@given(st.floats(allow_nan=False), st.integers(2, 7))
def test_rounded(value, digits):
    text = rounded(value, digits)
    assert text.startswith("~") != (float(text.lstrip("~")) == value)


def test_examples():
    assert [exact(v) for v in (5.0, 0.1, 1e300, np.float32(0.1), 2**53 + 1, np.int64(-3))] == [
        "5",
        "0.1",
        "1e+300",
        "0.1",
        "9007199254740993",
        "-3",
    ]
    assert [rounded(v, 4) for v in (0.5, 1 / 3, 1e6, 1234567.0, np.inf)] == [
        "0.5",
        "~0.3333",
        "1e+06",
        "~1.235e+06",
        "inf",
    ]
    assert rounded(float("nan"), 4) == "nan"


def test_reprs_of_layers_make_the_same_layer():
    """An l2 of 0.123456789 was shown as 0.123457."""
    for layer in (cnn.Dense(2, 3, "relu", l2=0.123456789), cnn.Dropout(1 / 3)):
        again = eval(repr(layer), {"Dense": cnn.Dense, "Dropout": cnn.Dropout})
        assert repr(again) == repr(layer)
    assert cnn.Dense(2, 3, l2=0.123456789).l2 == 0.123456789
    assert "l2=0.123456789" in repr(cnn.Dense(2, 3, l2=0.123456789))
    assert repr(cnn.Dropout(1 / 3)) == "Dropout(0.3333333333333333)"
    layers = [cnn.Dense(2, 3), cnn.Dropout(0.123456789), cnn.Dense(3, 1)]
    assert "rate 0.123456789\n" in cnn.Sequential(layers).summary()


REPRS = [
    cnn.SGD(0.123456789, momentum=0.987654321),
    cnn.Adam(1 / 3, betas=(0.123456789, 0.987654321), eps=1.23456789e-8, clip_norm=1.23456789),
    cnn.AdamW(1e-3, weight_decay=0.0123456789),
    cnn.RMSprop(0.0123456789),
    cnn.Adagrad(0.0123456789),
    cnn.StepDecay(0.1, 3, 0.123456789),
    cnn.CosineDecay(1 / 3, 10),
    cnn.Huber(1.23456789),
    cnn.Quantile((0.123456789, 0.5)),
    cnn.CrossEntropy(label_smoothing=0.123456789),
    cnn.uniform(0.123456789),
]


@pytest.mark.parametrize("made", REPRS, ids=lambda made: type(made).__name__)
def test_reprs_make_the_same_object(made):
    assert repr(eval(repr(made), {name: getattr(cnn, name) for name in cnn.__all__})) == repr(made)
    assert any(digits in repr(made) for digits in ("3456789", "87654321", "3333333333333333"))


def test_a_history_marks_what_it_rounds():
    history = cnn.History()
    history.append(1, {"loss": 1 / 3, "lr": 0.5})
    assert repr(history) == "History(1 epoch; in the last, loss ~0.3333, lr 0.5)"
    assert history.loss == [1 / 3]


def test_refusals_have_all_digits():
    """1.0000001 was refused as 1, which should be from 0 to 1."""
    net = cnn.mlp([1, 1], "tanh", "sigmoid", rng=0, dtype="float64")
    with refused(
        ValueError, "fit: t has 1.0000001 in row 1, but its numbers should be from 0 to 1"
    ):
        net.fit([[0.0], [1.0]], [1.0, 1.0000001])
    with refused(ValueError, "SGD: momentum is 1.0000001, should be at least 0 and less than 1"):
        cnn.SGD(0.1, momentum=1.0000001)

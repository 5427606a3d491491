"""The options of `cnn train`."""

import numpy as np
import pytest
from tables import QUALITY, train

import cnn
from cnn import _core
from cnn._tables import preprocessing


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ([], "target t: 6 classes (classification; --task regression would take it for a number)"),
        (["--categories", "t"], "target t: 6 classes (classification)"),
        (["--task", "classification"], "target t: 6 classes (classification)"),
        (["--task", "regression"], "target t: a number (regression)"),
    ],
)
def test_task(tmp_path, capsys, options, printed):
    assert train(tmp_path, QUALITY, *options)[0] == 0
    assert printed in capsys.readouterr().out.splitlines()


def test_many_whole_numbers_are_no_classes(tmp_path, capsys):
    assert train(tmp_path, QUALITY, "--drop", "id", target="a")[0] == 0
    rows = [["a", "t"], *([i, i] for i in range(21))]
    assert train(tmp_path, rows)[0] == 0
    hint = "--task classification would take its numbers for classes"
    assert f"target t: a number (regression; {hint})\n" in capsys.readouterr().out


def test_negative_classes_may_be_numbers_too(tmp_path, capsys):
    assert train(tmp_path, [["a", "t"], *([i, (-1) ** i] for i in range(20))])[0] == 0
    printed = capsys.readouterr().out
    assert "2 classes (classification; --task regression would take it for a number)" in printed


def test_numbers_that_are_categories(tmp_path, capsys):
    rows = [["zip", "doors", "t"], *([i % 4, i % 3 or "more", i * 0.5] for i in range(40))]
    assert train(tmp_path, rows, "--categories", "zip,doors")[0] == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == "categories: zip (4), doors (3)"
    assert "network 7-64-64-1: learns" in printed[3]


def test_a_column_that_is_dropped_may_have_anything(tmp_path, capsys):
    rows = [["a", "note", "t"], [1, "", 2.5], [2, "NA", 3.5], [3, 4, 4.5], [5, "x", 5.5]]
    assert train(tmp_path, rows, "--drop", "note")[0] == 0


def test_names_of_rows_are_told(tmp_path, capsys):
    assert train(tmp_path, QUALITY)[0] == 0
    printed = capsys.readouterr().out
    assert "categories: id (60)\ncolumn id is another one in most rows" in printed
    assert "--drop id leaves it out\n" in printed


def test_network_options(tmp_path, capsys):
    options = ["--drop", "id", "--hidden", "7,5", "--activation", "tanh", "--seed", "3"]
    options += ["--batch-size", "10", "--lr", "0.1", "--hold-out", "0", "--l2", "0"]
    code, model = train(tmp_path, QUALITY, *options)
    assert code == 0
    assert "network 1-7-5-6: learns from 60 rows, 0 held out" in capsys.readouterr().out
    net = cnn.load(model).net
    assert [layer.activation for layer in net.layers] == ["tanh", "tanh", "softmax"]
    assert (net.seed, net.epochs) == (3, 2)
    values = np.arange(60) * 0.5
    plan = preprocessing.of_network(net._network, "m")
    np.testing.assert_allclose(plan.columns[0].mean, values.mean())
    expected = cnn.mlp([1, 7, 5, 6], "tanh", "softmax", rng=3)
    order = _core.permutation(3, 0, 60, 0, 60)
    x = plan.x(values[:, None], "f")[order]
    optimizer = cnn.Adam(lr=0.1)
    expected.fit(x, (np.arange(60) % 6)[order], epochs=2, batch_size=10, optimizer=optimizer)
    np.testing.assert_array_equal(net.layers[0].weight, expected.layers[0].weight)


def test_activation_with_a_number(tmp_path):
    options = ["--drop", "id", "--hidden", "4,4", "--activation", "leaky_relu:0.2"]
    code, model = train(tmp_path, QUALITY, *options)
    assert code == 0
    expected = cnn.activations.LeakyReLU(0.2)
    assert [layer.activation for layer in cnn.load(model).net.layers[:-1]] == [expected] * 2


def test_no_hidden_layers(tmp_path, capsys):
    assert train(tmp_path, QUALITY, "--hidden", "none", "--drop", "id,a", "--drop", "t")[0] == 1
    assert "column 't' is the target, and cannot be left out" in capsys.readouterr().err
    assert train(tmp_path, QUALITY, "--hidden", "none", "--drop", "id")[0] == 0
    assert "network 1-6: learns" in capsys.readouterr().out


def test_a_constant_column_does_no_harm(tmp_path, capsys):
    rows = [["a", "b", "t"], *([i, 3.1, i / 2] for i in range(30))]
    code, model = train(tmp_path, rows, "--task", "regression")
    assert code == 0
    assert np.isfinite(cnn.load(model).net.layers[0].weight).all()

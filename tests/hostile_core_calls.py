"""Each function and method of cnn._core with good arguments, as hostile_calls.py wants them."""

import contextlib
import copy
import pickle
from typing import Any, NamedTuple

import numpy as np

from cnn import _core


class Case(NamedTuple):
    """A function, its arguments in a world, and which of them stay as they are."""

    function: Any
    arguments: Any
    fixed: tuple = ()


def setter(name):
    def set_it(holder, value):
        setattr(holder, name, value)

    return set_it


def flat(count):
    return np.ones(count, np.float32)


_dense = _core.LayerSpec("dense", 3, 2, "softmax", 0.0, 0.0)
_column = _core.ColumnSpec("embedding", False, 4)
_columns = _core.LayerSpec("columns", 1, columns=(_column,), clip=1.0, embedding_size=2)


def _read_rows(offset, index, out):
    with open(__file__, "rb") as file:
        _core.read_rows(file.fileno(), offset, index, out)


def tape_backward(network, x, dy):
    tape = _core.Tape(network)
    tape.forward(x)
    return tape.backward(dy)


CORE = {
    "Network": Case(_core.Network, lambda w: {"layers": [_dense], "dtype": "float32", "seed": 1}),
    "Network of": Case(
        lambda **layer: _core.Network([_core.LayerSpec(**layer)]),
        lambda w: _dense._asdict(),
    ),
    "Network of columns": Case(
        lambda **layer: (
            _core.Network([_core.LayerSpec(**layer), _core.LayerSpec("dense", 2, 1)]).layers
        ),
        lambda w: _columns._asdict(),
    ),
    "Network of a column": Case(
        lambda **column: (
            _core.Network(
                [
                    _columns._replace(columns=(_core.ColumnSpec(**column),)),
                    _core.LayerSpec("dense", 2, 1),
                ]
            ).layers
        ),
        lambda w: _column._asdict(),
    ),
    "Network.get of columns": Case(
        lambda n, **kw: n._network.get(**kw),
        lambda w: {"n": w.table, "layer": 0, "parameter": "embedding"},
        ("n",),
    ),
    "Network.set of columns": Case(
        lambda n, **kw: n._network.set(**kw),
        lambda w: {"n": w.table, "layer": 0, "parameter": "embedding", "values": np.ones((3, 8))},
        ("n",),
    ),
    "Network.trained": Case(lambda n: n._network.trained, lambda w: {"n": w.table}),
    "shapes_of": Case(_core.shapes_of, lambda w: {"spec": _columns}),
    "shapes_of columns": Case(
        lambda **layer: _core.shapes_of(_core.LayerSpec(**layer)), lambda w: _columns._asdict()
    ),
    "outputs_of": Case(_core.outputs_of, lambda w: {"spec": _columns}),
    "outputs_of columns": Case(
        lambda **layer: _core.outputs_of(_core.LayerSpec(**layer)), lambda w: _columns._asdict()
    ),
    "Network.__new__": Case(
        lambda layers: _core.Network.__new__(_core.Network, layers), lambda w: {"layers": [_dense]}
    ),
    "Network.initialize": Case(
        lambda n, **kw: n._network.initialize(**kw),
        lambda w: {"n": w.net, "layer": 0, "initializer": "uniform", "a": 1.0},
        ("n",),
    ),
    "Network.get": Case(
        lambda n, **kw: n._network.get(**kw),
        lambda w: {"n": w.net, "layer": 0, "parameter": "bias"},
        ("n",),
    ),
    "Network.set": Case(
        lambda n, **kw: n._network.set(**kw),
        lambda w: {"n": w.net, "layer": 1, "parameter": "bias", "values": w.b},
        ("n",),
    ),
    "Network.set_l2": Case(
        lambda n, **kw: n._network.set_l2(**kw),
        lambda w: {"n": w.net, "layer": 0, "l2": 0.1},
        ("n",),
    ),
    "Network.predict": Case(
        lambda n, **kw: n._network.predict(**kw),
        lambda w: {"n": w.net, "x": w.x, "out": w.out},
        ("n",),
    ),
    "Network.evaluate": Case(
        lambda n, **kw: n._network.evaluate(**kw),
        lambda w: {
            "n": w.net,
            "loss": w.loss,
            "x": w.x,
            "t": w.t,
            "sample_weight": w.sample_weight,
            "where": "here",
        },
        ("n",),
    ),
    "Network.vjp": Case(
        lambda n, **kw: n._network.vjp(**kw), lambda w: {"n": w.net, "x": w.x, "dy": w.dy}, ("n",)
    ),
    "Network.jacobian": Case(
        lambda n, **kw: n._network.jacobian(**kw), lambda w: {"n": w.net, "x": w.x}, ("n",)
    ),
    "Tape": Case(_core.Tape, lambda w: {"network": w.net._network}),
    "Tape.forward": Case(
        lambda n, **kw: _core.Tape(n._network).forward(**kw),
        lambda w: {"n": w.net, "x": w.x, "step": 1},
        ("n",),
    ),
    "Tape.backward": Case(
        tape_backward, lambda w: {"network": w.net._network, "x": w.x, "dy": w.dy}, ("network",)
    ),
    "Trainer.apply": Case(
        lambda t, **kw: t.apply(**kw),
        lambda w: {"t": w.trainer, "gradients": np.ones(26), "penalties": True, "lr": 0.1},
        ("t",),
    ),
    "Network.gradients": Case(
        lambda n, **kw: n._network.gradients(**kw),
        lambda w: {
            "n": w.net,
            "loss": w.loss,
            "x": w.x,
            "t": w.t,
            "sample_weight": w.sample_weight,
            "step": 1,
        },
        ("n",),
    ),
    "Network.save": Case(
        lambda n, **kw: n._network.save(**kw),
        lambda w: {"n": w.net, "path": w.path},
        ("n",),
    ),
    "Network.load": Case(_core.Network.load, lambda w: {"path": w.path}),
    "Network.from_bytes": Case(
        _core.Network.from_bytes, lambda w: {"data": w.net._network.to_bytes()}
    ),
    "Network.set_metadata": Case(
        lambda n, **kw: n._network.set_metadata(**kw),
        lambda w: {"n": w.net, "key": "a", "value": "b"},
        ("n",),
    ),
    "Network.__init__": Case(
        lambda n, **kw: n._network.__init__(**kw),
        lambda w: {"n": w.net, "layers": [_dense]},
        ("n",),
    ),
    "Trainer": Case(
        _core.Trainer,
        lambda w: {
            "network": w.net._network,
            "kind": "adamw",
            "momentum": 0.5,
            "beta1": 0.9,
            "beta2": 0.9,
            "alpha": 0.5,
            "eps": 1e-8,
            "weight_decay": 0.1,
            "clip_norm": 1.0,
        },
    ),
    "Trainer.__new__": Case(
        lambda network: _core.Trainer.__new__(_core.Trainer, network, "sgd").steps,
        lambda w: {"network": w.net._network},
    ),
    "Trainer.save": Case(
        lambda n, **kw: n.save(**kw),
        lambda w: {"n": w.trainer, "path": w.path, "key": "a", "value": "b"},
        ("n",),
    ),
    "Trainer.load": Case(_core.Trainer.load, lambda w: {"path": w.path}),
    "Trainer.steps": Case(
        setter("steps"), lambda w: {"holder": w.trainer, "value": 1}, ("holder",)
    ),
    "Trainer.set_state": Case(
        lambda n, **kw: n.set_state(**kw),
        lambda w: {"n": w.trainer, "state": w.trainer.get_state()},
        ("n",),
    ),
    "Trainer.set_state of": Case(
        lambda n, state: n.set_state([state]),
        lambda w: {"n": w.trainer, "state": w.trainer.get_state()[0]},
        ("n",),
    ),
    "Trainer.step": Case(
        lambda n, **kw: n.step(**kw),
        lambda w: {
            "n": w.trainer,
            "loss": w.loss,
            "x": w.x,
            "t": w.t,
            "sample_weight": w.sample_weight,
            "lr": 0.1,
        },
        ("n",),
    ),
    "Trainer.epoch": Case(
        lambda n, **kw: n.epoch(**kw),
        lambda w: {
            "n": w.trainer,
            "loss": w.loss,
            "x": w.x,
            "t": w.t,
            "sample_weight": w.sample_weight,
            "index": w.index,
            "batch_size": 2,
            "lr": w.lr,
            "seconds": 0.0,
        },
        ("n",),
    ),
    "Trainer.epoch of groups": Case(
        lambda n, **kw: n.epoch(**kw),
        lambda w: {
            "n": w.table_trainer,
            "loss": w.loss,
            "x": w.x,
            "t": w.t,
            "sample_weight": None,
            "index": w.index,
            "batch_size": 2,
            "lr": np.full((3, 2), 0.1),
            "weight_decay": np.zeros((3, 2)),
            "dropout": np.ones(3),
        },
        ("n", "x", "t"),
    ),
    "Trainer.set_group": Case(
        lambda n, **kw: n.set_group(**kw),
        lambda w: {"n": w.table_trainer, "layer": 0, "parameter": "periodic", "group": 1},
        ("n",),
    ),
    "Trainer.group": Case(
        lambda n, **kw: n.group(**kw),
        lambda w: {"n": w.table_trainer, "layer": 0, "parameter": "periodic"},
        ("n",),
    ),
    "Loss": Case(
        _core.Loss,
        lambda w: {
            "kind": "huber",
            "labels": False,
            "delta": 1.0,
            "label_smoothing": 0.1,
            "class_weight": np.ones(2),
            "quantiles": np.ones(2),
        },
    ),
    "Samples": Case(
        _core.Samples,
        lambda w: {
            "x": w.x,
            "t": w.t,
            "sample_weight": w.sample_weight,
            "inputs": 3,
            "where": "here",
        },
    ),
    "Handle": Case(_core.Handle, lambda w: {"network": w.net._network}),
    "loss_gradient": Case(
        _core.loss_gradient,
        lambda w: {"loss": w.loss, "z": w.dy, "t": w.t, "sample_weight": w.sample_weight},
    ),
    "column_names": Case(_core.column_names, lambda w: {"value": w.x}),
    "numeric": Case(_core.numeric, lambda w: {"where": "a", "name": "b", "value": w.x}),
    "no_mask": Case(_core.no_mask, lambda w: {"where": "a", "name": "b", "value": w.x}),
    "pinned": Case(lambda value: _core.pinned(value), lambda w: {"value": w.x}),  # noqa: PLW0108
    "first_outside": Case(
        _core.first_outside, lambda w: {"x": w.x, "low": 0.0, "high": 1.0, "whole": False}
    ),
    "philox": Case(_core.philox, lambda w: {"counter": (1, 2, 3, 4), "key": (1, 2)}),
    "philox of": Case(lambda a, b: _core.philox((a, a, 1, 2), [b, 1]), lambda w: {"a": 1, "b": 2}),
    "permutation": Case(
        _core.permutation, lambda w: {"seed": 0, "epoch": 0, "n": 5, "first": 0, "count": 5}
    ),
    "read_rows": Case(
        _read_rows, lambda w: {"offset": 0, "index": np.uintp([1, 0]), "out": np.zeros((2, 3))}
    ),
    "rows_of_columns": Case(
        _core.rows_of_columns,
        lambda w: {"columns": [np.zeros(3), np.ones(3)], "out": np.zeros((3, 2))},
    ),
    "_core.activation": Case(_core.activation, lambda w: {"name": "tanh", "x": w.dy, "out": w.out}),
    "_core.activation_backward": Case(
        _core.activation_backward,
        lambda w: {"name": "tanh", "dy": w.dy, "source": w.rows, "out": w.dx},
    ),
    "_core.softmax": Case(_core.softmax, lambda w: {"x": w.dy, "out": w.out, "axis": 0}),
    "_core.log_softmax": Case(_core.log_softmax, lambda w: {"x": w.dy, "out": w.out, "axis": 0}),
    "_core.dense": Case(
        _core.dense,
        lambda w: {"x": w.x, "weight": w.w, "bias": w.b, "activation": "relu", "out": w.out},
    ),
    "_core.dense_backward": Case(
        _core.dense_backward, lambda w: {"dy": w.dy, "x": w.x, "weight": w.w}
    ),
    "predict_address": Case(_core.predict_address, lambda w: {"dtype": "float32"}),
    "shard_seed": Case(_core.shard_seed, lambda w: {"seed": 1, "shard": 2}),
    "ShardTree": Case(_core.ShardTree, lambda w: {"dtype": "float32", "count": 26, "shards": 2}),
    "ShardTree.add": Case(
        lambda **kw: _core.ShardTree("float32", 26, 2).add(**kw),
        lambda w: {"first": 0, "last": 1, "vector": flat(26), "sums": np.ones(5)},
    ),
    "shard_gradient": Case(
        lambda n, **kw: _core.shard_gradient(n, tree=_core.ShardTree("float32", 26, 2), **kw),
        lambda w: {
            "n": w.trainer,
            "loss": w.loss,
            "x": w.x,
            "t": w.t,
            "sample_weight": w.sample_weight,
            "index": w.index,
            "shard": 0,
        },
        ("n",),
    ),
    "shard_gradient of": Case(
        _core.shard_gradient,
        lambda w: {
            "trainer": w.trainer,
            "loss": w.loss,
            "x": w.x,
            "t": w.t,
            "sample_weight": None,
            "index": None,
            "shard": 0,
            "tree": _core.ShardTree("float32", 26, 2),
        },
        ("x", "t"),
    ),
    "shard_sums": Case(_core.shard_sums, lambda w: {"result": _core.Result()}),
    "shard_loss": Case(_core.shard_loss, lambda w: {"network": w.net._network, "sums": np.ones(5)}),
    "shard_slices": Case(_core.shard_slices, lambda w: {"network": w.net._network, "parts": 2}),
    "shard_blocks": Case(
        _core.shard_blocks, lambda w: {"network": w.net._network, "first": 0, "count": 26}
    ),
    "shard_mean": Case(
        _core.shard_mean,
        lambda w: {
            "network": w.net._network,
            "gradient": flat(26),
            "first": 0,
            "sums": np.ones(5),
        },
    ),
    "shard_squares": Case(
        _core.shard_squares,
        lambda w: {"network": w.net._network, "gradient": flat(26), "first": 0},
    ),
    "shard_clip": Case(_core.shard_clip, lambda w: {"trainer": w.trainer, "squares": np.ones(4)}),
    "shard_step": Case(
        _core.shard_step,
        lambda w: {
            "trainer": w.trainer,
            "gradient": flat(26),
            "first": 0,
            "clip": 1.0,
            "lr": 0.1,
            "values": flat(26),
        },
    ),
    "shard_finish": Case(_core.shard_finish, lambda w: {"trainer": w.trainer, "values": flat(26)}),
    "select_isa": Case(_core.select_isa, lambda w: {"name": "scalar"}),
    "set_num_threads": Case(_core.set_num_threads, lambda w: {"n": 2}),
}


def called_on_class(cls, name):
    """Return a call of a method of a class, with the object in the place of self."""
    # Such methods do not take self by its name.
    return Case(lambda value: getattr(cls, name)(value), lambda w: {"value": None})  # noqa: PLW0108


def whole_classes():
    """Return calls of what classes of _core inherit, and of their methods without self."""
    found = {}
    for cls in (
        _core.Network,
        _core.Tape,
        _core.Trainer,
        _core.Loss,
        _core.Samples,
        _core.Handle,
        _core.Result,
        _core.ShardTree,
    ):
        name = cls.__name__
        found[f"{name} of __new__"] = Case(
            lambda value, cls=cls: vars_of(cls.__new__(cls, value)), lambda w: {"value": None}
        )
        found[f"{name}.__setstate__"] = Case(
            lambda value, cls=cls: cls.__new__(cls).__setstate__(value), lambda w: {"value": ()}
        )
        for method in [*vars(cls), "__reduce_ex__"]:
            if callable(getattr(cls, method)) and method != "__new__":
                found[f"{name}.{method}(self)"] = called_on_class(cls, method)
    return found


def vars_of(value):
    """Ask for all that an object has, and copy and pickle it."""
    for name in dir(value):
        with contextlib.suppress(Exception):
            attribute = getattr(value, name)
            if callable(attribute) and not name.startswith("__"):
                attribute()
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with contextlib.suppress(Exception):
            pickle.loads(pickle.dumps(value, protocol))
    for make in (copy.copy, copy.deepcopy, repr, hash, dir, iter, len):
        with contextlib.suppress(Exception):
            make(value)

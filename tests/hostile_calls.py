"""Each function of cnn with good arguments, and a runner that puts a hostile object in each place.

``python hostile_calls.py PROGRESS FOLDER FIRST STEP GROUP...`` makes calls FIRST, FIRST + STEP, ...
of the groups. Before each call it writes its number to the file PROGRESS.
"""

import contextlib
import copy
import ctypes
import faulthandler
import io
import json
import os
import signal
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from hostile_core_calls import CORE, Case, setter, whole_classes
from hostile_extra_calls import extras
from hostile_objects import OBJECTS, fails
from hostile_world import World

import cnn
from cnn import _core


def stop():
    """Return a callback that ends fit after an epoch, however many are asked for."""
    return cnn.LambdaCallback(on_epoch_end=lambda *_: None), _Stop()


class _Stop(cnn.Callback):
    def on_epoch_end(self, epoch, logs):
        self.model.stop_training = True


# ---- The public floor ----------------------------------------------------------------------------

FUNCTIONS = {
    **{
        name: Case(getattr(cnn, name), lambda w: {"x": w.dy, "out": w.out})
        for name in _core.ACTIVATIONS
        if name != "softmax"
    },
    "softmax": Case(cnn.softmax, lambda w: {"x": w.dy, "axis": 1, "out": w.out}),
    "log_softmax": Case(cnn.log_softmax, lambda w: {"x": w.dy, "axis": 1, "out": w.out}),
    "activation_backward": Case(
        cnn.activation_backward,
        lambda w: {"name": "tanh", "dy": w.dy, "y": w.rows, "x": w.rows, "out": w.out},
    ),
    "dense": Case(
        cnn.dense,
        lambda w: {"x": w.x, "weight": w.w, "bias": w.b, "activation": "tanh", "out": w.out},
    ),
    "dense_backward": Case(cnn.dense_backward, lambda w: {"dy": w.dy, "x": w.x, "weight": w.w}),
    "squared_error": Case(
        cnn.squared_error, lambda w: {"y": w.dy, "t": w.rows, "sample_weight": w.sample_weight}
    ),
    "cross_entropy": Case(
        cnn.cross_entropy,
        lambda w: {
            "logits": w.dy,
            "t": w.t,
            "label_smoothing": 0.1,
            "sample_weight": w.sample_weight,
        },
    ),
    "binary_cross_entropy": Case(
        cnn.binary_cross_entropy,
        lambda w: {"logits": w.dy, "t": w.rows, "sample_weight": w.sample_weight},
    ),
    "huber": Case(
        cnn.huber,
        lambda w: {"y": w.dy, "t": w.rows, "delta": 1.0, "sample_weight": w.sample_weight},
    ),
    "poisson": Case(
        cnn.poisson, lambda w: {"log_rate": w.dy, "t": w.rows, "sample_weight": w.sample_weight}
    ),
    "absolute_error": Case(
        cnn.absolute_error, lambda w: {"y": w.dy, "t": w.rows, "sample_weight": w.sample_weight}
    ),
    "quantile_loss": Case(
        cnn.quantile_loss,
        lambda w: {
            "y": w.dy,
            "t": w.rows,
            "quantiles": (0.2, 0.8),
            "sample_weight": w.sample_weight,
        },
    ),
    **{
        name: Case(
            getattr(cnn.metrics, name),
            lambda w: {"t": [0, 1, 0, 1, 1], "y": [0.1, 0.2, 0.3, 0.4, 0.5], "sample_weight": None},
        )
        for name in cnn.metrics.__all__
        if name not in ("ClassScores", "top5", "top_k")
    },
    **{
        name: Case(
            getattr(cnn.metrics, name),
            lambda w: {"t": [0, 1, 0, 1, 1], "y": np.eye(5, 6), "sample_weight": None},
        )
        for name in ("top5", "top_k")
    },
}

_samples = {
    "x": lambda w: w.x,
    "t": lambda w: w.t,
    "optimizer": lambda w: w.optimizer,
    "loss": lambda w: "cross_entropy",
    "sample_weight": lambda w: w.sample_weight,
    "class_weight": lambda w: {0: 1.0, 1: 2.0},
}


def sample_arguments(world, *names):
    return {"net": world.net, **{name: _samples[name](world) for name in names}}


NETWORKS = {
    "Sequential": Case(
        cnn.Sequential,
        lambda w: {"layers": [cnn.Dense(3, 2, "softmax")], "rng": 0, "dtype": "float32"},
    ),
    "Sequential of": Case(
        lambda a, b: cnn.Sequential([a, b]), lambda w: {"a": cnn.Dense(3, 2), "b": cnn.Dense(2, 2)}
    ),
    "mlp": Case(
        cnn.mlp,
        lambda w: {
            "sizes": (3, 4, 2),
            "hidden_activation": "relu",
            "output_activation": "softmax",
            "rng": 0,
            "dtype": "float64",
            "dropout": 0.1,
            "l2": 0.1,
        },
    ),
    "Dense": Case(
        cnn.Dense,
        lambda w: {
            "inputs": 3,
            "outputs": 2,
            "activation": "relu",
            "init": "he_uniform",
            "l2": 0.0,
            "parametrization": "ntk",
        },
    ),
    "Dense.weight": Case(
        setter("weight"),
        lambda w: {"holder": w.net.layers[1], "value": np.zeros((4, 2))},
        ("holder",),
    ),
    "Dense.bias": Case(
        setter("bias"), lambda w: {"holder": w.net.layers[1], "value": w.b}, ("holder",)
    ),
    "Dense.l2": Case(
        setter("l2"), lambda w: {"holder": w.net.layers[1], "value": 0.1}, ("holder",)
    ),
    "Dropout": Case(cnn.Dropout, lambda w: {"rate": 0.5}),
    "Standardize": Case(
        cnn.Standardize, lambda w: {"inputs": 2, "mean": w.b, "scale": np.ones(2, np.float32)}
    ),
    "Standardize.adapt": Case(
        lambda holder, x: holder.adapt(x),
        lambda w: {"holder": w.standardized.layers[0], "x": w.x},
        ("holder",),
    ),
    "Standardize.mean": Case(
        setter("mean"),
        lambda w: {"holder": w.standardized.layers[0], "value": w.x[0]},
        ("holder",),
    ),
    "Standardize.scale": Case(
        setter("scale"),
        lambda w: {"holder": cnn.Standardize(2), "value": np.ones(2)},
        ("holder",),
    ),
    "fit after Standardize": Case(
        lambda net, **kw: net.fit(**kw),
        lambda w: {"net": w.standardized, "x": w.x, "t": w.t},
        ("net",),
    ),
    "uniform": Case(cnn.uniform, lambda w: {"a": 0.5}),
    "normal": Case(cnn.normal, lambda w: {"a": 0.5}),
    "Scale": Case(cnn.Scale, lambda w: {"inputs": 3}),
    "Scale.factor": Case(
        setter("factor"), lambda w: {"holder": w.table[1], "value": w.table[1].factor}, ("holder",)
    ),
    "ParametricActivation": Case(
        cnn.ParametricActivation, lambda w: {"inputs": 3, "activation": "mish"}
    ),
    "ParametricActivation.mix": Case(
        setter("mix"), lambda w: {"holder": w.table[3], "value": np.ones(4)}, ("holder",)
    ),
    "Columns": Case(
        cnn.Columns,
        lambda w: {
            "columns": [cnn.columns.Periodic(), cnn.columns.Embedding(3)],
            "clip": 3.0,
            "frequencies": 4,
            "periodic_size": 4,
            "embedding_size": 2,
            "sigma": 0.1,
        },
    ),
    "Columns of": Case(
        lambda column: cnn.Columns([cnn.columns.Number(), column]),
        lambda w: {"column": cnn.columns.OneHot(3)},
    ),
    "Columns.adapt": Case(
        lambda holder, x: holder.adapt(x), lambda w: {"holder": w.table[0], "x": w.x}, ("holder",)
    ),
    **{
        f"Columns.{name}": Case(
            setter(name),
            lambda w, name=name: {"holder": w.table[0], "value": getattr(w.table[0], name)},
            ("holder",),
        )
        for name in ("embedding", "periodic", "mean", "scale")
    },
    "Columns.__call__": Case(
        lambda net, x: net[0](x), lambda w: {"net": w.table, "x": w.x}, ("net",)
    ),
    "columns.Number": Case(cnn.columns.Number, lambda w: {"missing": True}),
    "columns.Periodic": Case(cnn.columns.Periodic, lambda w: {"missing": True}),
    "columns.OneHot": Case(cnn.columns.OneHot, lambda w: {"categories": 3}),
    "columns.Embedding": Case(cnn.columns.Embedding, lambda w: {"categories": 3}),
    "fit after Columns": Case(
        lambda net, **kw: net.fit(**kw),
        lambda w: {
            "net": w.table,
            "x": w.x,
            "t": w.t,
            "optimizer": cnn.AdamW(groups=[cnn.optimizers.Group("bias", lr=0.1)]),
            "dropout": cnn.FlatCosine(1.0, 5),
        },
        ("net",),
    ),
    "predict after Columns": Case(
        lambda net, x: net.predict(x), lambda w: {"net": w.table, "x": w.x}, ("net",)
    ),
    "vjp after Columns": Case(
        lambda net, **kw: net.vjp(**kw), lambda w: {"net": w.table, "x": w.x, "dy": w.dy}, ("net",)
    ),
    "jacobian after Columns": Case(
        lambda net, x: net.jacobian(x), lambda w: {"net": w.table, "x": w.x}, ("net",)
    ),
    "fit": Case(
        lambda net, **kw: net.fit(**kw),
        lambda w: {
            **sample_arguments(w, *_samples),
            "epochs": 2,
            "batch_size": 2,
            "validation_data": (w.x, w.t),
            "shuffle": True,
            "callbacks": stop(),
            "progress": False,
            "metrics": ["auc"],
        },
        ("net",),
    ),
    "fit validation": Case(
        lambda net, x, t, vx, vt, vw: net.fit(x, t, validation_data=(vx, vt, vw)),
        lambda w: {**sample_arguments(w, "x", "t"), "vx": w.x, "vt": w.t, "vw": w.sample_weight},
        ("net", "x", "t"),
    ),
    "fit lr": Case(
        lambda net, x, t, lr: net.fit(x, t, optimizer=cnn.SGD(lr), callbacks=[_Stop()]),
        lambda w: {**sample_arguments(w, "x", "t"), "lr": 0.1},
        ("net", "x", "t"),
    ),
    "fit callback": Case(
        lambda net, x, t, call: net.fit(
            x, t, epochs=2, callbacks=[cnn.LambdaCallback(on_epoch_begin=call, on_epoch_end=call)]
        ),
        lambda w: {**sample_arguments(w, "x", "t"), "call": lambda *_: None},
        ("net", "x", "t"),
    ),
    "fit split": Case(
        lambda net, x, t, **kw: net.fit(x, t, **kw),
        lambda w: {**sample_arguments(w, "x", "t"), "validation_split": 0.4, "verbose": 0},
        ("net", "x", "t"),
    ),
    "train_step": Case(
        lambda net, **kw: net.train_step(**kw), lambda w: sample_arguments(w, *_samples), ("net",)
    ),
    "evaluate": Case(
        lambda net, **kw: net.evaluate(**kw),
        lambda w: {
            **sample_arguments(w, "x", "t", "loss", "sample_weight"),
            "metrics": ["auc", "f1"],
        },
        ("net",),
    ),
    "activations of": Case(
        lambda net, x: net.activations(x), lambda w: {"net": w.net, "x": w.x}, ("net",)
    ),
    "Dense.__call__": Case(lambda net, x: net[0](x), lambda w: {"net": w.net, "x": w.x}, ("net",)),
    "Sequential.__getitem__": Case(
        lambda net, index: net[index], lambda w: {"net": w.net, "index": 0}, ("net",)
    ),
    "Sequential.metadata": Case(
        setter("metadata"), lambda w: {"holder": w.net, "value": {"a": "b"}}, ("holder",)
    ),
    "Metadata.update": Case(
        lambda net, **kw: net.metadata.update(kw),
        lambda w: {"net": w.net, "a": "b"},
        ("net",),
    ),
    "Sequential.class_names": Case(
        setter("class_names"), lambda w: {"holder": w.net, "value": ["a", "b"]}, ("holder",)
    ),
    "Sequential.feature_names": Case(
        setter("feature_names"), lambda w: {"holder": w.net, "value": list("abc")}, ("holder",)
    ),
    "gradients": Case(
        lambda net, **kw: net.gradients(**kw),
        lambda w: {**sample_arguments(w, "x", "t", "loss", "sample_weight"), "dropout_step": 1},
        ("net",),
    ),
    "forward": Case(
        lambda net, **kw: net.forward(**kw),
        lambda w: {"net": w.net, "x": w.x, "dropout_step": 1},
        ("net",),
    ),
    "backward": Case(
        lambda net, x, dy: (net.forward(x), net.backward(dy)),
        lambda w: {"net": w.net, "x": w.x, "dy": w.dy},
        ("net",),
    ),
    "vjp": Case(
        lambda net, **kw: net.vjp(**kw), lambda w: {"net": w.net, "x": w.x, "dy": w.dy}, ("net",)
    ),
    "jacobian": Case(
        lambda net, **kw: net.jacobian(**kw), lambda w: {"net": w.net, "x": w.x}, ("net",)
    ),
    "apply_gradients": Case(
        lambda net, **kw: net.apply_gradients(**kw),
        lambda w: {
            "net": w.net,
            "gradients": [(layer.weight, layer.bias) for layer in w.net],
            "optimizer": w.optimizer,
            "l2": False,
        },
        ("net",),
    ),
    "apply_gradients one": Case(
        lambda net, value, bias: net.apply_gradients(
            [(value, bias), (net.layers[1].weight, net.layers[1].bias)], cnn.Adam()
        ),
        lambda w: {"net": w.net, "value": np.ones((3, 4)), "bias": np.ones(4)},
        ("net",),
    ),
    "get_weights": Case(lambda net: net.get_weights(), lambda w: {"net": w.net}, ("net",)),
    "set_weights": Case(
        lambda net, **kw: net.set_weights(**kw),
        lambda w: {"net": w.net, "weights": w.net.get_weights()},
        ("net",),
    ),
    "set_weights one": Case(
        lambda net, value: net.set_weights([value, *net.get_weights()[1:]]),
        lambda w: {"net": w.net, "value": np.ones((3, 4))},
        ("net",),
    ),
    "predict": Case(
        lambda net, **kw: net.predict(**kw),
        lambda w: {"net": w.net, "x": w.x, "out": w.out},
        ("net",),
    ),
    "predict one": Case(
        lambda net, **kw: net.predict(**kw),
        lambda w: {"net": w.net, "x": w.x[0], "out": w.b},
        ("net",),
    ),
    "save": Case(
        lambda net, **kw: net.save(**kw),
        lambda w: {"net": w.net, "path": w.path, "optimizer": None},
    ),
    "load": Case(cnn.load, lambda w: {"path": w.path}),
    "Predictor": Case(
        cnn.Predictor,
        lambda w: {
            "model": w.net,
            "columns": ["a", "b", "c"],
            "names": None,
            "keep": ["id"],
            "method": "predict",
            "threads": 1,
        },
    ),
    "Predictor.__call__": Case(
        lambda net, x: cnn.Predictor(net)(x), lambda w: {"net": w.net, "x": w.x}, ("net",)
    ),
    "Predictor of columns": Case(
        lambda net, x: cnn.Predictor(net, columns=["a"])({"a": x}),
        lambda w: {"net": w.net, "x": w.x},
        ("net",),
    ),
    "load_checkpoint": Case(cnn.load_checkpoint, lambda w: {"path": w.path}),
    "to_c": Case(
        lambda net, **kw: net.to_c(**kw),
        lambda w: {
            "net": w.net,
            "path": os.path.join(w.folder, "net.h"),
            "name": "net",
            "dtype": "float32",
            "fast": False,
        },
        ("net",),
    ),
    "to_onnx": Case(
        lambda net, **kw: net.to_onnx(**kw),
        lambda w: {"net": w.net, "path": os.path.join(w.folder, "net.onnx")},
        ("net",),
    ),
    # It takes addresses and trusts them; test_interfaces.py has what it checks.
    "c_function": Case(lambda net: net.c_function, lambda w: {"net": w.net}, ("net",)),
    "Sequential.__setstate__": Case(
        lambda net, value: copy.copy(net).__setstate__(value),
        lambda w: {"net": w.net, "value": w.net},
        ("net",),
    ),
    "from_onnx": Case(cnn.from_onnx, lambda w: {"path": os.path.join(w.folder, "net.onnx")}),
    "from_torch": Case(cnn.from_torch, lambda w: {"module": None}),
    "from_sklearn": Case(cnn.from_sklearn, lambda w: {"estimator": None}),
}

_optimizers = {
    "SGD": {"lr": 0.1, "momentum": 0.5, "nesterov": False, "clip_norm": 1.0},
    "Adam": {"lr": 0.1, "betas": (0.9, 0.9), "eps": 1e-8, "clip_norm": 1.0},
    "AdamW": {"lr": 0.1, "betas": (0.9, 0.9), "eps": 1e-8, "weight_decay": 0.1, "clip_norm": 1.0},
    "RMSprop": {"lr": 0.1, "alpha": 0.9, "eps": 1e-8, "clip_norm": 1.0},
    "Adagrad": {"lr": 0.1, "eps": 1e-8, "clip_norm": 1.0},
}
for _options in _optimizers.values():
    _options["groups"] = [cnn.optimizers.Group("bias", lr=0.5)]


def used(optimizer):
    """Return an optimizer's copy after a step, which a network gave its state."""
    net = cnn.mlp([3, 2], "relu", "softmax", rng=0)
    net.fit(np.ones((2, 3)), [0, 1], optimizer=optimizer, epochs=1)
    return copy.deepcopy(optimizer)


SETTINGS = {
    **{
        name: Case(
            lambda name=name, **kw: used(getattr(cnn, name)(**kw)), lambda w, kw=kw: dict(kw)
        )
        for name, kw in _optimizers.items()
    },
    "Optimizer.lr": Case(setter("lr"), lambda w: {"holder": cnn.SGD(), "value": 0.1}, ("holder",)),
    "Optimizer.__setstate__": Case(
        lambda holder, value: holder.__setstate__(value),
        lambda w: {"holder": cnn.SGD(), "value": {}},
        ("holder",),
    ),
    "Optimizer state": Case(
        lambda slot: used(cnn.Adam()).__setstate__({"_waiting": slot}), lambda w: {"slot": None}
    ),
    "Constant": Case(lambda **kw: cnn.Constant(**kw)(1), lambda w: {"lr": 0.1}),
    "StepDecay": Case(
        lambda **kw: cnn.StepDecay(**kw)(1), lambda w: {"lr": 0.1, "step_size": 2, "gamma": 0.5}
    ),
    "ExponentialDecay": Case(
        lambda **kw: cnn.ExponentialDecay(**kw)(1), lambda w: {"lr": 0.1, "gamma": 0.5}
    ),
    "CosineDecay": Case(
        lambda **kw: cnn.CosineDecay(**kw)(1), lambda w: {"lr": 0.1, "steps": 5, "final": 0.0}
    ),
    "FlatCosine": Case(
        lambda **kw: cnn.FlatCosine(**kw)(1), lambda w: {"lr": 0.1, "steps": 5, "start": 0.5}
    ),
    "CosineLog": Case(
        lambda **kw: cnn.CosineLog(**kw)(1), lambda w: {"lr": 0.1, "steps": 5, "cycles": 2}
    ),
    "Group": Case(
        lambda **kw: used(cnn.AdamW(groups=[cnn.optimizers.Group(**kw)])),
        lambda w: {"parameters": ((0, "weight"), "bias"), "lr": 0.5, "weight_decay": 0.1},
    ),
    "Group.has": Case(cnn.optimizers.Group("bias").has, lambda w: {"layer": 0, "name": "bias"}),
    "Warmup": Case(
        lambda **kw: cnn.Warmup(**kw)(1), lambda w: {"schedule": cnn.Constant(0.1), "steps": 5}
    ),
    "Schedule": Case(cnn.StepDecay(0.1, 2).__call__, lambda w: {"step": 1}),
    "Schedule.values": Case(
        lambda **kw: cnn.CosineDecay(0.1, 5).values(**kw), lambda w: {"first": 0, "count": 5}
    ),
    "Loss": Case(lambda **kw: cnn.Loss(**kw).compiled(), lambda w: {}),
    "SquaredError": Case(
        lambda **kw: cnn.SquaredError().compiled(**kw), lambda w: {"class_weight": None}
    ),
    "CrossEntropy": Case(
        lambda **kw: cnn.CrossEntropy(**kw).compiled(), lambda w: {"label_smoothing": 0.1}
    ),
    "BinaryCrossEntropy": Case(
        lambda **kw: cnn.BinaryCrossEntropy().compiled(**kw), lambda w: {"labels": False}
    ),
    "Huber": Case(lambda **kw: cnn.Huber(**kw).compiled(), lambda w: {"delta": 1.0}),
    "Poisson": Case(lambda **kw: cnn.Poisson().compiled(**kw), lambda w: {"class_weight": None}),
    "AbsoluteError": Case(
        lambda **kw: cnn.AbsoluteError().compiled(**kw), lambda w: {"class_weight": None}
    ),
    "Quantile": Case(
        lambda **kw: cnn.Quantile(**kw).compiled(), lambda w: {"quantiles": (0.2, 0.8)}
    ),
    "EarlyStopping": Case(
        cnn.EarlyStopping,
        lambda w: {
            "monitor": "loss",
            "patience": 1,
            "min_delta": 0.0,
            "mode": "auto",
            "restore_best_weights": True,
        },
    ),
    "ModelCheckpoint": Case(
        cnn.ModelCheckpoint,
        lambda w: {"path": w.path, "monitor": "loss", "mode": "auto", "save_best_only": True},
    ),
    "LambdaCallback": Case(cnn.LambdaCallback, lambda w: {"on_epoch_end": print}),
    "Callback.model": Case(
        setter("model"), lambda w: {"holder": cnn.Callback(), "value": w.net}, ("holder",)
    ),
    "History": Case(lambda name: cnn.History()[name], lambda w: {"name": "loss"}),
    "History.append": Case(
        lambda **kw: cnn.History().append(**kw), lambda w: {"epoch": 1, "logs": {"loss": 0.5}}
    ),
    "set_num_threads": Case(cnn.set_num_threads, lambda w: {"n": 2}),
    "load_digits": Case(cnn.datasets.load_digits, lambda w: {"split": True, "dtype": "float32"}),
    "load_mnist": Case(
        cnn.datasets.load_mnist,
        lambda w: {"path": w.folder, "download": False, "dtype": "float32"},
        ("download",),
    ),
}


# Faults that must be found.
ITSELF = {
    "good": Case(len, lambda w: {"value": 0}),
    "crash": Case(lambda value: ctypes.string_at(8), lambda w: {"value": 0}),
    "error by C": Case(lambda value: fails(SystemError)(), lambda w: {"value": 0}),
}

GROUPS = {
    "core": lambda: CORE | whole_classes(),
    "functions": lambda: FUNCTIONS,
    "networks": lambda: NETWORKS,
    "settings": lambda: SETTINGS,
    "extras": extras,
    "itself": lambda: ITSELF,
}


# What looks at each element, which takes too long for an array without end.
READ_WHOLE = {("first_outside", "x"), ("mlp", "sizes"), ("Columns", "columns")} | {
    ("Predictor", name) for name in ("columns", "names", "keep")
}


def cases(groups):
    """Yield each call, argument and object, the same ones in each process."""
    for group in groups:
        for call, case in GROUPS[group]().items():
            for argument in arguments_of(case):
                patient = group == "extras" or (call, argument) in READ_WHOLE
                for name in OBJECTS:
                    if not (patient and name.endswith("without end")):
                        yield group, call, case, argument, name


def arguments_of(case):
    with tempfile.TemporaryDirectory() as folder:
        return [name for name in case.arguments(World(folder)) if name not in case.fixed]


# ---- The runner ----------------------------------------------------------------------------------


def make(case, argument, name, folder):
    """Make one call; any exception is good, but for those that C makes by mistake."""
    world = World(folder)
    arguments = case.arguments(world)
    arguments[argument] = OBJECTS[name](world)
    try:
        case.function(**arguments)
    except SystemError:
        raise
    except Exception:
        return


def limit_memory(size):
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def main(progress, folder, first, step, *groups):
    faulthandler.enable()
    warnings.simplefilter("ignore")
    limit_memory(6 * 2**30)
    Path(folder).mkdir(exist_ok=True)
    os.chdir(folder)
    file = os.open(progress, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    sys.stdout = io.StringIO()
    for number, (group, call, case, argument, name) in enumerate(cases(groups)):
        if number < int(first) or (number - int(first)) % int(step):
            continue
        line = json.dumps([number, group, call, argument, name])
        os.pwrite(file, line.ljust(300).encode(), 0)
        if hasattr(signal, "alarm"):
            signal.alarm(60)  # which ends the process if the call hangs
        make(case, argument, name, folder)
    os.pwrite(file, b"null".ljust(300), 0)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""
Drop-in for scikit-learn
========================

A program that uses the networks of scikit-learn needs one change, the import. Parameters,
attributes, pipelines and grid searches stay as they are. This page trains both networks side by
side and searches a grid. Then it uses what scikit-learn's networks do not have: class weights, and
a network that can be saved and exported. :doc:`/migrating/scikit-learn` lists all differences.
"""

import inspect
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import sklearn.neural_network
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import cnn
import cnn.plot
from cnn.sklearn import MLPClassifier  # was: from sklearn.neural_network import MLPClassifier

# %%
# The same parameters
# -------------------
#
# Each parameter of scikit-learn's class has the same name and the same default here. Two are new.

theirs = inspect.signature(sklearn.neural_network.MLPClassifier).parameters
ours = inspect.signature(MLPClassifier).parameters
for name, parameter in theirs.items():
    assert ours[name].default == parameter.default, name
new = sorted(set(ours) - set(theirs))
print(f"{len(theirs)} parameters are the same; new ones: {', '.join(new)}")
assert new == ["class_weight", "dropout"]

# %%
# The same training
# -----------------
#
# From the same `random_state` both classes draw the same initial weights. Without shuffling they
# also use the samples in the same order. Then each step is the same, but for rounding.
#
# The data are digits of 8 x 8 pixels, 1400 of them in batches of 100.

x, t = load_digits(return_X_y=True)
x, x_test, t, t_test = train_test_split(x / 16, t, train_size=1400, random_state=0, stratify=t)
settings: dict[str, Any] = {
    "hidden_layer_sizes": (50, 100),
    "solver": "sgd",
    "learning_rate_init": 0.05,
    "batch_size": 100,
    "max_iter": 20,
    "shuffle": False,
    "random_state": 0,
}
warnings.simplefilter("ignore", ConvergenceWarning)  # 20 epochs are not enough to converge
a = sklearn.neural_network.MLPClassifier(**settings).fit(x, t)
b = MLPClassifier(**settings).fit(x, t)
difference = max(np.abs(u - v).max() for u, v in zip(a.coefs_, b.coefs_, strict=True))
print(f"largest difference of a weight after 280 steps: {difference:.1e}")
print(f"scores on new rows: {a.score(x_test, t_test):.4f} and {b.score(x_test, t_test):.4f}")
assert a.t_ == b.t_ == 280 * 100
assert difference < 1e-8
assert a.score(x_test, t_test) == b.score(x_test, t_test) > 0.95

# %%
# The time
# --------
#
# Now both have their default settings, such as Adam and batches of 200 shuffled rows, and one
# thread. They run by turns, and the best time of each counts. The left picture has the losses of
# the training above, the right one the ratio of the times.


def seconds_of(call, *arguments):
    """Return how long a call takes."""
    began = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - began


kinds = {"scikit-learn": sklearn.neural_network.MLPClassifier, "cnn": MLPClassifier}
fits, calls = ({name: np.inf for name in kinds} for _ in range(2))
with threadpool_limits(1):
    for _turn in range(3):
        for name, kind in kinds.items():
            model = kind(max_iter=20, random_state=0)
            fits[name] = min(fits[name], seconds_of(model.fit, x, t))
            one_row = [seconds_of(model.predict_proba, x[:1]) for _ in range(200)]
            calls[name] = min(calls[name], *one_row)
ratios = {
    "fit 20 epochs": fits["scikit-learn"] / fits["cnn"],
    "predict one row": calls["scikit-learn"] / calls["cnn"],
}
for name in kinds:
    print(f"{name:12}  fit {fits[name]:.3f} s, one row {1e6 * calls[name]:.1f} µs")
assert ratios["fit 20 epochs"] > 0.8  # with room for a busy machine
assert ratios["predict one row"] > 3

fig, (left, right) = plt.subplots(1, 2, width_ratios=[3, 2])
epochs = range(1, 21)
left.plot(epochs, a.loss_curve_, color="#E69F00", linewidth=6, label="scikit-learn")
left.plot(epochs, b.loss_curve_, color="#0072B2", linewidth=1.5, label="cnn")
left.set(title="The same loss in each epoch", xlabel="epoch", ylabel="loss", yscale="log")
left.set_xticks(range(0, 21, 5))
left.legend()
bars = right.bar(list(ratios), list(ratios.values()), width=0.6, color="#0072B2")
right.bar_label(bars, [f"{each:.1f} x" for each in ratios.values()], padding=2)
right.set(title="How many times faster cnn is", ylim=(0, 1.15 * max(ratios.values())))
right.axhline(1.0, color="#555555", linewidth=1)
plt.show()

# %%
# Pipeline and grid search
# ------------------------
#
# An estimator of cnn goes wherever scikit-learn takes one: here at the end of a pipeline, whose
# settings a grid search chooses by cross-validation. The data are 569 tumours with 30 measurements.

x, t = load_breast_cancer(return_X_y=True)
assert x.shape == (569, 30)
x, x_test, t, t_test = train_test_split(x, t, random_state=0, stratify=t)
pipeline = make_pipeline(StandardScaler(), MLPClassifier(max_iter=50, random_state=0))
sizes, alphas = [(5,), (30,), (100,), (50, 50)], [1e-4, 1.0, 10.0]
grid = {"mlpclassifier__hidden_layer_sizes": sizes, "mlpclassifier__alpha": alphas}
search = GridSearchCV(pipeline, grid, cv=3)
began = time.perf_counter()
search.fit(x, t)
settings_tried = len(search.cv_results_["params"])
print(f"{settings_tried} settings, 3 folds each: {time.perf_counter() - began:.1f} s")
print("best:", search.best_params_)
accuracy = accuracy_score(t_test, search.predict(x_test))
print(f"accuracy in cross-validation {search.best_score_:.3f}, on new rows {accuracy:.3f}")
assert accuracy > 0.93

# %%
# Each cell is the mean accuracy of three folds.

# Rows for alpha, columns for hidden_layer_sizes.
table = np.asarray(search.cv_results_["mean_test_score"]).reshape(3, 4)
fig, ax = plt.subplots(figsize=(6, 3.2))
ax.imshow(table, cmap="Blues", aspect="auto")
for (row, column), score in np.ndenumerate(table):
    dark = score > (table.min() + table.max()) / 2
    ax.text(column, row, f"{score:.3f}", ha="center", va="center", color="w" if dark else "k")
ax.set_xticks(range(4), [str(each) for each in sizes])
ax.set_yticks(range(3), [f"{each:g}" for each in alphas])
ax.set(title="Accuracy in cross-validation", xlabel="hidden_layer_sizes", ylabel="alpha")
ax.tick_params(length=0)
ax.spines[:].set_visible(False)
plt.show()

# %%
# A rare class
# ------------
#
# One row in 20 is of class 1. A network that minimises the mean loss over all rows gains little
# from this class, and misses most of its rows, although 19 of 20 predictions are right.
# `class_weight="balanced"` gives both classes the same total weight. scikit-learn's networks do not
# have it.

x, t = make_classification(6000, 10, n_informative=4, weights=[0.95], flip_y=0, random_state=0)
assert round(t.mean(), 3) == 1 / 20
x, x_test, t, t_test = train_test_split(x, t, test_size=0.5, random_state=0, stratify=t)
chances, scores = {}, {}
for weight in (None, "balanced"):
    model = MLPClassifier((20,), class_weight=weight, max_iter=30, random_state=0).fit(x, t)
    y = model.predict(x_test)
    chances[weight] = model.predict_proba(x_test)
    scores[weight] = {
        "accuracy": accuracy_score(t_test, y),
        "recall": recall_score(t_test, y),
        "precision": precision_score(t_test, y),
        "AUC": roc_auc_score(t_test, chances[weight][:, 1]),
    }
    numbers = (f"{name} {score:.2f}" for name, score in scores[weight].items())
    print(f"class_weight={weight!s:8}", *numbers, sep="   ")
assert scores[None]["accuracy"] >= 0.95
assert scores[None]["recall"] < 0.5
assert scores["balanced"]["recall"] > 2 * scores[None]["recall"]
assert scores["balanced"]["precision"] < scores[None]["precision"]
assert scores["balanced"]["AUC"] >= scores[None]["AUC"]

# %%
# With the weights the network finds most rows of the rare class, and pays with false alarms. It
# does not sort the rows worse: the area under the ROC curve (AUC) is not smaller. The pictures show
# the predictions of each true class in percent.

fig, axes = plt.subplots(1, 2, figsize=(8, 4))
for ax, weight in zip(axes, (None, "balanced"), strict=True):
    cnn.plot.confusion_matrix(t_test, chances[weight], normalize="true", ax=ax)
    ax.set_title(f"class_weight={weight!r}")
plt.show()

# %%
# The network inside
# ------------------
#
# :func:`cnn.from_sklearn` makes one network of the best pipeline: the scaler becomes its first
# layer. It is then a :class:`cnn.Sequential`, which can be saved, exported to C or ONNX, and served
# without scikit-learn.

x_test, t_test = load_breast_cancer(return_X_y=True)
net = cnn.from_sklearn(search.best_estimator_)
print(net.summary())
p = net.predict(x_test)[:, 0]
difference = np.abs(p - search.predict_proba(x_test)[:, 1]).max()
print(f"largest difference from the pipeline's probabilities: {difference:.1e}")
assert difference < 1e-12

with tempfile.TemporaryDirectory() as folder:
    net.save(Path(folder) / "tumours.safetensors")
    again = cnn.load(Path(folder) / "tumours.safetensors")
assert (again.predict(x_test)[:, 0] == p).all()

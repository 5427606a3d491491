"""
A forest in a small network
===========================

A random forest is a good model of a table, and a slow one: each row goes through hundreds of trees.
:func:`cnn.tabular.distill` trains a small network with the predictions of a forest, or of any other
estimator. It tells what was lost on rows that neither has seen, and how long a row takes. This page
does so for a table of 442 patients.
"""

import os
import tempfile
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import train_test_split

import cnn
from cnn.tabular import TabularRegressor, distill

# %%
# The table
# ---------
#
# Each row has ten measurements of a patient with diabetes, and how far the disease progressed in
# the following year (B. Efron et al., "Least angle regression", 2004). The sex is a category, coded
# as 1 and 2; all other columns are numbers.

data: Any = load_diabetes(scaled=False)
x, t = data.data, data.target
names = list(data.feature_names)
print(f"{len(x)} rows: {', '.join(names)}")
print("the first one:", x[0].round(1), "progression", t[0])
assert x.shape == (442, 10)
assert set(x[:, names.index("sex")]) == {1, 2}

# %%
# From the forest to the network
# ------------------------------
#
# `distill` keeps a fifth of the rows aside. On the others it fits the forest, and the student,
# which learns the numbers that the forest predicts. The number for a row comes from a copy of the
# forest that was fitted without this row: a forest knows the rows that it was fitted to too well.

forest = RandomForestRegressor(n_estimators=100, random_state=0)
# Low frequencies, since little can be learned of 442 rows.
settings: dict[str, Any] = {"hidden_layer_sizes": (64, 64), "epochs": 128, "sigma": 0.1}
settings["random_state"] = 0
small = TabularRegressor(categorical_features=[1], **settings)
found = distill(forest, x, t, student=small)
print(found)
assert found.agreement > 0.8
assert found.student_microseconds[0] < found.teacher_microseconds[0] / 10

# %%
# The agreement is R² if the numbers of the forest are taken as right.
#
# What was lost
# -------------
#
# Nothing, in this table. A score on 89 rows depends much on which rows these are, so here are four
# splits. The last column is the same network, trained with the measured progression itself.

scores = []
print("R² of    forest  student  without a teacher")
for seed in range(4):
    each = distill(forest, x, t, student=small, random_state=seed)
    train, test = train_test_split(np.arange(len(t)), test_size=0.2, random_state=seed)
    alone = small.fit(x[train], t[train]).score(x[test], t[test])
    scores.append([each.teacher_score, each.student_score, alone])
    print("split {}  {:6.3f}  {:7.3f}  {:17.3f}".format(seed, *scores[-1]))
of_forest, of_student, without = np.array(scores, dtype=float).mean(axis=0)
print(f"mean     {of_forest:6.3f}  {of_student:7.3f}  {without:17.3f}")
assert of_student > of_forest
assert abs(of_student - without) < 0.05

# %%
# The student is better than its teacher, but no better than a network without one. So if a table
# suits a network, it needs no teacher. Distilling is for a model that you have and trust, and that
# is too slow or too large for the place where it has to run.
#
# Why the student can be better
# -----------------------------
#
# The left picture has the predictions for a patient with any body mass index, who has the median of
# all patients in each other column. Those of a forest are means of steps: they jump at the values
# at which trees split. A network with a smooth activation has a smooth curve, which leaves out the
# jumps. Here the jumps were noise.
#
# The right picture has the time of a row, in a call with one row and in a call with all 89.

bmi = names.index("bmi")
many = np.repeat(np.median(x, axis=0)[np.newaxis], 600, axis=0)
many[:, bmi] = np.linspace(18, 42, len(many))
steps, curve = found.teacher.predict(many), found.student.predict(many)
jumps = [np.abs(np.diff(line)).max() for line in (steps, curve)]
print(f"largest difference of neighbours: forest {jumps[0]:.1f}, network {jumps[1]:.1f}")
assert jumps[1] < jumps[0] / 5

colours = {"forest": "#E69F00", "network": "#0072B2"}
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), width_ratios=[3, 2])
left.plot(x[:, bmi], t, ".", color="#CCCCCC", markersize=4, label="measured")
left.plot(many[:, bmi], steps, color=colours["forest"], linewidth=1.5, label="forest")
left.plot(many[:, bmi], curve, color=colours["network"], linewidth=2, label="network")
left.set(
    title="All patients, and predictions for one",
    xlabel="body mass index [kg/m²]",
    ylabel="progression in a year",
)
left.legend()
times = {"forest": found.teacher_microseconds, "network": found.student_microseconds}
for place, (name, pair) in enumerate(times.items()):
    bars = right.bar(np.arange(2) + 0.4 * place, pair, 0.38, color=colours[name], label=name)
    right.bar_label(bars, [f"{value:,.{int(value < 10)}f}" for value in pair], padding=2)
right.set_yscale("log")
right.set_ylim(0.3, 4 * max(times["forest"]))
right.set_xticks([0.2, 1.2], ["one row", f"{found.rows} rows"])
right.tick_params(axis="x", length=0)
right.set(title="Time of a row in a call with", ylabel="microseconds")
right.legend()
plt.show()

# %%
# Save it
# -------
#
# The student is an estimator of its own. One file has the network and its preprocessing, and a
# program that loads it does not need the forest.

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "progression.safetensors")
    found.student.save(path)
    loaded = cnn.load(path)
    print(f"{os.path.getsize(path):,} bytes")
assert isinstance(loaded, TabularRegressor)
print(loaded.net_.summary())
assert (loaded.predict(x) == found.student.predict(x)).all()

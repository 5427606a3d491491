r"""
Gates and XOR
=============

A **perceptron** is the smallest network: one neuron. It multiplies its inputs by weights, adds a
bias and asks whether the result is above 0:

.. math:: y = h(x \cdot W + b), \qquad h(a) = \begin{cases} 0 & a \le 0 \\ 1 & a > 0 \end{cases}

*h* is the *step* function. This page builds logic gates from perceptrons, shows why no single
perceptron can compute XOR, and that two layers can.
"""

# %%
# AND, OR and NAND
# ----------------
# The four possible inputs are the rows of `x`. A gate is a choice of two weights and a bias, and
# :func:`cnn.dense` computes the perceptron for all rows at once.

# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np

import cnn
import cnn.plot

x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])

gates = {
    "AND": ([1.0, 1.0], -1.5, [0, 0, 0, 1]),
    "OR": ([1.0, 1.0], -0.5, [0, 1, 1, 1]),
    "NAND": ([-1.0, -1.0], 1.5, [1, 1, 1, 0]),
}

for name, (weights, bias, truth) in gates.items():
    y = cnn.dense(x, np.reshape(weights, (2, 1)), [bias], "step")
    print(f"{name:4}", y.ravel())
    assert y.ravel().tolist() == truth

# %%
# Each gate is a line
# -------------------
# The set of points with `x · W + b = 0` is a straight line in the plane of the two inputs. The
# perceptron answers 1 on one side of it and 0 on the other. Many weights give the same gate: any
# line that separates the points in the same way will do.

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for ax, (name, (weights, bias, truth)) in zip(axes, gates.items(), strict=True):
    gate = cnn.Sequential([cnn.Dense(2, 1, "step")])
    gate.layers[0].weight = np.reshape(weights, (2, 1))
    gate.layers[0].bias = [bias]
    cnn.plot.decision_boundary(gate, x, truth, resolution=400, ax=ax)
    ax.set_title(f"{name}: one line is enough")
plt.show()

# %%
# One layer of several neurons
# ----------------------------
# The weights of several neurons are the columns of one matrix. So one layer computes all three
# gates in one product: (4, 2) · (2, 3) = (4, 3). Each row of the result belongs to a
# row of the input, and each column to a neuron.

weight = np.array([[1.0, 1.0, -1.0], [1.0, 1.0, -1.0]])
y = cnn.dense(x, weight, [-1.5, -0.5, 1.5], "step")
print(x.shape, "@", weight.shape, "=", y.shape)
print(y)
assert y.shape == (4, 3)
assert y.T.tolist() == [truth for _, _, truth in gates.values()]

# %%
# XOR is not a line
# -----------------
# XOR is 1 if exactly one of the inputs is 1. A perceptron for it would need
#
# .. math::
#
#    b \le 0, \qquad w_2 + b > 0, \qquad w_1 + b > 0, \qquad w_1 + w_2 + b \le 0.
#
# The sum of the two in the middle is `w₁ + w₂ + 2b > 0`, so
# `w₁ + w₂ + b > -b ≥ 0`. That contradicts the last one. No weights exist.
#
# A search shows the same. It tries 68 921 perceptrons, each a column of the weights, and finds 14
# of the 16 functions of two bits. The two that are missing are XOR and its opposite. The best
# perceptron is right for 3 of the 4 rows of XOR.

xor = np.array([0, 1, 1, 0])
values = np.linspace(-2, 2, 41)
w1, w2, b = (grid.ravel() for grid in np.meshgrid(values, values, values))
answers = cnn.dense(x, np.stack([w1, w2]), b, "step")
assert answers.shape == (4, 68921)

columns = np.unique(answers, axis=1).T.astype(int)
found = {tuple(column) for column in columns.tolist()}
every = {tuple((k >> i) & 1 for i in range(4)) for k in range(16)}
missing = sorted(every - found)
right = int((answers == xor[:, None]).sum(axis=0).max())
print(f"{len(found)} of {len(every)} functions found, missing: {missing}")
print(f"the best perceptron is right for {right} of 4 rows of XOR")
assert (len(found), len(every)) == (14, 16)
assert missing == [(0, 1, 1, 0), (1, 0, 0, 1)]
assert right == 3

# %%
# Training does not help. One neuron with a sigmoid, which gives a probability instead of a bit,
# ends at 0.5 for every row. Its loss is log 2, that of a coin.

neuron = cnn.Sequential([cnn.Dense(2, 1, "sigmoid")], rng=0, dtype="float64")
history = neuron.fit(x, xor, epochs=2000, batch_size=4, optimizer=cnn.SGD(lr=1.0))
print("probabilities", neuron.predict(x).ravel().round(6))
print("loss", round(history.loss[-1], 6))
assert np.abs(neuron.predict(x) - 0.5).max() < 1e-6
assert abs(history.loss[-1] - np.log(2)) < 1e-9

# %%
# Two layers can
# --------------
# XOR is "OR, but not both": the AND of OR and NAND. Those are three gates that we have. The first
# layer computes OR and NAND, the second the AND of the two.

net = cnn.Sequential([cnn.Dense(2, 2, "step"), cnn.Dense(2, 1, "step")])
net.layers[0].weight = [[1, -1], [1, -1]]
net.layers[0].bias = [-0.5, 1.5]  # OR, NAND
net.layers[1].weight = [[1], [1]]
net.layers[1].bias = [-1.5]  # AND

hidden, y = net.activations(x)
for i in range(4):
    print(f"inputs {x[i]}  OR, NAND {hidden[i]}  XOR {y[i]}")
assert y.ravel().tolist() == xor.tolist()

# %%
# The first layer *moves* the four points. In the plane of its two outputs, (0, 1) and (1, 0) have
# become the same point, and the three points that are left can be separated by one line. In the
# plane of the inputs the same network has two lines.

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
cnn.plot.decision_boundary(net, x, xor, resolution=400, ax=axes[0])
axes[0].set_title("the inputs: two lines")

second = cnn.Sequential([cnn.Dense(2, 1, "step")])
second.layers[0].weight = net.layers[1].weight
second.layers[0].bias = net.layers[1].bias
cnn.plot.decision_boundary(second, hidden, xor, resolution=400, ax=axes[1])
axes[1].set_title("the outputs of layer 1: one line")
axes[1].set_xlabel("OR")
axes[1].set_ylabel("NAND")
plt.show()

assert len(np.unique(hidden, axis=0)) == 3

# %%
# A network finds XOR by itself
# -----------------------------
# Nobody has to choose the weights. But training follows the derivative, and that of the step is 0
# everywhere, so a network of steps cannot learn. With smooth functions, tanh and sigmoid, it can.
# :ref:`sphx_glr_gallery_why_relu.py` shows more of this.

trained = cnn.mlp([2, 4, 1], "tanh", "sigmoid", rng=0)
history = trained.fit(x, xor, epochs=1000, batch_size=4, optimizer=cnn.Adam(lr=0.02))
print("probabilities", trained.predict(x).ravel().round(3))
assert (trained.predict(x).ravel() > 0.5).astype(int).tolist() == xor.tolist()
assert np.abs(trained.predict(x).ravel() - xor).max() < 0.05

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
cnn.plot.network_diagram(trained, ax=axes[0])
axes[0].set_title("the trained network")
cnn.plot.decision_boundary(trained, x, xor, ax=axes[1])
axes[1].set_title("what it answers")
plt.show()

# %%
# How many neurons?
# -----------------
# Two hidden neurons are enough to *compute* XOR, but not always to *find* it: from some initial
# weights, training ends where it cannot improve, with a row that is wrong. More neurons than needed
# make that rare. Here 20 networks of each size are trained from different seeds.

sizes, wins = [1, 2, 3, 4, 8], []
for neurons in sizes:
    solved = 0
    for seed in range(20):
        small = cnn.mlp([2, neurons, 1], "tanh", "sigmoid", rng=seed)
        optimizer = cnn.Adam(lr=0.05)
        loss = small.fit(x, xor, epochs=500, batch_size=4, optimizer=optimizer).loss
        if ((small.predict(x).ravel() > 0.5) == xor).all():
            solved += 1
        else:  # The last 50 epochs have hardly changed a loss that is far above 0.
            assert loss[-51] - loss[-1] < 0.001
            assert loss[-1] > 0.3
    wins.append(solved)
    print(f"{neurons} hidden neurons: {solved} of 20 networks find XOR")
assert wins == [0, 6, 17, 20, 20]

figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
bars = ax.bar([str(neurons) for neurons in sizes], wins, color="#0072B2")
ax.bar_label(bars)
ax.set_title("networks of 20 that find XOR")
ax.set_xlabel("hidden neurons")
ax.set_ylim(0, 23)
ax.set_yticks([0, 10, 20])
plt.show()

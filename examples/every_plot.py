"""
Every plot at a glance
======================

:mod:`cnn.plot` draws what one wants to see of a network: how it learned, what it gets wrong, and
what it looks like inside. This page calls each of its functions. All take `ax=`, and return
the Axes into which they drew, so that titles and labels can be changed afterwards.
"""

import matplotlib.pyplot as plt
import numpy as np

import cnn
import cnn.plot

# %%
# Three networks
# --------------
#
# Digits, for plots of many classes; a rule with two inputs, for plots of a plane and of two
# classes; and a curve, for those of a regression.

x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
digits = cnn.mlp([64, 30, 20, 10], "relu", "softmax", rng=0)
adam = cnn.Adam(lr=3e-3)
held_out = (x_test, t_test)
history = digits.fit(x, t, epochs=20, batch_size=50, optimizer=adam, validation_data=held_out)
print(digits.evaluate(x_test, t_test))

rng = np.random.default_rng(0)
points = rng.uniform(-1, 1, (400, 2))
inside = (np.hypot(points[:, 0], points[:, 1]) + rng.normal(0, 0.15, 400) < 0.7).astype(int)
disc = cnn.mlp([2, 8, 1], "tanh", "sigmoid", rng=0)
disc.fit(points, inside, epochs=200, batch_size=50, optimizer=cnn.Adam(lr=1e-2))
print(disc.evaluate(points, inside))

angles = rng.uniform(-3, 3, (300, 1))
waves = np.sin(angles) + rng.normal(0, 0.1, (300, 1))
curve = cnn.mlp([1, 16, 1], "tanh", "identity", rng=0)
curve.fit(angles, waves, epochs=200, batch_size=50, optimizer=cnn.Adam(lr=1e-2))
print(curve.evaluate(angles, waves))

# %%
# Training
# --------
#
# Metrics by epoch. Several runs, as a dict, are drawn together.

cnn.plot.learning_curves(history, metric="accuracy")

# %%
# The path of training on the surface of the loss, in the plane of weights in which the path moves
# most.

small = cnn.mlp([2, 4, 1], "tanh", "sigmoid", rng=0)
path = cnn.plot.WeightPath()
adam = cnn.Adam(lr=3e-2)
small.fit(points, inside, epochs=60, batch_size=50, optimizer=adam, callbacks=[path])
cnn.plot.loss_surface(small, points, inside, path=path)

# %%
# Classes
# -------
#
# Which classes are taken for which.

p = digits.predict(x_test)
cnn.plot.confusion_matrix(t_test, p)

# %%
# Samples as images, with the probabilities of the classes below.

cnn.plot.predictions(digits, x_test[:6], t_test[:6], (8, 8))

# %%
# Errors by threshold, for two classes.

q = disc.predict(points)
fig, axes = plt.subplots(1, 2)
cnn.plot.roc_curve(inside, q, ax=axes[0])
cnn.plot.precision_recall_curve(inside, q, ax=axes[1])

# %%
# How often what is predicted with a probability comes true.

cnn.plot.calibration_curve(inside, q)

# %%
# The prediction in a plane of two inputs.

cnn.plot.decision_boundary(disc, points, inside)

# %%
# Numbers
# -------
#
# A regression, and its residuals.

cnn.plot.predicted_vs_true(waves, curve.predict(angles))

# %%
# Inside
# ------
#
# The layers, with the weights of small networks.

cnn.plot.network_diagram(disc)

# %%
# The weights of each neuron of the first layer, as an image.

cnn.plot.first_layer_weights(digits, (8, 8))

# %%
# The outputs of each layer, and the gradient of each layer.

cnn.plot.activation_histograms(digits, x_test)

# %%

cnn.plot.gradient_norms(digits, x, t)

# %%
# Functions
# ---------
#
# Activation functions with their derivatives, and the likelihood of 3 wins in 10 draws.

cnn.plot.activations(["sigmoid", "tanh", "relu", "gelu"])

# %%

cnn.plot.likelihood_curve(3, 10)
plt.show()

"""Plots of training and networks, by matplotlib: ``pip install ".[plot]"``.

Each function draws into the Axes that ``ax=`` gives, or into those of a new figure, and returns
them: one, or an array if there is a plot for each neuron or sample. No global setting or style is
changed. Colours are those of Okabe and Ito, which colour-blind people can distinguish.
"""

from cnn.plot._boundary import decision_boundary
from cnn.plot._confusion import confusion_matrix
from cnn.plot._curves import gradient_norms, learning_curves
from cnn.plot._diagram import network_diagram
from cnn.plot._functions import activations, likelihood_curve
from cnn.plot._images import first_layer_weights, predictions
from cnn.plot._layers import activation_histograms
from cnn.plot._scores import (
    calibration_curve,
    precision_recall_curve,
    predicted_vs_true,
    roc_curve,
)
from cnn.plot._surface import WeightPath, loss_surface

__all__ = [
    "WeightPath",
    "activation_histograms",
    "activations",
    "calibration_curve",
    "confusion_matrix",
    "decision_boundary",
    "first_layer_weights",
    "gradient_norms",
    "learning_curves",
    "likelihood_curve",
    "loss_surface",
    "network_diagram",
    "precision_recall_curve",
    "predicted_vs_true",
    "predictions",
    "roc_curve",
]

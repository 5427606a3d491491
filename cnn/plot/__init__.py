"""Plots of training and networks, by matplotlib: ``pip install ".[plot]"``.

Each function draws into the Axes that ``ax=`` gives, or into those of a new figure, and returns
them: one, or an array if there is a plot for each neuron or sample. No global setting or style is
changed. Colours are those of Okabe and Ito, which colour-blind people can distinguish.
"""

from cnn.plot._confusion import confusion_matrix
from cnn.plot._curves import activations, gradient_norms, learning_curves
from cnn.plot._images import first_layer_weights, predictions

__all__ = [
    "activations",
    "confusion_matrix",
    "first_layer_weights",
    "gradient_norms",
    "learning_curves",
    "predictions",
]

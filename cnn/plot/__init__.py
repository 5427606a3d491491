"""Pictures of training and networks, by matplotlib: ``pip install "cnn[plot]"``.

Each function draws into the Axes that ``ax=`` gives, or into those of a new figure, and returns
them: one, or an array where there is a picture for each neuron or sample. Nothing global is
changed, styles included. Colours are those of Okabe and Ito, which the colour-blind can tell apart.
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

"""The layers of a Sequential, and the initialisers of their weights."""

from cnn.layers._dense import Dense, uniform
from cnn.layers._dropout import Dropout
from cnn.layers._layer import Layer
from cnn.layers._layer import checked_parameter as checked_parameter
from cnn.layers._layer import outputs as outputs
from cnn.layers._stacks import NUMBERS as NUMBERS
from cnn.layers._stacks import attach as attach
from cnn.layers._stacks import checked as checked
from cnn.layers._stacks import compiled as compiled
from cnn.layers._stacks import initialize as initialize
from cnn.layers._stacks import of_description as of_description
from cnn.layers._stacks import rows as rows
from cnn.layers._stacks import stacked as stacked
from cnn.layers._stacks import table as table
from cnn.layers._standardize import Standardize

__all__ = ["Dense", "Dropout", "Layer", "Standardize", "uniform"]

# Pickles name this module, however it is divided into files.
for _class in (Dense, Dropout, Layer, Standardize, uniform):
    _class.__module__ = __name__

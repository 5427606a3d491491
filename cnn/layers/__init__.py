"""The layers of a Sequential, and the initialisers of their weights."""

from cnn._base.modules import set_module
from cnn.layers._columns import Columns
from cnn.layers._columns import center_and_scale as center_and_scale
from cnn.layers._dense import Dense, normal, uniform
from cnn.layers._dropout import Dropout
from cnn.layers._layer import Layer
from cnn.layers._layer import checked_parameter as checked_parameter
from cnn.layers._layer import outputs as outputs
from cnn.layers._parametric_activation import ParametricActivation
from cnn.layers._scale import Scale
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

__all__ = [
    "Columns",
    "Dense",
    "Dropout",
    "Layer",
    "ParametricActivation",
    "Scale",
    "Standardize",
    "normal",
    "uniform",
]

set_module(__name__, *(globals()[_name] for _name in __all__))

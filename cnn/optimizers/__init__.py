"""Optimizers, with the formulas of PyTorch, and its defaults but for the learning rate of SGD.

An optimizer object owns its state (momentum, moments, the number of steps made) for one network:
the first one that it is used with. If it is used again, it continues from its state.

In the formulas, g is the gradient of the loss, L2 penalties included, w a weight or bias, and k the
number of the step, from 1 on.
"""

from cnn._base.modules import set_module
from cnn.optimizers._groups import Group
from cnn.optimizers._kinds import OPTIMIZERS as OPTIMIZERS
from cnn.optimizers._kinds import SGD, Adagrad, Adam, AdamW, RMSprop
from cnn.optimizers._kinds import resolve as resolve
from cnn.optimizers._optimizer import Optimizer, _State
from cnn.optimizers._trainers import bound as bound
from cnn.optimizers._trainers import check_plain as check_plain
from cnn.optimizers._trainers import give as give
from cnn.optimizers._trainers import groups_of as groups_of
from cnn.optimizers._trainers import has_tables as has_tables
from cnn.optimizers._trainers import rates as rates
from cnn.optimizers._trainers import tables as tables

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Group", "Optimizer", "RMSprop"]

set_module(__name__, *(globals()[_name] for _name in __all__), _State)

"""Networks for tables: from the columns of a data frame to classes or numbers.

`TableModel.fit` trains a `TableModel`. `cnn.load` of a file that ``cnn train`` wrote returns one.
"""

from cnn.tabular._fit import Fitted as Fitted
from cnn.tabular._fit import Settings as Settings
from cnn.tabular._fit import Start as Start
from cnn.tabular._fit import fit as fit
from cnn.tabular._fit_shards import Run as Run
from cnn.tabular._fit_shards import fit_shards as fit_shards
from cnn.tabular._model import TableModel
from cnn.tabular._model import of_file as of_file
from cnn.tabular._model import of_fitted as of_fitted
from cnn.tabular._model import plan_of as plan_of
from cnn.tabular._scores import scores as scores
from cnn.tabular._shards import Outline as Outline
from cnn.tabular._shards import Reading as Reading

__all__ = ["TableModel"]

"""Networks for tables: from the columns of a data frame to classes or numbers.

`cnn.load` of a file that ``cnn train`` wrote returns a `TableModel`.
"""

from cnn.tabular._model import TableModel
from cnn.tabular._model import of_file as of_file
from cnn.tabular._model import plan_of as plan_of

__all__ = ["TableModel"]

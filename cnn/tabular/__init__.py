"""Networks for tables: from the columns of a data frame to classes or numbers.

`cnn.load` of a file that ``cnn train`` wrote returns a `TableModel`.
"""

from cnn.tabular._model import TableModel

__all__ = ["TableModel"]

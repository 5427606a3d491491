"""Data sets: one that comes with the package, and MNIST from files or from the network.

Both loaders return NumPy arrays that `cnn.Sequential.fit` takes as they are: rows of numbers
from 0 to 1, and the class number of each row. Only ``download=True`` downloads files.
"""

from cnn.datasets._digits import load_digits
from cnn.datasets._mnist import load_mnist

__all__ = ["load_digits", "load_mnist"]

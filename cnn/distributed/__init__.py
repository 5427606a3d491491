"""Training by several processes, on one machine or many, with the bits of one.

The data are shards, and each process has some of them. `fit` ends with the same weights, to the
last bit, for any number of processes. Bytes are moved by MPI, through mpi4py, or by any
`Communicator`.
"""

from cnn.distributed._communicator import Communicator
from cnn.distributed._communicator import checked as checked
from cnn.distributed._fit import fit
from cnn.distributed._ranges import ranges as ranges
from cnn.distributed._team import Team as Team

__all__ = ["Communicator", "fit"]

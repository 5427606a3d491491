# cython: language_level=3, binding=False, embedsignature=False, nonecheck=True, auto_pickle=False
# cython: freethreading_compatible=True
"""The Cython bindings of libcnn. Private; the public API is in the modules beside.

This module alone holds C pointers. It turns NumPy arrays into pointers and strides, status codes
into exceptions, and releases the GIL for calls that take much longer than releasing it.

No argument may crash the process. So Cython's checks of indices and of None stay on; binding=False
makes methods that refuse a `self` of another type, and auto_pickle=False leaves out __setstate__,
which would accept any state.

The parts below are one module, because calls between modules go through pointers that C compilers
cannot inline, and because one library can share one set of constants. Each part uses only names of
the parts above it; its first comment lists them. tests/test_core_parts.py checks both.

CPython without a GIL is served too. What the GIL protects elsewhere is in critical sections of the
object that it belongs to; where there is a GIL they are no code at all. They protect a network's
metadata and settings, the marks of objects in use, and handles. Weights have a lock for readers
and for one thread that changes them (access.pxi), with or without a GIL.
"""

import os
import sys
from collections import namedtuple

import numpy as np

cimport cython
cimport numpy as cnp

from cnn.libcnn cimport *

cnp.import_array()

include "base.pxi"
include "library.pxi"
include "frames.pxi"
include "arrays.pxi"
include "outputs.pxi"
include "functions.pxi"
include "losses.pxi"
include "samples.pxi"
include "random.pxi"
include "files.pxi"
include "columns.pxi"
include "access.pxi"
include "network.pxi"
include "tape.pxi"
include "trainer.pxi"
include "shards.pxi"
include "handle.pxi"
include "c_api.pxi"

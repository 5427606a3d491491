"""How networks are used from outside Python: handles, C functions, C headers."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from cnn import _checks, _core, c_export

if TYPE_CHECKING:
    import os

    from numpy.typing import DTypeLike

# network, rows, x, x_stride, y, y_stride, workspace, workspace_size; see cnn.h. The network and the
# workspace are integers, since jitted code has no other way to hold an address.
_PREDICT = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_size_t,
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_size_t,
    ctypes.c_size_t,
)


class Doors:
    """The part of `Sequential` that other languages and compilers use."""

    _network: _core.Network

    @property
    def handle(self) -> _core.Handle:
        """The network as compiled code sees it: a new handle.

        Its ``address`` (int) is the ``const cnn_network *`` that functions of ``cnn.h``, of
        ``cimport cnn`` and of `c_function` take; its ``capsule`` (a PyCapsule named
        "cnn_network") holds the same pointer, for `scipy.LowLevelCallable` and for C extensions.

        Both are valid as long as the handle, the capsule or the network is alive and the handle has
        not been closed by ``close()`` or the end of a ``with`` block; then ``address`` and
        ``capsule`` raise ValueError, and the capsule no longer answers to its name. Any number of
        threads may predict by it at once, as long as nothing trains or changes the network.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.mlp([4, 3, 1], "tanh", "identity", rng=0)
        >>> with net.handle as handle:
        ...     handle.address % 8
        0
        """
        return _core.Handle(self._network)

    @property
    def c_function(self) -> Any:
        """Libcnn's predict for the network's dtype, as a `ctypes` function that Numba can call.

        Its arguments are those of ``cnn_network_predict_f32`` (or ``_f64``): the handle's address,
        the number of rows, x, the distance between its rows in elements, y, the distance between
        its rows, and the address and bytes of a workspace, or 0 and 0. It returns a status, 0 for
        success. It checks no types: x and y have the network's dtype, and their rows no gaps.

        Examples
        --------
        In a function that is compiled by ``numba.njit``, ``x.ctypes`` stands for the pointer, and
        no Python runs; without Numba, ``x.ctypes.data`` does:

        >>> import cnn, numpy as np
        >>> net = cnn.mlp([4, 3, 1], "tanh", "identity", rng=0)
        >>> predict, handle = net.c_function, net.handle
        >>> x, y = np.ones((5, 4), np.float32), np.empty((5, 1), np.float32)
        >>> predict(handle.address, 5, x.ctypes.data, 4, y.ctypes.data, 1, 0, 0)
        0
        >>> bool((y == net.predict(x)).all())
        True
        """
        return _PREDICT(_core.predict_address(self._network.dtype))

    def to_c(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        dtype: DTypeLike | None = None,
        fast: bool = False,
    ) -> None:
        """Write the network as one C99 header that needs no library and no other file.

        The header has a function ``void NAME_predict(const float *x, float *y)`` for one row, and
        the parameters as constants. It allocates nothing, and compiles as C++ too. With
        ``NAME_SELF_TEST`` defined there is ``int NAME_self_test(void)``, which runs a sample and
        returns 0 where each output is right.

        Parameters
        ----------
        path : str or os.PathLike
            The file; one that exists is replaced, whole or not at all.
        name : str, optional
            What names in the header begin with. The file's name without its ending where it is left
            out.
        dtype : {"float32", "float64"}, optional
            The type of parameters and arithmetic, to which each parameter is rounded. That of the
            network where it is left out.
        fast : bool, default False
            Sum products by plain multiplications and additions. They are faster where a CPU has no
            instruction that multiplies and adds with one rounding, and leave the last bits to the
            compiler. Otherwise the bits are those of `predict` on a network of this dtype, on
            every machine with IEEE arithmetic.

        Raises
        ------
        TypeError, ValueError
            Where an argument is of a wrong type, the name is not one in C, or a parameter is not
            finite.
        OSError
            Where the file cannot be written.

        Examples
        --------
        >>> import cnn, os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = os.path.join(folder.name, "gate.h")
        >>> cnn.mlp([2, 3, 1], "relu", "sigmoid", rng=0).to_c(path)
        >>> with open(path) as file:
        ...     [line.strip() for line in file if line.startswith("static inline void gate")]
        ['static inline void gate_predict(const float *x, float *y)']
        >>> folder.cleanup()
        """
        c_export.write(
            self._network,
            _checks.path("to_c", path),
            name=name,
            dtype=_checks.network_dtype("to_c", self._network.dtype if dtype is None else dtype),
            fast=_checks.flag("to_c", "fast", fast),
        )

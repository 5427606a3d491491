"""How networks leave cnn: handles, C functions, C headers, ONNX files, PyTorch modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnn import _core

if TYPE_CHECKING:
    import os

    from numpy.typing import DTypeLike


class Exports:
    """The part of `Sequential` that other languages, compilers and libraries use."""

    _network: _core.Network

    @property
    def handle(self) -> _core.Handle:
        """The network as compiled code sees it: a new handle.

        Its ``address`` (int) is the ``const cnn_network *`` that functions of ``cnn.h``, of
        ``cimport cnn`` and of `c_function` take; its ``capsule`` (a PyCapsule named
        "cnn_network") holds the same pointer, for `scipy.LowLevelCallable` and for C extensions.

        Both are valid as long as the handle, the capsule or the network is alive and the handle has
        not been closed by ``close()`` or the end of a ``with`` block. After that, ``address`` and
        ``capsule`` raise ValueError, and the capsule has lost its name. Any number of threads may
        predict with it at once, as long as nothing trains or changes the network.

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
        success. There is a function for each dtype. Numba does not compile a call of it with arrays
        of another dtype, and a call from Python refuses them with `ctypes.ArgumentError`. If the
        distance between rows is smaller than the network's number of inputs (for y: of outputs),
        the status is 1. The caller must make sure that x and y have the given number of rows, and
        that what is given as an address (an int) has the right dtype: neither can be checked.

        Examples
        --------
        In a function that is compiled by ``numba.njit``, ``x.ctypes`` stands for the pointer, and
        no Python runs; without Numba, it may be the array itself too:

        >>> import cnn, numpy as np
        >>> net = cnn.mlp([4, 3, 1], "tanh", "identity", rng=0)
        >>> predict, handle = net.c_function, net.handle
        >>> x, y = np.ones((5, 4), np.float32), np.empty((5, 1), np.float32)
        >>> predict(handle.address, 5, x, 4, y, 1, 0, 0)
        0
        >>> bool((y == net.predict(x)).all())
        True
        """
        from cnn.exchange import handles  # noqa: PLC0415  # `import cnn` need not wait for it

        return handles.c_function(self._network)

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
        ``NAME_SELF_TEST`` defined there is ``int NAME_self_test(void)``, which runs samples and
        returns 0 if each output is right. A missing number of a Columns layer is NaN, as in
        `predict`.

        Parameters
        ----------
        path : str or os.PathLike
            The file; one that exists is replaced, whole or not at all.
        name : str, optional
            The prefix of names in the header, of at most 1000 characters; by default the file's
            name without its ending.
        dtype : {"float32", "float64"}, optional
            The type of parameters and arithmetic, to which each parameter is rounded. That of the
            network by default.
        fast : bool, default False
            Sum products by plain multiplications and additions. They are faster if the CPU has no
            fused multiply-add instruction, but the last bits of outputs then depend on the
            compiler. Without it, the bits are those of `predict` on a network of this dtype, on
            every machine with IEEE arithmetic.

        Raises
        ------
        TypeError, ValueError
            If an argument is of a wrong type, the name is not one in C, a parameter is not
            finite, or the path ends like another format's files, such as ".onnx".
        OSError
            If the file cannot be written.

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
        from cnn.exchange import c_header  # noqa: PLC0415  # as above

        c_header.write(self._network.copy(), path, name=name, dtype=dtype, fast=fast)

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the network as an ONNX model, for ONNX Runtime and others.

        It needs the package onnx: ``pip install ".[onnx]"``. The model has opset 17 and IR
        version 8, an input "input" and an output "output" of the network's dtype, and any number of
        rows. Dense layers are Gemm nodes with the parameters as they are, followed by their
        activations. A Standardize is a Sub and a Div node, which have the bits of cnn's. Columns,
        Scale and ParametricActivation are several nodes of standard operators. Dropout is left out,
        as it does nothing to a prediction.

        Parameters
        ----------
        path : str or os.PathLike
            The file; one that exists is replaced, whole or not at all.

        Raises
        ------
        TypeError
            If the path is neither a string nor a path object.
        ValueError
            If the parameters take 2 GiB or more, which is too much for an ONNX file, or the path
            ends like another format's files, such as ".safetensors".
        ImportError
            If onnx is not installed.
        OSError
            If the file cannot be written.

        See Also
        --------
        cnn.from_onnx : Read a network from an ONNX model.

        Notes
        -----
        Other programs round differently: their outputs agree with `predict` to about 1e-5, not to
        the bit. ONNX Runtime has no kernels in float64 for some activations.

        Examples
        --------
        >>> import cnn, os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = os.path.join(folder.name, "net.onnx")
        >>> cnn.mlp([4, 8, 3], "relu", "softmax", rng=0).to_onnx(path)
        >>> cnn.from_onnx(path).inputs
        4
        >>> folder.cleanup()
        """
        from cnn.exchange import onnx_write  # noqa: PLC0415  # as above

        onnx_write.write(self._network.copy(), path)

    def to_torch(self) -> Any:
        """Return a new `torch.nn.Sequential` with copies of the parameters.

        It needs PyTorch: ``pip install ".[torch]"``. Each Dense becomes a Linear and a module of
        its activation, each Dropout a Dropout. A Standardize becomes a module of cnn's own, as
        PyTorch has none; its mean and scale are buffers, and a pickle of it needs cnn to be loaded.
        The result is in training mode, as new modules are; call its ``eval()`` before predictions.

        Returns
        -------
        torch.nn.Sequential
            The module, on the CPU, in the network's dtype.

        Raises
        ------
        ValueError
            If a layer has the activation step or exponential, for which PyTorch has no module.
        ImportError
            If PyTorch is not installed.

        See Also
        --------
        cnn.from_torch : Make a network of a PyTorch module.

        Examples
        --------
        >>> import cnn
        >>> cnn.mlp([4, 3], "tanh", "softmax", rng=0).to_torch()  # doctest: +SKIP
        Sequential(
          (0): Linear(in_features=4, out_features=3, bias=True)
          (1): Softmax(dim=-1)
        )
        """
        from cnn.exchange import torch_write  # noqa: PLC0415  # as above

        return torch_write.module_of(self._network.copy())

# Networks for other compiled code, as addresses and capsules. Needs network.pxi: Network.

from cpython.pycapsule cimport (
    PyCapsule_GetContext, PyCapsule_New, PyCapsule_SetContext, PyCapsule_SetName,
)
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uintptr_t


cdef const char *HANDLE_NAME = "cnn_network"
cdef const char *CLOSED_NAME = "cnn_network (closed)"


cdef void release_capsule(object capsule) noexcept:
    """Drop a capsule's reference to its network, if it still has one."""
    cdef void *network = PyCapsule_GetContext(capsule)
    if network != NULL:
        PyCapsule_SetContext(capsule, NULL)
        Py_DECREF(<object>network)


@cython.final
cdef class Handle:
    """A network for other compiled code, which it keeps alive until it is closed."""

    cdef Network network
    cdef object held

    def __cinit__(self, Network network not None):
        self.network = network
        self.held = PyCapsule_New(network.network, HANDLE_NAME, release_capsule)
        Py_INCREF(network)
        PyCapsule_SetContext(self.held, <void *>network)

    cdef Network opened(self):
        """The network; refused if the handle is closed."""
        cdef Network network
        with cython.critical_section(self):
            network = self.network
        if network is None:
            raise ValueError("handle: it is closed, get another from the network")
        return network

    @property
    def address(self):
        return <uintptr_t>self.opened().network

    @property
    def capsule(self):
        with cython.critical_section(self):
            held = self.held
        self.opened()
        return held

    @property
    def closed(self):
        with cython.critical_section(self):
            return self.network is None

    def close(self):
        # The objects end behind the section, since that may run other code.
        with cython.critical_section(self):
            held, network = self.held, self.network
            self.held = self.network = None
            if held is not None:
                PyCapsule_SetName(held, CLOSED_NAME)
                release_capsule(held)

    def __enter__(self):
        self.opened()
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        cdef Network network
        with cython.critical_section(self):
            network = self.network
        if network is None:
            return "<cnn handle, closed>"
        return f"<cnn handle of a {network.dtype} network at {<uintptr_t>network.network:#x}>"


def predict_address(dtype):
    """The address of libcnn's predict for a type."""
    if np.dtype(dtype).itemsize == 4:
        return <uintptr_t>&cnn_network_predict_f32
    return <uintptr_t>&cnn_network_predict_f64

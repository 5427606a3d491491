# cython: language_level=3
from cnn.libcnn cimport (
    CNN_OK, cnn_last_error, cnn_network, cnn_network_destroy, cnn_network_inputs, cnn_network_load,
)


def inputs_of(path):
    """The number of inputs of a network in a file."""
    encoded = path.encode()
    cdef cnn_network *network = NULL
    if cnn_network_load(encoded, &network) != CNN_OK:
        raise ValueError(cnn_last_error().decode())
    try:
        return cnn_network_inputs(network)
    finally:
        cnn_network_destroy(network)

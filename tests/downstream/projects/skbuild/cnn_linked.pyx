# cython: language_level=3
from cnn.libcnn cimport (
    CNN_ABI_VERSION, CNN_ADAM, CNN_HUBER, CNN_INIT_HE_UNIFORM, CNN_OK, CNN_RELU, CNN_VERSION,
    cnn_activation_name, cnn_initializer_name, cnn_last_error, cnn_loss_name, cnn_optimizer_name,
    cnn_network, cnn_network_destroy, cnn_network_inputs, cnn_network_load,
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


def constants():
    """Some of the header's constants, and what the library calls them."""
    return {
        "version": CNN_VERSION.decode(),
        "abi_version": CNN_ABI_VERSION,
        "names": [
            cnn_activation_name(CNN_RELU).decode(), cnn_loss_name(CNN_HUBER).decode(),
            cnn_optimizer_name(CNN_ADAM).decode(),
            cnn_initializer_name(CNN_INIT_HE_UNIFORM).decode(),
        ],
    }

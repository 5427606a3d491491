# The names of `cimport cnn`: functions that need no GIL. Cython finds them in cnn's compiled module
# when the importing module is loaded, so that nothing is linked and no header is needed.
from cnn._core cimport (
    activation_backward_f32,
    activation_backward_f64,
    activation_forward_f32,
    activation_forward_f64,
    activation_number,
    dense_backward_f32,
    dense_backward_f64,
    dense_forward_f32,
    dense_forward_f64,
    last_error,
    log_softmax_forward_f32,
    log_softmax_forward_f64,
    network_inputs,
    network_outputs,
    network_predict_f32,
    network_predict_f64,
    network_value_f64,
    network_workspace_size,
)

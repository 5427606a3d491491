# All declarations of cnn.h, which documents them, for modules that are compiled with the folder
# cnn.get_include() and linked to the library cnn.get_library(). `cimport cnn` needs neither, but
# has functions only. tests/test_libcnn_pxd.py compares this file with the header.
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "cnn/cnn.h" nogil:
    const char *CNN_VERSION
    int CNN_ABI_VERSION
    int CNN_NUMERICS_VERSION
    int CNN_ANY_OUTPUT
    int CNN_MAX_SLOTS
    const double CNN_LARGEST
    const double CNN_LEAST_ALPHA
    const double CNN_LARGEST_WEIGHT
    const double CNN_LEAST_WEIGHT_SUM
    int CNN_MOST_CATEGORIES
    int CNN_MOST_GROUPS

    ctypedef enum cnn_status:
        CNN_OK
        CNN_ERROR_ARGUMENT
        CNN_ERROR_TYPE
        CNN_ERROR_MEMORY
        CNN_ERROR_SYSTEM
        CNN_ERROR_MODEL_FILE
        CNN_ERROR_NONFINITE

    ctypedef enum cnn_dtype:
        CNN_FLOAT32
        CNN_FLOAT64
        CNN_FLOAT16
        CNN_BOOL
        CNN_INT8
        CNN_INT16
        CNN_INT32
        CNN_INT64
        CNN_UINT8
        CNN_UINT16
        CNN_UINT32
        CNN_UINT64

    ctypedef enum cnn_activation:
        CNN_IDENTITY
        CNN_STEP
        CNN_SIGMOID
        CNN_TANH
        CNN_RELU
        CNN_LEAKY_RELU
        CNN_ELU
        CNN_SOFTPLUS
        CNN_SILU
        CNN_GELU
        CNN_SOFTMAX
        CNN_MISH
        CNN_SELU
        CNN_HARD_SIGMOID
        CNN_HARD_SWISH
        CNN_RELU6
        CNN_SOFTSIGN
        CNN_EXPONENTIAL
        CNN_GELU_TANH
        CNN_ACTIVATION_COUNT

    ctypedef enum cnn_loss_kind:
        CNN_SQUARED_ERROR
        CNN_CROSS_ENTROPY
        CNN_BINARY_CROSS_ENTROPY
        CNN_HUBER
        CNN_POISSON
        CNN_ABSOLUTE_ERROR
        CNN_QUANTILE
        CNN_LOSS_COUNT

    ctypedef enum cnn_optimizer_kind:
        CNN_SGD
        CNN_MOMENTUM
        CNN_NESTEROV
        CNN_ADAM
        CNN_ADAMW
        CNN_RMSPROP
        CNN_ADAGRAD
        CNN_OPTIMIZER_COUNT

    ctypedef enum cnn_initializer:
        CNN_INIT_GLOROT_UNIFORM
        CNN_INIT_HE_UNIFORM
        CNN_INIT_LECUN_UNIFORM
        CNN_INIT_ZEROS
        CNN_INIT_UNIFORM
        CNN_INIT_TORCH
        CNN_INIT_NORMAL
        CNN_INITIALIZER_COUNT

    ctypedef enum cnn_target_kind:
        CNN_TARGET_ROWS
        CNN_TARGET_LABELS

    ctypedef enum cnn_layer_kind:
        CNN_LAYER_DENSE
        CNN_LAYER_DROPOUT
        CNN_LAYER_STANDARDIZE
        CNN_LAYER_COLUMNS
        CNN_LAYER_SCALE
        CNN_LAYER_PARAMETRIC_ACTIVATION
        CNN_LAYER_KIND_COUNT

    ctypedef enum cnn_column_kind:
        CNN_COLUMN_NUMBER
        CNN_COLUMN_PERIODIC
        CNN_COLUMN_ONE_HOT
        CNN_COLUMN_EMBEDDING
        CNN_COLUMN_IGNORED
        CNN_COLUMN_KIND_COUNT

    ctypedef enum cnn_parametrization:
        CNN_PARAMETRIZATION_STANDARD
        CNN_PARAMETRIZATION_NTK
        CNN_PARAMETRIZATION_COUNT

    ctypedef enum cnn_parameter:
        CNN_WEIGHT
        CNN_BIAS
        CNN_MEAN
        CNN_SCALE
        CNN_EMBEDDING
        CNN_PERIODIC
        CNN_FACTOR
        CNN_MIX
        CNN_PARAMETER_COUNT

    ctypedef struct cnn_loss:
        size_t struct_size
        cnn_loss_kind kind
        cnn_target_kind target
        double delta
        double label_smoothing
        const double *class_weight
        const double *quantiles

    ctypedef struct cnn_matrix:
        size_t struct_size
        const void *data
        cnn_dtype dtype
        size_t rows
        size_t cols
        ptrdiff_t row_stride
        ptrdiff_t col_stride

    ctypedef struct cnn_data:
        size_t struct_size
        cnn_matrix x
        cnn_matrix t
        cnn_matrix sample_weight

    ctypedef struct cnn_result:
        size_t struct_size
        double loss_sum
        double weight_sum
        size_t rows
        size_t correct
        size_t steps
        size_t accumulate
        size_t nonfinite_rows
        size_t counted
        double loss_lanes[16]
        double weight_lanes[16]

    ctypedef struct cnn_column:
        size_t struct_size
        cnn_column_kind kind
        int missing
        size_t categories

    ctypedef struct cnn_layer:
        size_t struct_size
        cnn_layer_kind kind
        size_t inputs
        size_t outputs
        cnn_activation activation
        double l2
        double rate
        double alpha
        cnn_parametrization parametrization
        const cnn_column *columns
        double clip
        size_t frequencies
        size_t periodic_size
        size_t embedding_size

    ctypedef struct cnn_optimizer:
        size_t struct_size
        cnn_optimizer_kind kind
        double momentum
        double beta1
        double beta2
        double alpha
        double eps
        double weight_decay
        double clip_norm

    ctypedef struct cnn_schedule:
        size_t struct_size
        size_t groups
        const double *lr
        const double *weight_decay
        const double *dropout

    ctypedef struct cnn_network:
        pass

    ctypedef struct cnn_tape:
        pass

    ctypedef struct cnn_trainer:
        pass

    const char *cnn_last_error()
    int cnn_last_errno()
    const char *cnn_version()
    int cnn_abi_version()
    int cnn_numerics_version()
    const char *cnn_activation_name(int activation)
    const char *cnn_loss_name(int loss)
    const char *cnn_optimizer_name(int optimizer)
    const char *cnn_initializer_name(int initializer)
    int cnn_activation_needs_input(int activation)
    int cnn_loss_output(int loss)
    int cnn_loss_takes_logits(int loss)
    int cnn_loss_has_accuracy(int loss)
    double cnn_activation_bound(int activation)
    const char *cnn_activation_alpha_name(int activation)
    double cnn_activation_alpha_default(int activation)
    int cnn_optimizer_slots(int optimizer)
    const char *cnn_isa()
    const char *cnn_isa_available(size_t i)
    cnn_status cnn_isa_select(const char *name)
    size_t cnn_threads_get()
    cnn_status cnn_threads_set(size_t threads)
    const char *cnn_threads_origin()

    cnn_status cnn_dense_forward_f32(
        size_t rows, size_t inputs, size_t outputs, const float *x, size_t x_stride,
        const float *weight, const float *bias, cnn_activation activation, float *y,
        size_t y_stride)
    cnn_status cnn_dense_forward_f64(
        size_t rows, size_t inputs, size_t outputs, const double *x, size_t x_stride,
        const double *weight, const double *bias, cnn_activation activation, double *y,
        size_t y_stride)
    cnn_status cnn_dense_forward_alpha_f32(
        size_t rows, size_t inputs, size_t outputs, const float *x, size_t x_stride,
        const float *weight, const float *bias, cnn_activation activation, double alpha, float *y,
        size_t y_stride)
    cnn_status cnn_dense_forward_alpha_f64(
        size_t rows, size_t inputs, size_t outputs, const double *x, size_t x_stride,
        const double *weight, const double *bias, cnn_activation activation, double alpha,
        double *y, size_t y_stride)
    cnn_status cnn_dense_backward_f32(
        size_t rows, size_t inputs, size_t outputs, const float *dy, const float *x,
        const float *weight, float *dx, float *dweight, float *dbias)
    cnn_status cnn_dense_backward_f64(
        size_t rows, size_t inputs, size_t outputs, const double *dy, const double *x,
        const double *weight, double *dx, double *dweight, double *dbias)
    cnn_status cnn_activation_forward_f32(
        cnn_activation activation, size_t rows, size_t cols, const float *x, size_t x_stride,
        float *y, size_t y_stride)
    cnn_status cnn_activation_forward_f64(
        cnn_activation activation, size_t rows, size_t cols, const double *x, size_t x_stride,
        double *y, size_t y_stride)
    cnn_status cnn_activation_backward_f32(
        cnn_activation activation, size_t rows, size_t cols, const float *dy,
        const float *source, float *dx)
    cnn_status cnn_activation_backward_f64(
        cnn_activation activation, size_t rows, size_t cols, const double *dy,
        const double *source, double *dx)
    cnn_status cnn_activation_forward_alpha_f32(
        cnn_activation activation, double alpha, size_t rows, size_t cols, const float *x,
        size_t x_stride, float *y, size_t y_stride)
    cnn_status cnn_activation_forward_alpha_f64(
        cnn_activation activation, double alpha, size_t rows, size_t cols, const double *x,
        size_t x_stride, double *y, size_t y_stride)
    cnn_status cnn_activation_backward_alpha_f32(
        cnn_activation activation, double alpha, size_t rows, size_t cols, const float *dy,
        const float *source, float *dx)
    cnn_status cnn_activation_backward_alpha_f64(
        cnn_activation activation, double alpha, size_t rows, size_t cols, const double *dy,
        const double *source, double *dx)
    cnn_status cnn_log_softmax_forward_f32(
        size_t rows, size_t cols, const float *x, size_t x_stride, float *y, size_t y_stride)
    cnn_status cnn_log_softmax_forward_f64(
        size_t rows, size_t cols, const double *x, size_t x_stride, double *y, size_t y_stride)
    cnn_status cnn_loss_gradient_f32(
        const cnn_loss *loss, size_t rows, size_t cols, const float *z, size_t z_stride,
        const cnn_matrix *t, const cnn_matrix *sample_weight, double *value, float *gradient)
    cnn_status cnn_loss_gradient_f64(
        const cnn_loss *loss, size_t rows, size_t cols, const double *z, size_t z_stride,
        const cnn_matrix *t, const cnn_matrix *sample_weight, double *value, double *gradient)

    cnn_status cnn_random_permutation(
        uint64_t seed, uint64_t epoch, size_t n, size_t first, size_t count, size_t *out)
    void cnn_random_philox(const uint32_t *counter, const uint32_t *key, uint32_t *out)

    cnn_status cnn_network_create(
        cnn_dtype dtype, size_t count, const cnn_layer *layers, uint64_t seed,
        cnn_network **network)
    cnn_status cnn_network_copy(const cnn_network *network, cnn_network **copy)
    void cnn_network_destroy(cnn_network *network)
    cnn_dtype cnn_network_dtype(const cnn_network *network)
    size_t cnn_network_inputs(const cnn_network *network)
    size_t cnn_network_outputs(const cnn_network *network)
    uint64_t cnn_network_seed(const cnn_network *network)
    size_t cnn_network_layer_count(const cnn_network *network)
    cnn_status cnn_network_layer(const cnn_network *network, size_t index, cnn_layer *layer)
    size_t cnn_network_parameter_count(const cnn_network *network)
    cnn_status cnn_network_initialize(
        cnn_network *network, size_t layer, cnn_initializer initializer, double a)
    cnn_status cnn_network_get_f32(
        const cnn_network *network, size_t layer, cnn_parameter parameter, float *values,
        size_t count)
    cnn_status cnn_network_get_f64(
        const cnn_network *network, size_t layer, cnn_parameter parameter, double *values,
        size_t count)
    cnn_status cnn_network_set_f32(
        cnn_network *network, size_t layer, cnn_parameter parameter, const float *values,
        size_t count)
    cnn_status cnn_network_set_f64(
        cnn_network *network, size_t layer, cnn_parameter parameter, const double *values,
        size_t count)
    cnn_status cnn_network_set_l2(cnn_network *network, size_t layer, double l2)
    cnn_status cnn_network_set_metadata(
        cnn_network *network, const char *key, const char *value)
    const char *cnn_network_metadata(const cnn_network *network, const char *key)
    size_t cnn_network_metadata_count(const cnn_network *network)
    const char *cnn_network_metadata_key(const cnn_network *network, size_t index)
    size_t cnn_network_workspace_size(const cnn_network *network, size_t rows)
    cnn_status cnn_network_predict_f32(
        const cnn_network *network, size_t rows, const float *x, size_t x_stride, float *y,
        size_t y_stride, void *workspace, size_t workspace_size)
    cnn_status cnn_network_predict_f64(
        const cnn_network *network, size_t rows, const double *x, size_t x_stride, double *y,
        size_t y_stride, void *workspace, size_t workspace_size)
    cnn_status cnn_network_predict(
        const cnn_network *network, const cnn_matrix *x, void *y, size_t y_stride,
        void *workspace, size_t workspace_size)
    size_t cnn_network_vjp_workspace_size(const cnn_network *network, size_t rows)
    cnn_status cnn_network_vjp_f32(
        const cnn_network *network, size_t rows, const float *x, size_t x_stride,
        const float *dy, size_t dy_stride, float *y, size_t y_stride, float *dx,
        size_t dx_stride, void *workspace, size_t workspace_size)
    cnn_status cnn_network_vjp_f64(
        const cnn_network *network, size_t rows, const double *x, size_t x_stride,
        const double *dy, size_t dy_stride, double *y, size_t y_stride, double *dx,
        size_t dx_stride, void *workspace, size_t workspace_size)
    cnn_status cnn_network_vjp(
        const cnn_network *network, const cnn_matrix *x, const cnn_matrix *dy, void *y,
        size_t y_stride, void *dx, size_t dx_stride, void *workspace, size_t workspace_size)
    size_t cnn_network_jacobian_workspace_size(const cnn_network *network, size_t rows)
    cnn_status cnn_network_jacobian_f32(
        const cnn_network *network, size_t rows, const float *x, size_t x_stride, float *y,
        size_t y_stride, float *jacobian, void *workspace, size_t workspace_size)
    cnn_status cnn_network_jacobian_f64(
        const cnn_network *network, size_t rows, const double *x, size_t x_stride, double *y,
        size_t y_stride, double *jacobian, void *workspace, size_t workspace_size)
    cnn_status cnn_network_jacobian(
        const cnn_network *network, const cnn_matrix *x, void *y, size_t y_stride,
        void *jacobian, void *workspace, size_t workspace_size)
    cnn_status cnn_network_evaluate(
        const cnn_network *network, const cnn_loss *loss, const cnn_data *data,
        cnn_result *result)
    cnn_status cnn_network_gradients(
        const cnn_network *network, const cnn_loss *loss, const cnn_data *data, int64_t step,
        double *value, void *gradients, size_t count)
    cnn_status cnn_network_save(const cnn_network *network, const char *path)
    cnn_status cnn_network_load(const char *path, cnn_network **network)
    cnn_status cnn_network_to_bytes(const cnn_network *network, void **data, size_t *size)
    cnn_status cnn_network_from_bytes(const void *data, size_t size, cnn_network **network)
    void cnn_bytes_free(void *data)

    cnn_status cnn_tape_create(const cnn_network *network, cnn_tape **tape)
    void cnn_tape_destroy(cnn_tape *tape)
    cnn_status cnn_tape_forward(
        cnn_tape *tape, const cnn_matrix *x, int64_t step, void *y, size_t y_stride)
    cnn_status cnn_tape_backward(
        cnn_tape *tape, const cnn_matrix *dy, void *gradients, size_t count, void *dx,
        size_t dx_stride)

    cnn_status cnn_trainer_create(
        cnn_network *network, const cnn_optimizer *optimizer, cnn_trainer **trainer)
    void cnn_trainer_destroy(cnn_trainer *trainer)
    cnn_status cnn_trainer_step(
        cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data, double lr,
        cnn_result *result)
    cnn_status cnn_trainer_apply(
        cnn_trainer *trainer, const void *gradients, size_t count, int penalties, double lr)
    cnn_status cnn_trainer_epoch(
        cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data, const size_t *index,
        size_t count, size_t batch_size, const double *lr, double seconds, cnn_result *result)
    cnn_status cnn_trainer_epoch_scheduled(
        cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data, const size_t *index,
        size_t count, size_t batch_size, const cnn_schedule *schedule, double seconds,
        cnn_result *result)
    cnn_status cnn_trainer_set_group(
        cnn_trainer *trainer, size_t layer, cnn_parameter parameter, size_t group)
    cnn_status cnn_trainer_group(
        const cnn_trainer *trainer, size_t layer, cnn_parameter parameter, size_t *group)
    cnn_status cnn_trainer_finite(const cnn_trainer *trainer, int *weights, int *state)
    const cnn_network *cnn_trainer_network(const cnn_trainer *trainer)
    uint64_t cnn_trainer_steps(const cnn_trainer *trainer)
    cnn_status cnn_trainer_get_state(
        const cnn_trainer *trainer, size_t slot, void *values, size_t count)
    cnn_status cnn_trainer_set_state(
        cnn_trainer *trainer, size_t slot, const void *values, size_t count)
    cnn_status cnn_trainer_set_steps(cnn_trainer *trainer, uint64_t steps)
    cnn_status cnn_trainer_snapshot(cnn_trainer *trainer)
    cnn_status cnn_trainer_restore(cnn_trainer *trainer)
    cnn_status cnn_trainer_save(const cnn_trainer *trainer, const char *path)
    cnn_status cnn_trainer_save_with(
        const cnn_trainer *trainer, const char *key, const char *value, const char *path)
    cnn_status cnn_trainer_load(
        const char *path, cnn_network **network, cnn_trainer **trainer)
    cnn_status cnn_trainer_optimizer(const cnn_trainer *trainer, cnn_optimizer *optimizer)

    const int CNN_MOST_SHARDS
    ctypedef enum cnn_shard_sum:
        CNN_SHARD_LOSS
        CNN_SHARD_WEIGHT
        CNN_SHARD_ROWS
        CNN_SHARD_CORRECT
        CNN_SHARD_COUNTED
        CNN_SHARD_SUMS

    ctypedef struct cnn_shard_tree:
        pass

    uint64_t cnn_shard_seed(uint64_t seed, size_t shard)
    cnn_status cnn_shard_tree_create(
        cnn_dtype dtype, size_t count, size_t shards, cnn_shard_tree **tree)
    void cnn_shard_tree_destroy(cnn_shard_tree *tree)
    cnn_status cnn_shard_tree_reset(cnn_shard_tree *tree)
    cnn_status cnn_shard_tree_add(
        cnn_shard_tree *tree, size_t first, size_t last, const void *vector, const double *sums)
    size_t cnn_shard_tree_nodes(const cnn_shard_tree *tree)
    cnn_status cnn_shard_tree_node(
        cnn_shard_tree *tree, size_t node, size_t *first, size_t *last, void **vector,
        const double **sums)
    cnn_status cnn_shard_gradient(
        cnn_trainer *trainer, const cnn_loss *loss, const cnn_data *data, const size_t *index,
        size_t count, size_t shard, cnn_shard_tree *tree)
    cnn_status cnn_shard_sums(const cnn_result *result, double *sums)
    cnn_status cnn_shard_loss(const cnn_network *network, const double *sums, double *loss)
    cnn_status cnn_shard_slice(
        const cnn_network *network, size_t parts, size_t part, size_t *first, size_t *count)
    cnn_status cnn_shard_mean(
        const cnn_network *network, const double *sums, size_t first, size_t count, void *gradient)
    size_t cnn_shard_blocks(const cnn_network *network, size_t first, size_t count)
    cnn_status cnn_shard_squares(
        const cnn_network *network, const void *gradient, size_t first, size_t count,
        double *squares)
    cnn_status cnn_shard_clip(
        const cnn_trainer *trainer, const double *squares, size_t blocks, double *clip)
    cnn_status cnn_shard_step(
        cnn_trainer *trainer, const void *gradient, size_t first, size_t count, double clip,
        double lr, void *values)
    cnn_status cnn_shard_finish(cnn_trainer *trainer, const void *values, size_t count)

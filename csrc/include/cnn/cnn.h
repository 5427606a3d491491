/*
 * cnn.h: the only public header of libcnn.
 *
 * libcnn trains and runs dense neural networks on the CPU, in float32 and float64. The bits
 * of every result are defined by the numerics contract (CNN_NUMERICS_VERSION), not by the
 * machine: they do not depend on the instruction set, the number of threads or the batch.
 *
 * Start here
 *   A network from a file, for one row of numbers:
 *
 *       cnn_network *network = NULL;
 *       float x[784], y[10];
 *       if (cnn_network_load("digits.safetensors", &network) != CNN_OK)
 *           puts(cnn_last_error());
 *       cnn_network_predict_f32(network, 1, x, 784, y, 10, NULL, 0);
 *       cnn_network_destroy(network);
 *
 *   To train: cnn_network_create, cnn_network_initialize, cnn_trainer_create, cnn_trainer_epoch
 *   and cnn_trainer_save; examples/c/train.c is a whole program. After these functions come, in
 *   groups: status, names, machine, array functions, losses, random numbers, networks, losses of
 *   the caller's, training, model files.
 *
 * Conventions
 *   Shapes      Matrices are row-major. x is (rows, inputs), a weight is (inputs, outputs), a
 *               bias is (outputs); a dense layer computes y = h(x . weight + bias).
 *   Strides     `*_stride` arguments of typed functions are distances between the starts of
 *               neighbouring rows, in elements. Within a row, elements are adjacent.
 *   Aliasing    Inputs and outputs must not overlap, unless "in place" is written.
 *   Ownership   Nothing passed in is kept or freed. Handles are freed by their _destroy.
 *   Threads     Functions may be called from any thread. A `const cnn_network *` may be used by
 *               any number of threads at once; a call that takes a non-const handle must be
 *               the only one using that handle. A call that is long enough uses several threads
 *               by itself (cnn_threads_set), unless another call does so already. The child of a
 *               fork may use all handles, but those that another thread was changing at that
 *               time, which it may only destroy: some weights of such a network are those of
 *               before a step there, and others those of after it.
 *   Errors      Functions that can fail return a cnn_status; cnn_last_error() tells the details
 *               of the calling thread's last failure. After a failure the handle is as before,
 *               and so are the outputs if arguments were refused. libcnn never ends the program.
 *               What is not said again at each function: CNN_ERROR_ARGUMENT for NULL if memory
 *               is needed, a stride smaller than a row, a constant outside its list, or a wrong
 *               struct_size; CNN_ERROR_MEMORY if sizes overflow or memory is short.
 *   Memory      Array functions, predict, vjp and Jacobians allocate scratch that the threads
 *               they run on keep for the next call; the last three allocate nothing if they get a
 *               workspace of the caller.
 *   Handles     Questions to a handle that return a number or a text answer 0 or NULL for NULL.
 *   Structs     Public structs begin with struct_size, which the caller sets to sizeof the struct.
 *               Fields that the caller does not set must be 0, which means the default, unless the
 *               struct says otherwise. Later versions may add fields at the end. If the caller was
 *               compiled with an older cnn.h, the fields that its structs lack have their defaults,
 *               and a struct that a call fills in is written as far as struct_size. If the caller
 *               was compiled with a newer cnn.h, what lies behind the fields that libcnn knows must
 *               be 0, else a field is set that has no effect, which is CNN_ERROR_ARGUMENT; a
 *               struct that a call fills in gets zeros there. A struct_size that no version has
 *               is CNN_ERROR_ARGUMENT. All structs of an array have the struct_size of the first.
 *               cnn_matrix never gets fields, since cnn_data contains it.
 */
#ifndef CNN_CNN_H
#define CNN_CNN_H

#include <stddef.h>
#include <stdint.h>

/*
 * The versions of this header: of libcnn, of its ABI and of the numerics contract. A change after
 * which a compiled program would no longer work raises CNN_ABI_VERSION; one after which a result
 * has other bits raises CNN_NUMERICS_VERSION.
 */
#define CNN_VERSION "0.1.0"
#define CNN_ABI_VERSION 1
#define CNN_NUMERICS_VERSION 1

#if defined(_WIN32)
#if defined(CNN_BUILD)
#define CNN_API __declspec(dllexport)
#else
#define CNN_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define CNN_API __attribute__((visibility("default")))
#else
#define CNN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status and version ------------------------------------------------------------------ */

/* What a function that can fail returns. */
typedef enum cnn_status {
    CNN_OK = 0,
    CNN_ERROR_ARGUMENT = 1,   /* an argument has a bad value, shape or stride */
    CNN_ERROR_TYPE = 2,       /* an array or network has the wrong element type */
    CNN_ERROR_MEMORY = 3,     /* out of memory, or a size that overflows */
    CNN_ERROR_SYSTEM = 4,     /* the system refused; cnn_last_errno() has its errno */
    CNN_ERROR_MODEL_FILE = 5, /* the file is not a good model file */
    CNN_ERROR_NONFINITE = 6   /* the loss, weights or an optimizer's state became NaN or infinite */
} cnn_status;

/* Describe the calling thread's last failure; "" before the first. Valid until the next call. */
CNN_API const char *cnn_last_error(void);

/* The errno that belongs to the calling thread's last CNN_ERROR_SYSTEM. */
CNN_API int cnn_last_errno(void);

/* The versions of the libcnn that runs; those of the header are CNN_VERSION and so on. */
CNN_API const char *cnn_version(void);
CNN_API int cnn_abi_version(void);
CNN_API int cnn_numerics_version(void);

/* ---- Names ------------------------------------------------------------------------------- */

/*
 * The type of an array's elements. A network is of CNN_FLOAT32 or CNN_FLOAT64; the other types are
 * accepted as inputs only.
 */
typedef enum cnn_dtype {
    CNN_FLOAT32 = 0,
    CNN_FLOAT64 = 1,
    CNN_FLOAT16 = 2,
    CNN_BOOL = 3,
    CNN_INT8 = 4,
    CNN_INT16 = 5,
    CNN_INT32 = 6,
    CNN_INT64 = 7,
    CNN_UINT8 = 8,
    CNN_UINT16 = 9,
    CNN_UINT32 = 10,
    CNN_UINT64 = 11
} cnn_dtype;

/*
 * The list of activations: X(CONSTANT, value, name, input, bound, number, standard).
 *   input      1 if the derivative is taken from the layer's input z, 0 if from its output y
 *   bound      the largest |y|; 0 if there is none
 *   number     what the activation calls its number, NULL if it has none; elsewhere in this header
 *              it is alpha, whatever the activation
 *   standard   the number if none is given
 * The enum, the names in C and Python, and the tests follow from this list; the formulas are in
 * kernels/activation.c.
 *
 * Results, but for softmax, are within 3 units in the last place, those of silu, gelu, gelu_tanh
 * and mish within 4 and |z| times the smallest denormal number more, which counts if the factor of
 * z is denormal. For z < 0, gelu_tanh has 4 |a| units more: it takes exp of a = sqrt(8 / pi) (z +
 * 0.044715 z^3), which is rounded. At -inf and inf activations are their limits; but silu of -inf
 * is NaN, as z times 0 is, and the derivatives of silu and gelu are NaN at both. Derivatives of
 * sigmoid, tanh, elu and selu that are taken from a y near its limit have the absolute error of y.
 */
#define CNN_ACTIVATIONS(X)                                                                         \
    X(IDENTITY, 0, identity, 0, 0, NULL, 0)                                                        \
    X(STEP, 1, step, 0, 1, NULL, 0)                                                                \
    X(SIGMOID, 2, sigmoid, 0, 1, NULL, 0)                                                          \
    X(TANH, 3, tanh, 0, 1, NULL, 0)                                                                \
    X(RELU, 4, relu, 0, 0, NULL, 0)                                                                \
    X(LEAKY_RELU, 5, leaky_relu, 0, 0, "slope", 0.01)                                              \
    X(ELU, 6, elu, 0, 0, "alpha", 1)                                                               \
    X(SOFTPLUS, 7, softplus, 0, 0, NULL, 0)                                                        \
    X(SILU, 8, silu, 1, 0, NULL, 0)                                                                \
    X(GELU, 9, gelu, 1, 0, NULL, 0)                                                                \
    X(SOFTMAX, 10, softmax, 0, 1, NULL, 0)                                                         \
    X(MISH, 11, mish, 1, 0, NULL, 0)                                                               \
    X(SELU, 12, selu, 0, 0, NULL, 0)                                                               \
    X(HARD_SIGMOID, 13, hard_sigmoid, 0, 1, NULL, 0)                                               \
    X(HARD_SWISH, 14, hard_swish, 1, 0, NULL, 0)                                                   \
    X(RELU6, 15, relu6, 0, 6, NULL, 0)                                                             \
    X(SOFTSIGN, 16, softsign, 1, 1, NULL, 0)                                                       \
    X(EXPONENTIAL, 17, exponential, 0, 0, NULL, 0)                                                 \
    X(GELU_TANH, 18, gelu_tanh, 1, 0, NULL, 0)

typedef enum cnn_activation {
#define CNN_X(constant, value, name, input, bound, number, standard) CNN_##constant = value,
    CNN_ACTIVATIONS(CNN_X)
#undef CNN_X
        CNN_ACTIVATION_COUNT
} cnn_activation;

/*
 * The losses: X(CONSTANT, value, name, output, logits, accuracy). Formulas are at cnn_loss below.
 *   output     the activation that the output layer must have; CNN_ANY_OUTPUT: any but softmax
 *   logits     1 if the loss is computed from the numbers before that activation
 *   accuracy   1 if the largest output tells a class, so that rows can be correct
 */
#define CNN_ANY_OUTPUT (-1)
#define CNN_LOSSES(X)                                                                              \
    X(SQUARED_ERROR, 0, squared_error, CNN_ANY_OUTPUT, 0, 0)                                       \
    X(CROSS_ENTROPY, 1, cross_entropy, CNN_SOFTMAX, 1, 1)                                          \
    X(BINARY_CROSS_ENTROPY, 2, binary_cross_entropy, CNN_SIGMOID, 1, 1)                            \
    X(HUBER, 3, huber, CNN_ANY_OUTPUT, 0, 0)                                                       \
    X(POISSON, 4, poisson, CNN_IDENTITY, 0, 0)                                                     \
    X(ABSOLUTE_ERROR, 5, absolute_error, CNN_ANY_OUTPUT, 0, 0)                                     \
    X(QUANTILE, 6, quantile, CNN_ANY_OUTPUT, 0, 0)

typedef enum cnn_loss_kind {
#define CNN_X(constant, value, name, output, logits, accuracy) CNN_##constant = value,
    CNN_LOSSES(CNN_X)
#undef CNN_X
        CNN_LOSS_COUNT
} cnn_loss_kind;

/*
 * The optimizers: X(CONSTANT, value, name, slots, squares). A slot is one number kept per parameter
 * (momentum buffer, first or second moment). Bit s of `squares` is set if slot s holds sums or
 * means of squares, which are never negative. Formulas are at cnn_optimizer below.
 */
#define CNN_OPTIMIZERS(X)                                                                          \
    X(SGD, 0, sgd, 0, 0)                                                                           \
    X(MOMENTUM, 1, momentum, 1, 0)                                                                 \
    X(NESTEROV, 2, nesterov, 1, 0)                                                                 \
    X(ADAM, 3, adam, 2, 2)                                                                         \
    X(ADAMW, 4, adamw, 2, 2)                                                                       \
    X(RMSPROP, 5, rmsprop, 1, 1)                                                                   \
    X(ADAGRAD, 6, adagrad, 1, 1)

/* The most slots of an optimizer. */
#define CNN_MAX_SLOTS 2

typedef enum cnn_optimizer_kind {
#define CNN_X(constant, value, name, slots, squares) CNN_##constant = value,
    CNN_OPTIMIZERS(CNN_X)
#undef CNN_X
        CNN_OPTIMIZER_COUNT
} cnn_optimizer_kind;

/* The schemes for initial weights; biases start at 0 except with TORCH. */
#define CNN_INITIALIZERS(X)                                                                        \
    X(GLOROT_UNIFORM, 0, glorot_uniform) /* U(-a, a), a = sqrt(6 / (inputs + outputs)) */          \
    X(HE_UNIFORM, 1, he_uniform)         /* U(-a, a), a = sqrt(6 / inputs) */                      \
    X(LECUN_UNIFORM, 2, lecun_uniform)   /* U(-a, a), a = sqrt(3 / inputs) */                      \
    X(ZEROS, 3, zeros)                                                                             \
    X(UNIFORM, 4, uniform) /* U(-a, a), a given */                                                 \
    X(TORCH, 5, torch)     /* weight and bias U(-a, a), a = 1 / sqrt(inputs) */                    \
    X(NORMAL, 6, normal)   /* N(0, a^2), a given */

typedef enum cnn_initializer {
#define CNN_X(constant, value, name) CNN_INIT_##constant = value,
    CNN_INITIALIZERS(CNN_X)
#undef CNN_X
        CNN_INITIALIZER_COUNT
} cnn_initializer;

/* The name of a constant, such as "relu"; NULL for a value outside the list. */
CNN_API const char *cnn_activation_name(int activation);
CNN_API const char *cnn_loss_name(int loss);
CNN_API const char *cnn_optimizer_name(int optimizer);
CNN_API const char *cnn_initializer_name(int initializer);

/* 1 if the derivative of the activation is taken from its input, 0 if from its output. */
CNN_API int cnn_activation_needs_input(int activation);

/*
 * What the list of losses says: the activation that the output layer must have, and 1 or 0 for
 * whether the loss takes logits and has an accuracy. For a value outside the list CNN_ANY_OUTPUT, 0
 * and 0.
 */
CNN_API int cnn_loss_output(int loss);
CNN_API int cnn_loss_takes_logits(int loss);
CNN_API int cnn_loss_has_accuracy(int loss);

/* The largest |y| of the activation; 0 if it has none, and for a value outside the list. */
CNN_API double cnn_activation_bound(int activation);

/*
 * What the activation calls its number, such as "slope" of leaky_relu, and the number if none is
 * given; NULL and 0 if the activation has no number, and for a value outside the list.
 */
CNN_API const char *cnn_activation_alpha_name(int activation);
CNN_API double cnn_activation_alpha_default(int activation);

/* How many slots the optimizer keeps per parameter; -1 for a value outside the list. */
CNN_API int cnn_optimizer_slots(int optimizer);

/* The largest l2, delta, eps and weight_decay, number of an activation, clip, and `a` of initial
 * weights: products of two, and their float32 forms, stay finite. */
#define CNN_LARGEST 1e30
/* The smallest number of an activation: its float32 form is not 0. */
#define CNN_LEAST_ALPHA 1e-30

/* ---- Machine ----------------------------------------------------------------------------- */

/* The instruction set in use: "scalar", "avx2", "avx512" or "neon". */
CNN_API const char *cnn_isa(void);

/* The i-th instruction set that this build and this machine both have; NULL past the end. */
CNN_API const char *cnn_isa_available(size_t i);

/*
 * Use this instruction set from now on. Networks keep the one they were created with. The
 * results do not change; this is for tests and measurements. The environment variable CNN_ISA
 * caps the choice made at load; a name that is not known caps nothing.
 */
CNN_API cnn_status cnn_isa_select(const char *name);

/*
 * The number of threads that a call may use: the last cnn_threads_set, else CNN_NUM_THREADS,
 * else the first number of OMP_NUM_THREADS, else the smaller of the CPU affinity and the cgroup
 * quota; at least 1. A variable that is no whole number from 1 to 1024 counts as not set, without a
 * message: cnn_threads_origin tells what is in use.
 */
CNN_API size_t cnn_threads_get(void);

/* Set the number of threads; 0 goes back to the environment's count. */
CNN_API cnn_status cnn_threads_set(size_t threads);

/* Where the present number comes from, e.g. "CNN_NUM_THREADS" or "cgroup quota". */
CNN_API const char *cnn_threads_origin(void);

/* ---- Array functions --------------------------------------------------------------------- */

/*
 * y = h(x . weight + bias). x (rows, inputs), weight (inputs, outputs) without gaps, bias
 * (outputs) or NULL, y (rows, outputs). O(rows inputs outputs).
 */
CNN_API cnn_status cnn_dense_forward_f32(size_t rows, size_t inputs, size_t outputs, const float *x,
                                         size_t x_stride, const float *weight, const float *bias,
                                         cnn_activation activation, float *y, size_t y_stride);
CNN_API cnn_status cnn_dense_forward_f64(size_t rows, size_t inputs, size_t outputs,
                                         const double *x, size_t x_stride, const double *weight,
                                         const double *bias, cnn_activation activation, double *y,
                                         size_t y_stride);

/* The same with the activation's number, as at cnn_layer. */
CNN_API cnn_status cnn_dense_forward_alpha_f32(size_t rows, size_t inputs, size_t outputs,
                                               const float *x, size_t x_stride, const float *weight,
                                               const float *bias, cnn_activation activation,
                                               double alpha, float *y, size_t y_stride);
CNN_API cnn_status cnn_dense_forward_alpha_f64(size_t rows, size_t inputs, size_t outputs,
                                               const double *x, size_t x_stride,
                                               const double *weight, const double *bias,
                                               cnn_activation activation, double alpha, double *y,
                                               size_t y_stride);

/*
 * Gradients of y = x . weight + bias: dx = dy . weight^T (rows, inputs), dweight = x^T . dy
 * (inputs, outputs), dbias = column sums of dy (outputs). All without gaps; any of the three
 * outputs may be NULL and is then not computed. O(rows inputs outputs) for each of the first two.
 */
CNN_API cnn_status cnn_dense_backward_f32(size_t rows, size_t inputs, size_t outputs,
                                          const float *dy, const float *x, const float *weight,
                                          float *dx, float *dweight, float *dbias);
CNN_API cnn_status cnn_dense_backward_f64(size_t rows, size_t inputs, size_t outputs,
                                          const double *dy, const double *x, const double *weight,
                                          double *dx, double *dweight, double *dbias);

/*
 * y = h(x) for each element, or for each row if h is softmax. x and y (rows, cols).
 * In place (y == x with equal strides) is allowed. O(rows cols).
 */
CNN_API cnn_status cnn_activation_forward_f32(cnn_activation activation, size_t rows, size_t cols,
                                              const float *x, size_t x_stride, float *y,
                                              size_t y_stride);
CNN_API cnn_status cnn_activation_forward_f64(cnn_activation activation, size_t rows, size_t cols,
                                              const double *x, size_t x_stride, double *y,
                                              size_t y_stride);

/*
 * dx = dy . dh/dx. `from` is the activation's output y, or its input x if
 * cnn_activation_needs_input says so. All (rows, cols) without gaps. In place (dx == dy) is
 * allowed.
 */
CNN_API cnn_status cnn_activation_backward_f32(cnn_activation activation, size_t rows, size_t cols,
                                               const float *dy, const float *from, float *dx);
CNN_API cnn_status cnn_activation_backward_f64(cnn_activation activation, size_t rows, size_t cols,
                                               const double *dy, const double *from, double *dx);

/* Both with the activation's number, as at cnn_layer. */
CNN_API cnn_status cnn_activation_forward_alpha_f32(cnn_activation activation, double alpha,
                                                    size_t rows, size_t cols, const float *x,
                                                    size_t x_stride, float *y, size_t y_stride);
CNN_API cnn_status cnn_activation_forward_alpha_f64(cnn_activation activation, double alpha,
                                                    size_t rows, size_t cols, const double *x,
                                                    size_t x_stride, double *y, size_t y_stride);
CNN_API cnn_status cnn_activation_backward_alpha_f32(cnn_activation activation, double alpha,
                                                     size_t rows, size_t cols, const float *dy,
                                                     const float *from, float *dx);
CNN_API cnn_status cnn_activation_backward_alpha_f64(cnn_activation activation, double alpha,
                                                     size_t rows, size_t cols, const double *dy,
                                                     const double *from, double *dx);

/*
 * Log-softmax of each row: y_j = x_j - max - log(sum_k exp(x_k - max)). In place is allowed.
 * Softmax itself is cnn_activation_forward with CNN_SOFTMAX.
 */
CNN_API cnn_status cnn_log_softmax_forward_f32(size_t rows, size_t cols, const float *x,
                                               size_t x_stride, float *y, size_t y_stride);
CNN_API cnn_status cnn_log_softmax_forward_f64(size_t rows, size_t cols, const double *x,
                                               size_t x_stride, double *y, size_t y_stride);

/* ---- Losses ------------------------------------------------------------------------------ */

/* What the rows of targets hold. */
typedef enum cnn_target_kind {
    CNN_TARGET_ROWS = 0,  /* one number per output (probabilities for cross_entropy) */
    CNN_TARGET_LABELS = 1 /* one class number per row, 0 to outputs - 1 */
} cnn_target_kind;

/*
 * A loss. With output or logit row z and target row t, the loss of a row is
 *   squared_error         1/2 sum_j (z_j - t_j)^2
 *   cross_entropy         -sum_j t_j log softmax(z)_j, or -log softmax(z)_label
 *   binary_cross_entropy  sum_j softplus(z_j) - t_j z_j
 *   huber                 sum_j r^2/2 for |r| <= delta, else delta (|r| - delta/2); r = z_j - t_j
 *   poisson               sum_j exp(z_j) - t_j z_j
 *   absolute_error        sum_j |z_j - t_j|
 *   quantile              sum_j max(q_j (t_j - z_j), (q_j - 1) (t_j - z_j))
 * cross_entropy and binary_cross_entropy take logits. The loss of a batch is the mean of its
 * rows, weighted by sample weight times class weight. A row of weight 0 adds nothing to it, nor to
 * its gradient, whatever its numbers are. The derivatives of absolute_error and quantile are 0 for
 * z_j = t_j.
 *
 * The level q_j of quantile is more than 0 and less than 1, and more than that of the output before
 * it. Output j then learns the q_j-quantile of the targets (Koenker and Bassett, 1978). All outputs
 * often have the same target: a matrix with one column of numbers and col_stride 0 has it.
 *
 * Label smoothing s replaces the targets of cross_entropy by (1 - s) t_j + s / outputs. Together
 * with class weights c, the loss of a batch with sample weights u is as in PyTorch's
 * CrossEntropyLoss(weight=c, label_smoothing=s): every class has its own weight in it,
 *   sum_i u_i ((1 - s) c_label(i) l_i,label(i) + s / outputs sum_j c_j l_ij) / sum_i u_i c_label(i)
 * with l = -log softmax(z).
 *
 * Values are within some units in the last place of exact ones for the given z, small ones too, but
 * for poisson's, whose two terms may cancel: it is within 2 units in the last place of exp(z_j) for
 * each j. The gradients of cross_entropy and binary_cross_entropy are differences p - t of a
 * probability and a target, and have the absolute error of p.
 */
typedef struct cnn_loss {
    size_t struct_size;
    cnn_loss_kind kind;         /* which of them */
    cnn_target_kind target;     /* what the rows of targets hold */
    double delta;               /* huber's threshold; 0 means 1 */
    double label_smoothing;     /* s of cross_entropy, 0 <= s < 1 */
    const double *class_weight; /* (outputs) or NULL; with labels only */
    const double *quantiles;    /* (outputs) or NULL; the levels of quantile, and with it only; NULL
                                   means (j + 1) / (outputs + 1), rounded to double */
} cnn_loss;

/*
 * A read-only matrix of any input type and layout; strides are in bytes and may be negative or
 * unaligned. rows and cols are those of the logical matrix. Its struct_size is the same for ever.
 */
typedef struct cnn_matrix {
    size_t struct_size;
    const void *data; /* the element of row 0 and column 0 */
    cnn_dtype dtype;
    size_t rows;
    size_t cols;
    ptrdiff_t row_stride; /* from an element to that below it */
    ptrdiff_t col_stride; /* from an element to the next one of its row */
} cnn_matrix;

/* Samples. x, t and sample_weight have as many rows as each other. */
typedef struct cnn_data {
    size_t struct_size;
    cnn_matrix x;             /* inputs (rows, inputs) */
    cnn_matrix t;             /* targets (rows, outputs), or labels (rows, 1) */
    cnn_matrix sample_weight; /* (rows, 1); data may be NULL for all ones */
} cnn_data;

/*
 * Weights. A sample weight and a class weight are each from 0 to CNN_LARGEST_WEIGHT, so that no sum
 * of their products overflows. There is no mean of rows whose weights add up to less than
 * CNN_LEAST_WEIGHT_SUM, below which products with losses lose digits: a call that has no other
 * rows, or batches, is CNN_ERROR_ARGUMENT. A weight times the loss of its row should be finite in
 * double.
 */
#define CNN_LARGEST_WEIGHT 1e100
#define CNN_LEAST_WEIGHT_SUM 1e-270

/*
 * What one pass over samples measured. The mean loss is loss_sum / weight_sum.
 *
 * A pass may be made by several calls, each with some of the rows: begin with a result that is zero
 * but for struct_size and `accumulate`, and give the same one to each call. Sums then go on as if
 * there were one call, to the last bit, wherever it is cut. Such a call may have rows without
 * weight alone; after the last one it is for the caller to look at weight_sum. Without `accumulate`
 * a call is a whole pass, and what the result held is lost.
 */
typedef struct cnn_result {
    size_t struct_size;
    double loss_sum;   /* sum of the batches' losses, each times its sum of weights */
    double weight_sum; /* sum of the rows' weights */
    size_t rows;       /* rows that were seen */
    size_t correct;    /* rows whose largest output is the target's; classification only */
    size_t steps;      /* batches that were finished, those without weight included */
    size_t accumulate; /* set by the caller: not 0 if the call goes on with a pass */
    /* evaluate: rows of x with a NaN, an infinity, or a number that is too large for the network's
     * type, those of weight 0 left out; their losses mean nothing, whether or not they are finite.
     */
    size_t nonfinite_rows;
    /* Rows that `correct` is a part of: those whose weight is not 0. With label smoothing a class
     * weight of 0 leaves a row its smoothing terms, so that its sample weight decides. */
    size_t counted;
    double loss_lanes[16], weight_lanes[16]; /* evaluate's sums, for the next call */
} cnn_result;

/*
 * The loss of a batch and its gradient with respect to z (rows, cols). t and sample_weight as in
 * cnn_data; with CNN_TARGET_ROWS the formulas take any t. gradient (rows, cols) without gaps, or
 * NULL.
 */
CNN_API cnn_status cnn_loss_gradient_f32(const cnn_loss *loss, size_t rows, size_t cols,
                                         const float *z, size_t z_stride, const cnn_matrix *t,
                                         const cnn_matrix *sample_weight, double *value,
                                         float *gradient);
CNN_API cnn_status cnn_loss_gradient_f64(const cnn_loss *loss, size_t rows, size_t cols,
                                         const double *z, size_t z_stride, const cnn_matrix *t,
                                         const cnn_matrix *sample_weight, double *value,
                                         double *gradient);

/* ---- Random numbers ---------------------------------------------------------------------- */

/*
 * Elements first to first + count - 1 of the permutation of 0 to n - 1 that belongs to (seed,
 * epoch). Needs no memory beyond `out`, so that an epoch may be shuffled slice by slice.
 */
CNN_API cnn_status cnn_random_permutation(uint64_t seed, uint64_t epoch, size_t n, size_t first,
                                          size_t count, size_t *out);

/* One block of Philox4x32-10 (Salmon et al., SC11): counter (4 words), key (2), out (4). */
CNN_API void cnn_random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* ---- Networks ---------------------------------------------------------------------------- */

/* A network: its layers, their parameters, a seed and metadata. */
typedef struct cnn_network cnn_network;

/*
 * The kinds of layers: X(CONSTANT, value, name). For each row x they compute
 *   dense                  y = h(x . weight + bias)
 *   dropout                y = x, and in training x or 0, divided by 1 - rate
 *   standardize            y = (x - mean) / scale
 *   columns                features of the columns of a table, see cnn_column
 *   scale                  y = factor x
 *   parametric_activation  y = x + mix (h(x) - x)
 */
#define CNN_LAYER_KINDS(X)                                                                         \
    X(DENSE, 0, dense)                                                                             \
    X(DROPOUT, 1, dropout)                                                                         \
    X(STANDARDIZE, 2, standardize)                                                                 \
    X(COLUMNS, 3, columns)                                                                         \
    X(SCALE, 4, scale)                                                                             \
    X(PARAMETRIC_ACTIVATION, 5, parametric_activation)

typedef enum cnn_layer_kind {
#define CNN_X(constant, value, name) CNN_LAYER_##constant = value,
    CNN_LAYER_KINDS(CNN_X)
#undef CNN_X
        CNN_LAYER_KIND_COUNT
} cnn_layer_kind;

/*
 * What a columns layer makes of a column: X(CONSTANT, value, name).
 *   number     u = clip((x - mean) / scale), clip(v) = v / sqrt(1 + (v / clip)^2): one feature
 *   periodic   u, and periodic_size - 1 features of PBLD (Holzmueller et al., "Better by default",
 *              2024), e_h = offset_h + sum_k factor_hk cos(2 pi frequency_k u + phase_k)
 *   one_hot    a feature for each code, 1 for that of the row; of two codes one, which is 1 or -1
 *   embedding  the code's row of a table: embedding_size features
 *   ignored    no features
 * Codes are 0 to categories - 1; of NaN and other codes the features are 0. A number that is NaN is
 * missing: u is 0, and with `missing` one more feature is 1, which else is 0.
 */
#define CNN_COLUMN_KINDS(X)                                                                        \
    X(NUMBER, 0, number)                                                                           \
    X(PERIODIC, 1, periodic)                                                                       \
    X(ONE_HOT, 2, one_hot)                                                                         \
    X(EMBEDDING, 3, embedding)                                                                     \
    X(IGNORED, 4, ignored)

typedef enum cnn_column_kind {
#define CNN_X(constant, value, name) CNN_COLUMN_##constant = value,
    CNN_COLUMN_KINDS(CNN_X)
#undef CNN_X
        CNN_COLUMN_KIND_COUNT
} cnn_column_kind;

/* The most categories of a column: float32 has a number for each code. */
#define CNN_MOST_CATEGORIES 16777216

/* A column of the rows that a columns layer reads. */
typedef struct cnn_column {
    size_t struct_size;
    cnn_column_kind kind;
    int missing;       /* number, periodic: not 0 for a feature that tells whether it is missing */
    size_t categories; /* one_hot, embedding: 1 to CNN_MOST_CATEGORIES */
} cnn_column;

/*
 * How training sees a dense layer's weight: X(CONSTANT, value, name).
 *   standard  as it is
 *   ntk       as V / sqrt(inputs), of which the optimizer changes V (Jacot et al., NeurIPS 2018)
 * The weight is stored as ever. With ntk its learning rate is lr / sqrt(inputs) for adam, adamw,
 * rmsprop and adagrad, whose eps is eps sqrt(inputs), and lr / inputs for sgd, momentum and
 * nesterov; adamw's weight decay is that of lr.
 */
#define CNN_PARAMETRIZATIONS(X)                                                                    \
    X(STANDARD, 0, standard)                                                                       \
    X(NTK, 1, ntk)

typedef enum cnn_parametrization {
#define CNN_X(constant, value, name) CNN_PARAMETRIZATION_##constant = value,
    CNN_PARAMETRIZATIONS(CNN_X)
#undef CNN_X
        CNN_PARAMETRIZATION_COUNT
} cnn_parametrization;

/* A layer. Each field names the kinds that it is for; for other kinds leave it 0. */
typedef struct cnn_layer {
    size_t struct_size;
    cnn_layer_kind kind;       /* which of them */
    size_t inputs;             /* dense, standardize, columns, and scale if it is the first layer;
                                  other layers take what comes and may leave it 0 */
    size_t outputs;            /* dense; others have what follows and may leave it 0 */
    cnn_activation activation; /* dense: softmax in the last layer only; parametric_activation: any
                                  but softmax */
    double l2;                 /* dense: adds l2/2 sum(weight^2) to the loss */
    double rate;               /* dropout: the share of values set to 0, 0 <= rate < 1 */
    /* The activation's number, CNN_LEAST_ALPHA to CNN_LARGEST; 0 for its default, and the only
     * value if it has none. cnn_network_layer tells the default itself. */
    double alpha;
    cnn_parametrization parametrization; /* dense */
    /* columns: how each of the inputs becomes features. What cnn_network_layer tells here belongs
     * to the network. */
    const cnn_column *columns;
    double clip;           /* columns: the bound of numbers, 0 for none; at most CNN_LARGEST */
    size_t frequencies;    /* columns: of each periodic column, 1 to 256 */
    size_t periodic_size;  /* columns: features of each periodic column, 2 to 16 */
    size_t embedding_size; /* columns: of each embedded column, 1 to 1024 */
} cnn_layer;

/*
 * What layers hold: X(CONSTANT, value, name, is a matrix). Training changes
 *   weight, bias  of a dense layer: (inputs, outputs) and (outputs)
 *   embedding     of a columns layer: (categories of all embedded columns, embedding_size), column
 *                 by column. In a step, numbers whose gradient is 0 stay as they are, and so does
 *                 the optimizer's state of them; weight decay is of the others alone.
 *   periodic      of a columns layer: (periodic columns, (periodic_size + 1) frequencies +
 *                 periodic_size - 1), a row for each periodic column: its frequencies, its phases,
 *                 the factors of e_1, those of e_2 and so on, and then the offsets of e_1, e_2 and
 *                 so on
 *   factor        of a scale layer: (inputs)
 *   mix           of a parametric_activation layer: (inputs)
 * Fixed are the mean and scale (inputs) of a standardize or columns layer: training, gradients, the
 * optimizer's state and the count of parameters leave them out.
 */
#define CNN_PARAMETERS(X)                                                                          \
    X(WEIGHT, 0, weight, 1)                                                                        \
    X(BIAS, 1, bias, 0)                                                                            \
    X(MEAN, 2, mean, 0)                                                                            \
    X(SCALE, 3, scale, 0)                                                                          \
    X(EMBEDDING, 4, embedding, 1)                                                                  \
    X(PERIODIC, 5, periodic, 1)                                                                    \
    X(FACTOR, 6, factor, 0)                                                                        \
    X(MIX, 7, mix, 0)

typedef enum cnn_parameter {
#define CNN_X(constant, value, name, matrix) CNN_##constant = value,
    CNN_PARAMETERS(CNN_X)
#undef CNN_X
        CNN_PARAMETER_COUNT
} cnn_parameter;

/*
 * Build a network of `count` layers with all weights, biases and periodic numbers 0, each mean 0
 * and each scale, factor and mix 1; dtype is CNN_FLOAT32 or CNN_FLOAT64. `seed` keys its initial
 * weights, shuffles and dropout masks. The last layer is dense. A standardize or columns layer is
 * the first layer or none, and a scale layer may be; after each of them comes a dense layer, or a
 * scale layer and then a dense one. A parametric_activation layer follows a dense one without an
 * activation, and a dropout layer follows either. The inputs of a dense layer must be the outputs
 * of the layer before it. *network is then the caller's, to be freed by cnn_network_destroy; after
 * a failure it is as before. Memory: each weight twice, as it is and packed for the tiles of the
 * instruction set in use.
 */
CNN_API cnn_status cnn_network_create(cnn_dtype dtype, size_t count, const cnn_layer *layers,
                                      uint64_t seed, cnn_network **network);
/* A network of its own with the same layers, parameters, seed and metadata. */
CNN_API cnn_status cnn_network_copy(const cnn_network *network, cnn_network **copy);
/* Free a network; NULL is allowed. No call may be using it, and no trainer may be left. */
CNN_API void cnn_network_destroy(cnn_network *network);

/* What the network was created with. */
CNN_API cnn_dtype cnn_network_dtype(const cnn_network *network);
CNN_API size_t cnn_network_inputs(const cnn_network *network);
CNN_API size_t cnn_network_outputs(const cnn_network *network);
CNN_API uint64_t cnn_network_seed(const cnn_network *network);
CNN_API size_t cnn_network_layer_count(const cnn_network *network);
/* Describe layer `index`, counted as given to cnn_network_create; set layer->struct_size first. */
CNN_API cnn_status cnn_network_layer(const cnn_network *network, size_t index, cnn_layer *layer);

/* The number of parameters that are trained; of dense layers alone the sum of (inputs + 1) outputs.
 */
CNN_API size_t cnn_network_parameter_count(const cnn_network *network);

/*
 * Fill a dense layer's weight and bias; `a` is the bound of CNN_INIT_UNIFORM, or the standard
 * deviation of CNN_INIT_NORMAL. Of a columns layer, for which there is CNN_INIT_NORMAL alone,
 * embeddings become N(0, 1), frequencies N(0, a^2), phases U(-pi, pi), and factors and offsets
 * U(-b, b) with b = 1 / sqrt(frequencies).
 */
CNN_API cnn_status cnn_network_initialize(cnn_network *network, size_t layer,
                                          cnn_initializer initializer, double a);

/*
 * Read or write one parameter of layer `layer`, `count` elements without gaps. A mean must be
 * finite, and a scale finite and more than 0.
 */
CNN_API cnn_status cnn_network_get_f32(const cnn_network *network, size_t layer,
                                       cnn_parameter parameter, float *values, size_t count);
CNN_API cnn_status cnn_network_get_f64(const cnn_network *network, size_t layer,
                                       cnn_parameter parameter, double *values, size_t count);
CNN_API cnn_status cnn_network_set_f32(cnn_network *network, size_t layer, cnn_parameter parameter,
                                       const float *values, size_t count);
CNN_API cnn_status cnn_network_set_f64(cnn_network *network, size_t layer, cnn_parameter parameter,
                                       const double *values, size_t count);

/* Set the strength of a dense layer's L2 penalty, l2 >= 0. */
CNN_API cnn_status cnn_network_set_l2(cnn_network *network, size_t layer, double l2);

/*
 * Text kept with the network and in its model file, under a key of the caller's. A value of NULL
 * removes the key. cnn_network_metadata returns NULL if the key is absent; the string is valid
 * until the metadata change. Both are UTF-8. To remove a key, or to set a value that is not longer
 * than the present one, takes no memory, so that it cannot fail for a lack of it. In a file the key
 * is "user." and this key; what another program added to a file, under a key without "user.", is
 * read too and written as it was. Files that `cnn train` wrote have, as JSON under "preprocessing",
 * how the network's inputs are made of the columns of a table: it is the caller's to do so before
 * he predicts.
 */
CNN_API cnn_status cnn_network_set_metadata(cnn_network *network, const char *key,
                                            const char *value);
CNN_API const char *cnn_network_metadata(const cnn_network *network, const char *key);
CNN_API size_t cnn_network_metadata_count(const cnn_network *network);
CNN_API const char *cnn_network_metadata_key(const cnn_network *network, size_t index);

/*
 * Bytes of workspace with which a predict of `rows` rows runs at full speed. The least workspace is
 * that for one row: it does for any number of rows, and any number of threads.
 */
CNN_API size_t cnn_network_workspace_size(const cnn_network *network, size_t rows);

/*
 * y = network(x). x (rows, inputs), y (rows, outputs). `workspace` is memory of
 * `workspace_size` bytes for this call alone, at any address, with which nothing is allocated; or
 * NULL for a buffer of the calling thread. A workspace smaller than
 * cnn_network_workspace_size(network, rows) costs threads, and then speed. One smaller than
 * cnn_network_workspace_size(network, 1) may be CNN_ERROR_ARGUMENT, whose message has the least
 * size; y is then as before. O(rows parameters). CNN_ERROR_TYPE if the network is of the other
 * type.
 */
CNN_API cnn_status cnn_network_predict_f32(const cnn_network *network, size_t rows, const float *x,
                                           size_t x_stride, float *y, size_t y_stride,
                                           void *workspace, size_t workspace_size);
CNN_API cnn_status cnn_network_predict_f64(const cnn_network *network, size_t rows, const double *x,
                                           size_t x_stride, double *y, size_t y_stride,
                                           void *workspace, size_t workspace_size);

/* The same for inputs of any type and layout, converted block by block of rows. */
CNN_API cnn_status cnn_network_predict(const cnn_network *network, const cnn_matrix *x, void *y,
                                       size_t y_stride, void *workspace, size_t workspace_size);

/*
 * The product of a row vector and the Jacobian (vector-Jacobian product, vjp): for each row of x
 * (rows, inputs) and of dy (rows, outputs)
 *   y = network(x),   dx_i = sum_j dy_j (d y_j / d x_i)   (rows, inputs)
 * so that dx is the gradient with respect to x of a loss whose gradient with respect to y is dy.
 * The derivative goes through the output's activation too, and through softmax with all its terms;
 * that of step is 0. There is no dropout and no look at whether numbers are finite. y or dx may be
 * NULL and is then not stored. Neither may overlap x or dy. A row's results do not depend on the
 * other rows. Memory is as for predict, with the workspace of cnn_network_vjp_workspace_size.
 * O(rows parameters), two to three times a predict, and up to four times for a single row of a
 * network whose first layer has most of the parameters.
 */
CNN_API size_t cnn_network_vjp_workspace_size(const cnn_network *network, size_t rows);
CNN_API cnn_status cnn_network_vjp_f32(const cnn_network *network, size_t rows, const float *x,
                                       size_t x_stride, const float *dy, size_t dy_stride, float *y,
                                       size_t y_stride, float *dx, size_t dx_stride,
                                       void *workspace, size_t workspace_size);
CNN_API cnn_status cnn_network_vjp_f64(const cnn_network *network, size_t rows, const double *x,
                                       size_t x_stride, const double *dy, size_t dy_stride,
                                       double *y, size_t y_stride, double *dx, size_t dx_stride,
                                       void *workspace, size_t workspace_size);
/* The same for x and dy of any type and layout, converted block by block of rows. */
CNN_API cnn_status cnn_network_vjp(const cnn_network *network, const cnn_matrix *x,
                                   const cnn_matrix *dy, void *y, size_t y_stride, void *dx,
                                   size_t dx_stride, void *workspace, size_t workspace_size);

/*
 * The Jacobian of each row: jacobian (rows, outputs, inputs) without gaps has d y_j / d x_i at
 * [row][j][i], the bits of a vjp whose dy is 1 at j and 0 elsewhere. y (rows, outputs) may be NULL.
 * Neither may overlap x.
 * One way forward and `outputs` ways back for each row: O(rows outputs parameters).
 */
CNN_API size_t cnn_network_jacobian_workspace_size(const cnn_network *network, size_t rows);
CNN_API cnn_status cnn_network_jacobian_f32(const cnn_network *network, size_t rows, const float *x,
                                            size_t x_stride, float *y, size_t y_stride,
                                            float *jacobian, void *workspace,
                                            size_t workspace_size);
CNN_API cnn_status cnn_network_jacobian_f64(const cnn_network *network, size_t rows,
                                            const double *x, size_t x_stride, double *y,
                                            size_t y_stride, double *jacobian, void *workspace,
                                            size_t workspace_size);
CNN_API cnn_status cnn_network_jacobian(const cnn_network *network, const cnn_matrix *x, void *y,
                                        size_t y_stride, void *jacobian, void *workspace,
                                        size_t workspace_size);

/*
 * The loss of the network over the samples (L2 penalties included), without dropout. The output
 * layer must suit the loss: softmax for cross_entropy, sigmoid for binary_cross_entropy,
 * identity for poisson, any but softmax for the others. Targets must be finite in the network's
 * type and, for cross_entropy and poisson, not negative, for binary_cross_entropy from 0 to 1.
 * cross_entropy needs two outputs or more: of one output it is 0, whatever the weights.
 */
CNN_API cnn_status cnn_network_evaluate(const cnn_network *network, const cnn_loss *loss,
                                        const cnn_data *data, cnn_result *result);

/*
 * The loss of all samples as one batch, and its gradient for every parameter: layer by
 * layer in the order of CNN_PARAMETERS, weight then bias of a dense layer,
 * cnn_network_parameter_count() elements of the network's type. With step >= 0 the dropout masks of
 * that step are applied, with -1 none. O(rows parameters) time, O(rows widths + parameters) memory.
 */
CNN_API cnn_status cnn_network_gradients(const cnn_network *network, const cnn_loss *loss,
                                         const cnn_data *data, int64_t step, double *value,
                                         void *gradients, size_t count);

/* ---- Losses of the caller's -------------------------------------------------------------- */

/*
 * A tape keeps what rows left in the network on their way forward, so that they can go back with
 * any gradient of a loss. The network must outlive the tape. Several threads may use tapes of one
 * network at once, each a tape of its own. O(rows widths + parameters) memory, which is kept for
 * the next rows.
 */
typedef struct cnn_tape cnn_tape;

/* Make a tape for a network. It has no rows yet. */
CNN_API cnn_status cnn_tape_create(const cnn_network *network, cnn_tape **tape);
/* Free a tape; NULL is allowed. */
CNN_API void cnn_tape_destroy(cnn_tape *tape);

/*
 * Rows x (rows, inputs) forward; y (rows, outputs) of the network's type, or NULL. x is copied.
 * With step >= 0 the dropout masks of that step are applied, with -1 none. A number of x that is
 * not finite in the network's type is CNN_ERROR_NONFINITE; the tape is then without rows.
 */
CNN_API cnn_status cnn_tape_forward(cnn_tape *tape, const cnn_matrix *x, int64_t step, void *y,
                                    size_t y_stride);

/*
 * Back from dy (rows, outputs), the gradient of a loss with respect to y. `gradients` receives that
 * with respect to the parameters, ordered as in cnn_network_gradients, summed over the rows and
 * without L2 terms; dx (rows, inputs) that with respect to x. One of the two may be NULL. May be
 * called several times. CNN_ERROR_ARGUMENT if the weights were changed since the forward. dx must
 * not overlap dy.
 */
CNN_API cnn_status cnn_tape_backward(cnn_tape *tape, const cnn_matrix *dy, void *gradients,
                                     size_t count, void *dx, size_t dx_stride);

/* ---- Training ---------------------------------------------------------------------------- */

/* A network in training: the optimizer, its state and the number of steps. */
typedef struct cnn_trainer cnn_trainer;

/*
 * An optimizer. With gradient g, step number k = 1, 2, ... and learning rate lr:
 *   sgd       w -= lr g
 *   momentum  b = momentum b + g;  w -= lr b
 *   nesterov  b = momentum b + g;  w -= lr (g + momentum b)
 *   adam      m += (1 - beta1)(g - m);  v = beta2 v + (1 - beta2) g^2;
 *             w -= lr/(1 - beta1^k) m / (sqrt(v) / sqrt(1 - beta2^k) + eps)
 *   adamw     w -= lr weight_decay w, then as adam
 *   rmsprop   v = alpha v + (1 - alpha) g^2;  w -= lr g / (sqrt(v) + eps)
 *   adagrad   v += g^2;  w -= lr g / (sqrt(v) + eps)
 * Every field is used as it stands: a 0 is a 0.
 */
typedef struct cnn_optimizer {
    size_t struct_size;
    cnn_optimizer_kind kind; /* which of them */
    double momentum;         /* momentum, nesterov: 0 <= momentum < 1 */
    double beta1, beta2;     /* adam, adamw: in [0, 1) */
    double alpha;            /* rmsprop: in [0, 1) */
    double eps;              /* adam, adamw, rmsprop, adagrad: >= 0 */
    double weight_decay;     /* adamw: >= 0 */
    double clip_norm; /* > 0: gradients are scaled so that their joint norm is at most this */
} cnn_optimizer;

/* Make a trainer for a network, which must outlive it. The optimizer's state starts at 0. */
CNN_API cnn_status cnn_trainer_create(cnn_network *network, const cnn_optimizer *optimizer,
                                      cnn_trainer **trainer);
/* Free a trainer; NULL is allowed. The network stays. */
CNN_API void cnn_trainer_destroy(cnn_trainer *trainer);

/*
 * Train on all samples of `data` as one batch. result->loss_sum / result->weight_sum is the loss
 * before the step. A loss that is not finite, an x that is not finite in the network's type, and a
 * step after which a weight or the optimizer's state would be NaN or infinite are
 * CNN_ERROR_NONFINITE: the step is not made, and all is as before.
 */
CNN_API cnn_status cnn_trainer_step(cnn_trainer *trainer, const cnn_loss *loss,
                                    const cnn_data *data, double lr, cnn_result *result);

/*
 * Make a step on given gradients, ordered as in cnn_network_gradients, as cnn_trainer_step does on
 * those of a loss: clip_norm clips, and with `penalties` not 0 the gradients of the L2 penalties
 * are added before. cnn_network_gradients has them already, cnn_tape_backward does not. A gradient
 * that is not finite, and a step after which a weight or the optimizer's state would not be, are
 * CNN_ERROR_NONFINITE: the step is not made, and all is as before. O(parameters).
 */
CNN_API cnn_status cnn_trainer_apply(cnn_trainer *trainer, const void *gradients, size_t count,
                                     int penalties, double lr);

/* Groups of parameters differ in the learning rates and weight decays of a cnn_schedule. */
#define CNN_MOST_GROUPS 64

/* Put a parameter into a group, 0 to CNN_MOST_GROUPS - 1, or tell which one it is in. At first all
 * are in group 0. The groups are kept in the files of cnn_trainer_save, and cnn_trainer_load brings
 * them back. */
CNN_API cnn_status cnn_trainer_set_group(cnn_trainer *trainer, size_t layer,
                                         cnn_parameter parameter, size_t group);
CNN_API cnn_status cnn_trainer_group(const cnn_trainer *trainer, size_t layer,
                                     cnn_parameter parameter, size_t *group);

/*
 * What changes from step to step. The numbers of groups are row by row: those of step i and group g
 * at [i * groups + g].
 */
typedef struct cnn_schedule {
    size_t struct_size;
    size_t groups;              /* 1 for all parameters together, else more than any group */
    const double *lr;           /* (steps, groups): learning rates, 0 or more */
    const double *weight_decay; /* (steps, groups): adamw's, or NULL for the optimizer's */
    const double *dropout;      /* (steps): by what rates are multiplied, 0 to 1; NULL for 1 */
} cnn_schedule;

/*
 * Train on rows index[0], index[1], ... (count of them) in batches of batch_size, the last
 * one smaller if count is no multiple of it. lr has one learning rate per step. Returns early,
 * after a whole step, when `seconds` have passed (0: never); result->rows tells how far it came. A
 * loss that is not finite ends the call before its update, with CNN_ERROR_NONFINITE, and so does an
 * x that is not finite in the network's type. Weights and state are not looked at:
 * cnn_trainer_finite does that, for example at the end of an epoch that began with
 * cnn_trainer_snapshot. An index of `rows` or more, and targets or weights out of range, are
 * refused before the first step; rows of targets, if result->accumulate is set, before the step
 * that they are for. O(count parameters).
 *
 * A batch whose weights add up to less than CNN_LEAST_WEIGHT_SUM makes no step: weights, optimizer,
 * step number and dropout stay as they are, it takes none of `lr`, and it adds its rows, and those
 * that are correct, to the result but nothing to the loss.
 */
CNN_API cnn_status cnn_trainer_epoch(cnn_trainer *trainer, const cnn_loss *loss,
                                     const cnn_data *data, const size_t *index, size_t count,
                                     size_t batch_size, const double *lr, double seconds,
                                     cnn_result *result);
/* The same with all that may change from step to step. */
CNN_API cnn_status cnn_trainer_epoch_scheduled(cnn_trainer *trainer, const cnn_loss *loss,
                                               const cnn_data *data, const size_t *index,
                                               size_t count, size_t batch_size,
                                               const cnn_schedule *schedule, double seconds,
                                               cnn_result *result);

/*
 * Whether all weights and biases are finite, and all of the optimizer's state: 1 or 0 in *weights
 * and *state. O(parameters).
 */
CNN_API cnn_status cnn_trainer_finite(const cnn_trainer *trainer, int *weights, int *state);

/* The network that the trainer trains. */
CNN_API const cnn_network *cnn_trainer_network(const cnn_trainer *trainer);

/* The number of updates made so far, which also keys the dropout masks. */
CNN_API uint64_t cnn_trainer_steps(const cnn_trainer *trainer);

/*
 * The optimizer's state: one row of cnn_network_parameter_count() elements of the network's
 * type per slot, ordered as in cnn_network_gradients. Numbers must be finite, and those of squares
 * not negative. `steps` restores the step counter, and with it Adam's powers of beta.
 */
CNN_API cnn_status cnn_trainer_get_state(const cnn_trainer *trainer, size_t slot, void *values,
                                         size_t count);
CNN_API cnn_status cnn_trainer_set_state(cnn_trainer *trainer, size_t slot, const void *values,
                                         size_t count);
CNN_API cnn_status cnn_trainer_set_steps(cnn_trainer *trainer, uint64_t steps);

/*
 * Remember the weights and the optimizer's state, or go back to what was remembered last. The
 * first call allocates; later ones copy.
 */
CNN_API cnn_status cnn_trainer_snapshot(cnn_trainer *trainer);
CNN_API cnn_status cnn_trainer_restore(cnn_trainer *trainer);

/* ---- Training in shards ------------------------------------------------------------------ */

/*
 * Training whose result does not depend on how many processes take part. The samples are a fixed
 * number of shards, and each process has some that lie side by side. In a step
 *   1. it finds the gradient of its rows of each of these shards in order (cnn_shard_gradient) in a
 *      tree, which adds neighbours as soon as they are complete;
 *   2. it sends its nodes (cnn_shard_tree_node): to each process the slice of parameters which that
 *      one updates (cnn_shard_slice), and with it the nodes' sums;
 *   3. it adds the nodes of all processes, in the order of the shards, in a tree of vectors as long
 *      as its slice (cnn_shard_tree_add), whose one node is then the sum over all shards;
 *   4. it divides this by the weight sum (cnn_shard_mean), updates its slice (cnn_shard_step), and
 *      sends the new numbers to all, each of which puts all slices together (cnn_shard_finish).
 * libcnn sends nothing: any means does that moves bytes. One process alone leaves 2 and 3 out, and
 * its slice is the whole.
 *
 * A step whose weight sum is less than CNN_LEAST_WEIGHT_SUM is left out by the caller, as
 * cnn_trainer_epoch does, and one whose loss is not finite ends the training. If the optimizer has
 * a clip_norm, the squares of all slices (cnn_shard_squares), sent to all, tell before the update
 * by how much gradients are shortened (cnn_shard_clip).
 */
/* What is added over shards beside the gradient: the places in an array of CNN_SHARD_SUMS numbers.
 */
typedef enum cnn_shard_sum {
    CNN_SHARD_LOSS = 0,    /* the rows' losses, each times its weight; no penalties */
    CNN_SHARD_WEIGHT = 1,  /* their weights */
    CNN_SHARD_ROWS = 2,    /* how many they are */
    CNN_SHARD_CORRECT = 3, /* as in cnn_result */
    CNN_SHARD_COUNTED = 4, /* as in cnn_result */
    CNN_SHARD_SUMS = 5     /* how many they are */
} cnn_shard_sum;

/*
 * The seed of a shard: cnn_random_permutation with it gives the order of the shard's rows in an
 * epoch, and it keys the dropout of its rows.
 */
CNN_API uint64_t cnn_shard_seed(uint64_t seed, size_t shard);

/* The most shards. */
#define CNN_MOST_SHARDS 1000000000

/* Vectors of numbers, and sums beside them, that are added over shards. */
typedef struct cnn_shard_tree cnn_shard_tree;

/*
 * Make an empty tree over `shards` shards, 1 to CNN_MOST_SHARDS, with vectors of `count` numbers of
 * CNN_FLOAT32 or CNN_FLOAT64; count may be 0. It takes memory as it needs it: at most that of two
 * vectors for each level.
 */
CNN_API cnn_status cnn_shard_tree_create(cnn_dtype dtype, size_t count, size_t shards,
                                         cnn_shard_tree **tree);
/* Free a tree; NULL is allowed. */
CNN_API void cnn_shard_tree_destroy(cnn_shard_tree *tree);
/* Empty a tree for the next step; its memory stays. */
CNN_API cnn_status cnn_shard_tree_reset(cnn_shard_tree *tree);

/*
 * Add the node of shards first, ..., last - 1: its vector and its CNN_SHARD_SUMS sums, which are
 * copied. On level k nodes begin at multiples of 2^k and have 2^k shards, or as many as there are.
 * The first node may begin anywhere, each next one where the last one ended.
 */
CNN_API cnn_status cnn_shard_tree_add(cnn_shard_tree *tree, size_t first, size_t last,
                                      const void *vector, const double *sums);

/* How many nodes the tree has now: those that could not be added to a neighbour yet. */
CNN_API size_t cnn_shard_tree_nodes(const cnn_shard_tree *tree);
/*
 * One of them: its shards, vector and sums, each of which may be NULL if it is not wanted. They are
 * valid until the tree changes. The vector may be written to.
 */
CNN_API cnn_status cnn_shard_tree_node(cnn_shard_tree *tree, size_t node, size_t *first,
                                       size_t *last, void **vector, const double **sums);

/*
 * Add the sums and the gradient of some rows of a shard to a tree of vectors with all parameters:
 * rows index[0], index[1], ... (count of them) of data, or with index NULL the first `count` rows.
 * With count 0 all are 0. The gradient is ordered as in cnn_network_gradients, is that of the sum
 * of the rows' losses times their weights, and has no penalties. Dropout is that of the step that
 * comes next, cnn_trainer_steps, and of the shard. The network, the optimizer and, after a failure,
 * the tree stay as they are. CNN_ERROR_NONFINITE for an x that is not finite in the network's type;
 * a loss that is not finite is seen in the sums. O(count parameters).
 */
CNN_API cnn_status cnn_shard_gradient(cnn_trainer *trainer, const cnn_loss *loss,
                                      const cnn_data *data, const size_t *index, size_t count,
                                      size_t shard, cnn_shard_tree *tree);

/*
 * The sums of a shard that was evaluated by cnn_network_evaluate, in one call or several, for a
 * tree with count 0.
 */
CNN_API cnn_status cnn_shard_sums(const cnn_result *result, double *sums);

/* The loss that belongs to the sums over all shards: their mean, and the L2 penalties. */
CNN_API cnn_status cnn_shard_loss(const cnn_network *network, const double *sums, double *loss);

/*
 * The slice of parameters that process `part` of `parts` updates: parameters *first to
 * *first + *count - 1, in the order of cnn_network_gradients. Slices begin with a block of
 * cnn_shard_squares, so that a small network leaves some processes without one.
 */
CNN_API cnn_status cnn_shard_slice(const cnn_network *network, size_t parts, size_t part,
                                   size_t *first, size_t *count);

/*
 * Turn a slice of the gradient's sum over all shards into the gradient of cnn_shard_loss, in place:
 * divided by the weight sum, plus the gradient of the L2 penalties.
 */
CNN_API cnn_status cnn_shard_mean(const cnn_network *network, const double *sums, size_t first,
                                  size_t count, void *gradient);

/* How many blocks a slice has, whose squares are added separately: each of 4096 parameters of a
 * tensor, or as many as it has left. */
CNN_API size_t cnn_shard_blocks(const cnn_network *network, size_t first, size_t count);
/* The sum of squares of each block of a slice of the gradient: cnn_shard_blocks numbers. */
CNN_API cnn_status cnn_shard_squares(const cnn_network *network, const void *gradient, size_t first,
                                     size_t count, double *squares);
/*
 * What the gradient is multiplied by for the optimizer's clip_norm, given the squares of all
 * blocks; 1 without a clip_norm. CNN_ERROR_NONFINITE if the norm is so large that the factor is no
 * normal number.
 */
CNN_API cnn_status cnn_shard_clip(const cnn_trainer *trainer, const double *squares, size_t blocks,
                                  double *clip);

/*
 * Update a slice of the parameters by the gradient of cnn_shard_mean times `clip`: the new ones go
 * to `values` (count), and the optimizer's state of the slice changes, but not the network. Numbers
 * are not looked at: cnn_trainer_finite does that.
 */
CNN_API cnn_status cnn_shard_step(cnn_trainer *trainer, const void *gradient, size_t first,
                                  size_t count, double clip, double lr, void *values);

/* End a step: give the network its new parameters, all of them, and count the step. */
CNN_API cnn_status cnn_shard_finish(cnn_trainer *trainer, const void *values, size_t count);

/* ---- Model files ------------------------------------------------------------------------- */

/*
 * Model files are safetensors: tensors layers.0.weight, layers.0.bias, ..., and so on for what
 * other layers hold, and the architecture as JSON in the metadata. Saving replaces `path`
 * atomically. Loading refuses anything that is not a well-formed model; it runs no code and
 * allocates no more than the file's size calls for. `path` is in the system's encoding of file
 * names (UTF-8 on Windows). A process that is killed as it saves leaves a file .cnn-*.tmp beside
 * `path`, which the next that saves to `path` removes.
 */
CNN_API cnn_status cnn_network_save(const cnn_network *network, const char *path);
CNN_API cnn_status cnn_network_load(const char *path, cnn_network **network);

/*
 * The same with the optimizer's kind, settings, step number and slots (optimizer.0.layers.0.weight
 * ...), so that training goes on as if it had not been interrupted. The trainer belongs to the
 * network and is destroyed before it.
 */
CNN_API cnn_status cnn_trainer_save(const cnn_trainer *trainer, const char *path);
CNN_API cnn_status cnn_trainer_load(const char *path, cnn_network **network, cnn_trainer **trainer);

/*
 * cnn_trainer_save with one more entry of metadata, in the file alone: the network is not changed,
 * so that several threads may save it at once. If value is NULL, the file is without the key.
 */
CNN_API cnn_status cnn_trainer_save_with(const cnn_trainer *trainer, const char *key,
                                         const char *value, const char *path);

/* Tell the optimizer's kind and settings; set optimizer->struct_size first. */
CNN_API cnn_status cnn_trainer_optimizer(const cnn_trainer *trainer, cnn_optimizer *optimizer);

/* The same file from and to memory. `size` bytes at `*bytes`, freed by cnn_bytes_free. */
CNN_API cnn_status cnn_network_to_bytes(const cnn_network *network, void **bytes, size_t *size);
CNN_API cnn_status cnn_network_from_bytes(const void *bytes, size_t size, cnn_network **network);
CNN_API void cnn_bytes_free(void *bytes);

#ifdef __cplusplus
}
#endif

#endif /* CNN_CNN_H */

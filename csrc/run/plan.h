/*
 * Plans: what a call decides above the kernels before it runs. Thresholds that depend on the
 * machine stand in plan.c. Plans are pure functions of shapes, rows and the machine, so that a test
 * can print them for machines that are not there. What runs below reads a plan and decides nothing.
 *
 * A training step has weights in one of two forms, and its threads split the work in one of two
 * ways. Row-major weights are for one thread, so that there are three layouts:
 *
 *     layout      weights     threads
 *     row-major   row-major   one; a batch of one block of rows through narrow layers
 *     columns     panels      share the columns of each layer; a batch of one block of rows
 *     rows        panels      take blocks of rows
 *
 * with one of three gradients. That is eight paths, since a batch of one row is one block:
 *
 *     gradient    row-major   columns   rows
 *     fused       x           x         x      each part goes straight into the optimizer
 *     outer       x           x                one row: a column by a row, in the optimizer
 *     whole       x           x         x      stored first: clip_norm, gradients alone or given
 */
#ifndef CNN_PLAN_H
#define CNN_PLAN_H

#include "base/platform.h"
#include "kernels/product.h"
#include "model/layout.h"
#include "model/shape.h"

/* The most rows that go through all layers together. */
#define CNN_BLOCK_ROWS ((size_t)132)

/* The most rows of a weight that a task of an update with products takes: whole tiles and whole
 * panels of every instruction set. */
#define CNN_TASK_ROWS ((size_t)96)

/* Elements of a task of elementwise or row work, at least. */
#define CNN_TASK_ELEMENTS ((size_t)8192)

/* The machine, as far as plans depend on it. */
typedef struct cnn_machine {
    size_t threads; /* that a call may use */
    cnn_caches caches;
} cnn_machine;

/* The machine that this runs on, with the number of threads now in use. */
static inline cnn_machine cnn_machine_now(void)
{
    return (cnn_machine){.threads = cnn_threads_get(), .caches = cnn_platform_caches()};
}

typedef enum cnn_split {
    CNN_SPLIT_ROWS,   /* threads take blocks of rows */
    CNN_SPLIT_COLUMNS /* one block of rows; threads share the columns of each layer */
} cnn_split;

typedef enum cnn_gradient {
    CNN_GRADIENT_FUSED,
    CNN_GRADIENT_OUTER,
    CNN_GRADIENT_WHOLE
} cnn_gradient;

/* How a call on rows of a network runs. */
typedef struct cnn_plan {
    size_t rows;
    size_t block, blocks; /* rows of a block, and how many blocks */
    size_t threads;       /* for all work on these rows */
    cnn_split split;
    cnn_form form; /* in which weights are read, and in training changed */
    bool zeros;    /* whether to look for zeros of the inputs */
    /* Calls without training only. */
    size_t workers;      /* threads that take blocks: 1 if the threads share columns */
    size_t worker_bytes; /* of scratch for each worker */
    size_t deltas;       /* derivatives only: rows that go back together */
    /* Training only. */
    cnn_gradient gradient;
    size_t task_rows, task_cols; /* of a weight that a task of the update takes */
    size_t part_cols;            /* of a task whose gradient is computed and used at a time */
    bool prefetch;               /* fetch the weights and slots of the next task */
} cnn_plan;

/* Some of the rows of a call. */
typedef struct cnn_block {
    size_t first, rows;
} cnn_block;

/* Block `index` of a plan. */
static inline cnn_block cnn_plan_block(const cnn_plan *plan, size_t index)
{
    const size_t first = index * plan->block;
    return (cnn_block){first, cnn_min(plan->block, plan->rows - first)};
}

/*
 * The plan of predict and evaluate. With `workspace` bytes of scratch at most: fewer threads, or
 * else smaller blocks. Block 0 says that not even one row fits. What is for training alone is not
 * set.
 */
void cnn_plan_predict(const cnn_machine *machine, const cnn_shape *shape, size_t rows,
                      size_t workspace, cnn_plan *plan);

/* Bytes of scratch that rows take on their way forward and back. */
typedef struct cnn_walk_bytes {
    size_t worker; /* of each thread that takes blocks */
    size_t thread; /* of each thread that shares columns */
    size_t row;    /* of each row of a block */
    size_t delta;  /* of each row that goes back */
} cnn_walk_bytes;

/*
 * The plan of derivatives with respect to the inputs: of one way back for each row, or with
 * `jacobian` of one for each row and output. `workspace` is as for predict.
 */
void cnn_plan_derivatives(const cnn_machine *machine, const cnn_shape *shape,
                          const cnn_walk_bytes *bytes, bool jacobian, size_t rows, size_t workspace,
                          cnn_plan *plan);

/* Bytes of scratch that `rows` rows need on their way forward: activations, and behind these a map
 * of the inputs and lists, if plans look for zeros of so many rows. */
size_t cnn_plan_scratch(const cnn_shape *shape, size_t rows);

/* Bytes of the activations: inputs, and outputs of two layers. */
static inline size_t cnn_plan_activation_bytes(const cnn_shape *shape, size_t rows)
{
    return rows * (shape->input_row + 2 * shape->hidden_row) * shape->real_size;
}

/* A training call: batches of batch_size rows, all with weights in the same form. */
typedef struct cnn_training {
    size_t batch_size;
    size_t slots;  /* of the optimizer */
    bool clips;    /* whether the gradient's norm is needed */
    bool gradient; /* whether only the gradient is wanted: weights are not changed */
} cnn_training;

/* The form in which such a call reads and changes weights, and needs the optimizer's slots. */
cnn_form cnn_plan_form(const cnn_machine *machine, const cnn_shape *shape,
                       const cnn_training *training);

/* The plan of a step with `rows` rows, at most batch_size. */
cnn_plan cnn_plan_step(const cnn_machine *machine, const cnn_shape *shape,
                       const cnn_training *training, size_t rows);

/* Whether a batch of so many rows gets a nonzero index. */
bool cnn_plan_indexes(const cnn_shape *shape, size_t rows);

/* Bytes of scratch in which each thread of an update keeps a part of the gradient. */
size_t cnn_plan_update_scratch(const cnn_shape *shape);

/* Whether the inputs of the next batch are gathered while the present one is at work. */
bool cnn_plan_gathers_ahead(const cnn_machine *machine, const cnn_shape *shape, size_t batch_size);

/* How a product with a network's weight is cut, by its shape. */
cnn_product_plan cnn_plan_product(const cnn_machine *machine, const cnn_kernels *kernels,
                                  const cnn_gemm *gemm);

/* How a product is cut whose b is packed on the way or read in place, by shape and strides. */
cnn_packing_plan cnn_plan_packing(const cnn_machine *machine, const cnn_kernels *kernels,
                                  size_t real_size, const cnn_gemm *gemm, const cnn_pack *b);

/* How work on the rows of a matrix (rows, cols) is cut. */
typedef struct cnn_rows_plan {
    size_t block, threads;
} cnn_rows_plan;
cnn_rows_plan cnn_plan_rows(const cnn_machine *machine, size_t rows, size_t cols);

/* Whether a result (rows, cols) is stored past the caches. */
bool cnn_plan_streams(size_t rows, size_t cols, size_t real_size);

/* Threads that copy so many bytes in so many tasks. */
size_t cnn_plan_copy_threads(const cnn_machine *machine, size_t tasks, double bytes);

#endif

/*
 * Stages: a network is an array of them, one for each public layer. A stage has a kind, which knows
 * how it goes forward and back and which tensors it has, and reads the output of the stage before
 * it. Kinds are listed in cnn.h (CNN_LAYER_KINDS); each has a C file of its own here.
 */
#ifndef CNN_STAGE_H
#define CNN_STAGE_H

#include "kernels/product.h"
#include "model/tensor.h"

/* The most tensors of a stage. */
#define CNN_STAGE_TENSORS 4

typedef struct cnn_stage cnn_stage;

/* Rows that go through a stage. Pointers are to the first of them; strides are in elements. */
typedef struct cnn_forward {
    size_t first, rows; /* the first row's number in its batch, and how many rows */
    uint64_t seed;      /* with `step`, keys dropout masks */
    int64_t step;       /* of training; -1 if there is none */
    double dropout;     /* what the rates of dropout are multiplied by */
    const void *in;     /* (rows, inputs) */
    size_t in_row;
    void *out; /* (rows, outputs); see cnn_stage_is_in_place */
    size_t out_row;
    /* (rows, outputs), as `out`: a dense stage's receives the sums before the activation, or is
     * NULL; that of a parametric activation receives h(in). */
    void *before;
    uint8_t *keep;               /* (rows, outputs), out_row apart: receives the mask of dropout */
    bool logits;                 /* leave the activation out */
    cnn_form form;               /* in which weights are read; it is fresh */
    const cnn_lists *lists;      /* the products with zeros of `in` to leave out; NULL for none */
    const cnn_product_plan *cut; /* if threads share the columns: how; NULL for this thread alone */
} cnn_forward;

/* The way back of the same rows. */
typedef struct cnn_backward {
    size_t rows;
    double dropout;
    const void *delta; /* (rows, outputs): of the loss by the sums before a dense stage's
                          activation, by the outputs of another */
    size_t delta_row;
    const void *in; /* (rows, inputs): what went forward; in_row 0: one row of them for all */
    size_t in_row;
    const void *before; /* as in cnn_forward, for kinds that are not dense; the same */
    size_t before_row;
    const uint8_t *keep; /* dropout: the mask of the way forward, keep_row apart */
    size_t keep_row;
    void *packed; /* dense: receives delta in panels packed_panel elements apart; or NULL */
    size_t packed_panel;
    void *to;      /* (rows, inputs): receives delta of the stage that this one reads; or NULL */
    size_t to_row; /* may be `delta` itself for stages without tensors */
    cnn_activation_spec activation; /* of that stage, with whose derivative delta is multiplied, */
    const void *derivative;         /* taken from these outputs or sums; or NULL */
    size_t derivative_row;          /* 0: one row of them serves all rows */
    cnn_form form;
    size_t threads; /* that share the columns; 1 for this thread alone */
    size_t worker;  /* the calling thread's number, if it is alone */
    void *scratch;  /* memory for cnn_stage_scratch elements for each worker */
} cnn_backward;

/* A batch that went through a stage and back, from which the gradients of its tensors follow. */
typedef struct cnn_passed {
    size_t rows;
    const void *in, *before, *delta;
    size_t in_row, before_row, delta_row;
    uint64_t *order; /* memory of a columns stage, cnn_columns_order_span */
} cnn_passed;

/* What a kind of stage can do. */
typedef struct cnn_stage_kind {
    /* Check layer `index` against its neighbours; layers before it were checked. */
    cnn_status (*check)(size_t count, const cnn_layer *layers, size_t index);
    /* List the tensors: kind, rows, cols and l2. Returns how many. `layer` is whole: its inputs are
     * known. */
    size_t (*tensors)(const cnn_layer *layer, cnn_tensor tensors[CNN_STAGE_TENSORS]);
    void (*forward)(const cnn_stage *stage, const cnn_forward *f);
    void (*backward)(const cnn_stage *stage, const cnn_backward *b);
    /* The gradient of rows [first, first + rows) of a tensor that is no weight, without gaps. NULL
     * for kinds without such tensors. */
    void (*gradient)(const cnn_stage *stage, const cnn_passed *passed, const cnn_tensor *tensor,
                     size_t first, size_t rows, void *out);
} cnn_stage_kind;

/* Whether something is so, as far as it is known. */
typedef enum cnn_known { CNN_UNKNOWN, CNN_NO, CNN_YES } cnn_known;

struct cnn_stage {
    const cnn_stage_kind *kind;
    const cnn_kernels *kernels;
    size_t real_size;
    size_t index; /* among all stages, and of the public layer */
    size_t inputs, outputs;
    cnn_activation_spec activation;     /* dense, parametric_activation */
    cnn_weight weight;                  /* dense */
    double rate;                        /* dropout: the share of values set to 0 */
    cnn_columns columns;                /* columns */
    void *tensors[CNN_PARAMETER_COUNT]; /* the row-major numbers of each; NULL if it has none */
};

/* The kinds, and the table by cnn_layer_kind; NULL for a value outside the list. */
#define CNN_X(constant, value, name) extern const cnn_stage_kind cnn_stage_##name;
CNN_LAYER_KINDS(CNN_X)
#undef CNN_X
const cnn_stage_kind *cnn_stage_find(cnn_layer_kind kind);

/* Whether the stage is a dense one. */
static inline bool cnn_stage_is_dense(const cnn_stage *stage)
{
    return stage->kind == &cnn_stage_dense;
}

/* Whether the output may be what the stage reads, with the same stride. */
static inline bool cnn_stage_is_in_place(const cnn_stage *stage)
{
    return !cnn_stage_is_dense(stage) && stage->kind != &cnn_stage_columns;
}

/* Whether the stage changes nothing at this step, so that its output is what it reads. */
static inline bool cnn_stage_is_idle(const cnn_stage *stage, int64_t step)
{
    return stage->kind == &cnn_stage_dropout && (step < 0 || stage->rate == 0);
}

/* Elements of scratch that the way back of any kind needs for each worker. */
size_t cnn_stage_scratch(const cnn_kernels *kernels);

/* The way back goes on from `to`, as it was written, through the activation of the stage below. */
void cnn_stage_through_activation(const cnn_stage *stage, const cnn_backward *b);

/* The features of a columns layer that was checked (columns.c). */
size_t cnn_columns_features(const cnn_layer *layer);

/* The outputs of layer `index`; layers up to it were checked. */
size_t cnn_layer_outputs(const cnn_layer *layers, size_t index);

/* Check that after layer `index` comes a dense layer, or a scale layer; `what` calls the layer. */
cnn_status cnn_layer_check_next(size_t count, const cnn_layer *layers, size_t index,
                                const char *what);

#endif

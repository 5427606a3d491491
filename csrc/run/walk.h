/* Rows on their way through all stages and back, in memory that the caller has laid out. */
#ifndef CNN_WALK_H
#define CNN_WALK_H

#include "base/arena.h"
#include "model/network.h"
#include "run/plan.h"

/* What a stage keeps of rows. Buffers are (rows, outputs) with row stride `row`. */
typedef struct cnn_stage_memory {
    size_t row;
    void *output;  /* of the stage; of a dense one h(z) */
    void *before;  /* dense: z, if the derivative needs it, or NULL; see cnn_forward */
    void *delta;   /* gradient with respect to z, or to the outputs of a stage that is not dense; a
                      dropout stage shares that of the one it reads, and a standardize stage has none:
                      it goes back in place in dx */
    void *packed;  /* dense: delta in panels for the product with the stage's inputs; or NULL */
    uint8_t *keep; /* dropout: its mask, as in cnn_forward; or NULL */
    uint64_t *order; /* columns: cnn_columns_order_span, if gradients are wanted; or NULL */
} cnn_stage_memory;

typedef struct cnn_walk {
    const cnn_network *network;
    const cnn_machine *machine;
    const cnn_plan *plan;
    const cnn_stage_memory *stages;
    size_t capacity; /* rows of `packed` */
    uint64_t seed;   /* with `step`, keys dropout */
    int64_t step;    /* -1: no dropout */
    double dropout;  /* what its rates are multiplied by */
    const void *in;  /* the inputs from row 0 on, in_row elements apart */
    size_t in_row;
    size_t first, rows;
    size_t worker; /* the calling thread's number */
    void *scratch; /* cnn_stage_scratch elements for each worker */
    /* The way back only: delta has `rows` rows from row 0 on, all of which belong to row `first`.
     */
    bool fans_out;
} cnn_walk;

/*
 * Lay out what one stage keeps of `rows` rows, and of `deltas` rows on the way back; `packs` if
 * gradients of parameters are wanted. Each row takes whole cache lines. Before `memory` is that of
 * the stage before.
 */
void cnn_walk_lay_out(const cnn_network *network, const cnn_stage *stage, cnn_stage_memory *memory,
                      size_t rows, size_t deltas, bool packs, cnn_arena *arena);

/* Row `first` of one of the buffers of a stage; NULL stays NULL. */
void *cnn_walk_row(const cnn_network *network, const cnn_stage_memory *memory, void *buffer,
                   size_t first);

/* The stage whose output a stage reads at a step; NULL if it reads the network's inputs. */
const cnn_stage *cnn_walk_source(const cnn_network *network, const cnn_stage *stage, int64_t step);

/* Copy the outputs of the first `rows` rows, which went forward, to y. */
void cnn_walk_store_outputs(const cnn_network *network, const cnn_stage_memory *stages, size_t rows,
                            void *y, size_t y_row);

/* The inputs forward through all stages; `logits` leaves the last activation out. `lists` is as in
 * cnn_forward. */
void cnn_walk_forward(const cnn_walk *walk, const cnn_lists *lists, bool logits);

/* The last stage's delta, which holds the gradient with respect to its outputs, goes through its
 * activation. */
void cnn_walk_through_output(const cnn_walk *walk);

/* The last stage's delta goes back through all stages; the gradient with respect to the inputs goes
 * into dx (rows, inputs), unless it is NULL. */
void cnn_walk_back(const cnn_walk *walk, void *dx, size_t dx_row);

#endif

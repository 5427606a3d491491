/* Aligned parts of one block of memory. */
#ifndef CNN_ARENA_H
#define CNN_ARENA_H

#include <stdbool.h>

#include "base/error.h"

/* Hands out parts of `memory`. If `memory` is NULL, it only adds up the sizes of the parts. */
typedef struct cnn_arena {
    char *memory;
    size_t used;
    bool overflow;
} cnn_arena;

static inline void *cnn_arena_take(cnn_arena *arena, size_t count, size_t each)
{
    size_t bytes, end;
    if (!cnn_multiply(count, each, &bytes) || bytes > SIZE_MAX / 4 ||
        !cnn_add(arena->used, cnn_round_up(bytes, 64), &end)) {
        arena->overflow = true;
        return NULL;
    }
    void *part = arena->memory ? arena->memory + arena->used : NULL;
    arena->used = end;
    return part;
}

#endif

/*
 * The choice of an instruction set. There is one constant table for each (instruction set, type).
 * To choose means to store an index, which any thread may do at any time.
 */
#include "kernels/dispatch.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/platform.h"

typedef struct isa {
    const char *name;
    const cnn_kernels *tables[2]; /* float32, float64 */
} isa;

/* In ascending order: of the instruction sets that the machine has, the last one is the best. */
#define CNN_X(isa) {#isa, {&cnn_kernels_##isa##_32, &cnn_kernels_##isa##_64}},
static const isa isas[] = {CNN_ISAS(CNN_X)};
#undef CNN_X

enum { ISA_COUNT = sizeof isas / sizeof isas[0] };

/* 1 + the index of the instruction set in use; 0 before the first choice. */
static atomic_size_t chosen;

/* The index of a name in the list; ISA_COUNT if it is not in the list. */
static size_t index_of(const char *name)
{
    size_t i = 0;
    while (i < ISA_COUNT && strcmp(isas[i].name, name) != 0)
        i++;
    return i;
}

/*
 * The best instruction set of this machine, at most the one that CNN_ISA names. An unknown name
 * caps nothing, and is no error, since results are the same with every instruction set.
 */
static size_t best(void)
{
    const char *cap = cnn_platform_environment("CNN_ISA");
    size_t i = cap != NULL ? index_of(cap) : ISA_COUNT;
    if (i == ISA_COUNT)
        i = ISA_COUNT - 1;
    while (i > 0 && !cnn_platform_has_isa(isas[i].name))
        i--;
    return i;
}

static const isa *in_use(void)
{
    size_t now = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (now == 0) {
        /* If another thread has chosen in between, its choice stays and `now` receives it. */
        const size_t choice = best() + 1;
        if (atomic_compare_exchange_strong(&chosen, &now, choice))
            now = choice;
    }
    return &isas[now - 1];
}

const cnn_kernels *cnn_dispatch(cnn_dtype dtype)
{
    return in_use()->tables[dtype == CNN_FLOAT64];
}

const char *cnn_isa(void)
{
    return in_use()->name;
}

const char *cnn_isa_available(size_t i)
{
    for (size_t k = 0; k < ISA_COUNT; k++) {
        if (cnn_platform_has_isa(isas[k].name) && i-- == 0)
            return isas[k].name;
    }
    return NULL;
}

cnn_status cnn_isa_select(const char *name)
{
    const size_t i = name != NULL ? index_of(name) : ISA_COUNT;
    if (i < ISA_COUNT && cnn_platform_has_isa(isas[i].name)) {
        atomic_store(&chosen, i + 1);
        return CNN_OK;
    }
    char list[128] = "";
    size_t used = 0;
    const char *available;
    for (size_t k = 0; (available = cnn_isa_available(k)) != NULL && used < sizeof list; k++) {
        const int length =
            snprintf(list + used, sizeof list - used, "%s%s", k > 0 ? ", " : "", available);
        used += length > 0 ? (size_t)length : 0;
    }
    return cnn_fail(
        CNN_ERROR_ARGUMENT, "cnn_isa_select: name is %s%.40s%s; this build and machine have %s",
        name != NULL ? "'" : "", name != NULL ? name : "NULL", name != NULL ? "'" : "", list);
}

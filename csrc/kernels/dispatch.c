/*
 * The choice of an instruction set. The tables are constant and there is one per (instruction
 * set, type), so choosing is nothing but storing an index, and any thread may do it at any time.
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

/* From the scalar one upwards: a later one is better where the machine has it. */
#define CNN_X(isa) {#isa, {&cnn_kernels_##isa##_32, &cnn_kernels_##isa##_64}},
static const isa isas[] = {CNN_ISAS(CNN_X)};
#undef CNN_X

enum { ISA_COUNT = sizeof isas / sizeof isas[0] };

/* 1 + the index of the instruction set in use; 0 before the first choice. */
static atomic_size_t chosen;

/* The index of a name in the list; ISA_COUNT where it is not there. */
static size_t index_of(const char *name)
{
    size_t i = 0;
    while (i < ISA_COUNT && strcmp(isas[i].name, name) != 0)
        i++;
    return i;
}

/*
 * The best one of this machine, not above the one that CNN_ISA names. A name that this build does
 * not know caps nothing: results are the same with any, so there is nothing to refuse.
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
        /* Where another thread chose in the meantime, its choice stays and `now` receives it. */
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

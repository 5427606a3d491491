/* Reading and writing public structs by their struct_size. */
#include "base/structs.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define PRESENT(type) sizeof(type), _Alignof(type)

const cnn_struct cnn_struct_loss = {PRESENT(cnn_loss), {offsetof(cnn_loss, quantiles)}};
const cnn_struct cnn_struct_data = {PRESENT(cnn_data), {0}};
const cnn_struct cnn_struct_result = {PRESENT(cnn_result), {offsetof(cnn_result, accumulate)}};
const cnn_struct cnn_struct_layer = {
    PRESENT(cnn_layer), {offsetof(cnn_layer, alpha), offsetof(cnn_layer, parametrization)}};
const cnn_struct cnn_struct_column = {PRESENT(cnn_column), {0}};
const cnn_struct cnn_struct_optimizer = {PRESENT(cnn_optimizer), {0}};
const cnn_struct cnn_struct_schedule = {PRESENT(cnn_schedule), {0}};

/* No struct is larger: a larger size is an error of the caller, and its bytes are not read. */
#define LARGEST ((size_t)1024)

/* struct_size, the first member of every public struct. */
static size_t size_of(const void *given)
{
    return *(const size_t *)given;
}

static bool is_known(const cnn_struct *type, size_t size)
{
    bool known = size == type->size;
    for (size_t i = 0; i < sizeof type->older / sizeof *type->older && type->older[i] > 0; i++)
        known |= size == type->older[i];
    return known;
}

static cnn_status fail_size(const cnn_struct *type, const char *name, size_t size)
{
    char older[128] = "";
    size_t length = 0;
    for (size_t i = 0; i < sizeof type->older / sizeof *type->older && type->older[i] > 0; i++)
        length +=
            (size_t)snprintf(older + length, sizeof older - length, " or %zu", type->older[i]);
    return cnn_fail(CNN_ERROR_ARGUMENT, "%s has struct_size %zu, should be %zu%s", name, size,
                    type->size, older);
}

/* Check that a struct is not NULL and has a size that can be read. */
static cnn_status check_size(const cnn_struct *type, const char *name, const void *given)
{
    if (!given)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", name);
    const size_t size = size_of(given);
    const bool may_be_newer = size > type->size && size <= LARGEST && size % type->alignment == 0;
    if (is_known(type, size) || may_be_newer)
        return CNN_OK;
    return fail_size(type, name, size);
}

const void *cnn_struct_read(const cnn_struct *type, const char *name, const void *given,
                            void *space)
{
    if (check_size(type, name, given) != CNN_OK)
        return NULL;
    const size_t size = size_of(given);
    for (size_t i = type->size; i < size; i++)
        if (((const unsigned char *)given)[i] != 0) {
            cnn_fail(CNN_ERROR_ARGUMENT,
                     "%s has struct_size %zu and sets a field at byte %zu; this version of libcnn "
                     "knows the first %zu bytes, should be 0 behind them",
                     name, size, i, type->size);
            return NULL;
        }
    if (size >= type->size)
        return given;
    memcpy(space, given, size);
    memset((char *)space + size, 0, type->size - size);
    *(size_t *)space = type->size;
    return space;
}

cnn_status cnn_struct_read_array(const cnn_struct *type, const char *name, size_t count,
                                 const void *given, void *whole)
{
    const size_t stride = count > 0 ? size_of(given) : 0;
    for (size_t i = 0; i < count; i++) {
        const void *from = (const char *)given + i * stride;
        void *const to = (char *)whole + i * type->size;
        if (size_of(from) != stride)
            return cnn_fail(CNN_ERROR_ARGUMENT,
                            "%s %zu has struct_size %zu, should be %zu as in the first", name, i,
                            size_of(from), stride);
        if (stride != type->size) {
            char one[64];
            (void)snprintf(one, sizeof one, "%s %zu", name, i);
            from = cnn_struct_read(type, one, from, to);
        }
        if (!from)
            return CNN_ERROR_ARGUMENT;
        if (from != to)
            memcpy(to, from, type->size);
        *(size_t *)to = type->size;
    }
    return CNN_OK;
}

cnn_status cnn_struct_write(const cnn_struct *type, const char *name, const void *whole,
                            void *given)
{
    const cnn_status status = check_size(type, name, given);
    if (status != CNN_OK)
        return status;
    const size_t size = size_of(given);
    memcpy(given, whole, cnn_min(size, type->size));
    if (size > type->size)
        memset((char *)given + type->size, 0, size - type->size);
    *(size_t *)given = size;
    return CNN_OK;
}

cnn_status cnn_struct_check_fixed(const char *name, size_t size, const void *given)
{
    const cnn_struct type = {.size = size};
    if (!given)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", name);
    return size_of(given) == size ? CNN_OK : fail_size(&type, name, size_of(given));
}

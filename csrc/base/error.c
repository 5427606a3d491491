/* The calling thread's last error, and the versions. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 512, PATH_SHOWN = 300 };

static _Thread_local char last_message[MESSAGE_SIZE];
static _Thread_local int last_errno;

cnn_status(cnn_fail)(cnn_status status, const char *format, ...)
{
    /* Written to a buffer of its own first, since an argument may be the last message itself. */
    char message[MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (length < 0)
        message[0] = '\0';
    memcpy(last_message, message, sizeof message);
    return status;
}

/* The last part of a path that is too long for the message, or the whole path. */
static const char *path_end(const char *path)
{
    const size_t length = strlen(path);
    if (length <= PATH_SHOWN)
        return path;
    path += length - PATH_SHOWN;
    while (((unsigned char)*path & 0xC0) == 0x80) /* begin at a whole UTF-8 character */
        path++;
    return path;
}

cnn_status cnn_fail_system(int error, const char *what, const char *path)
{
    /* For errors of the system, strerror returns constant strings, so any thread may call it. */
    const char *text = strerror(error);
    const cnn_status status = error == ENOMEM ? CNN_ERROR_MEMORY : CNN_ERROR_SYSTEM;
    last_errno = error;
    if (path == NULL)
        return cnn_fail(status, "%s: %s", what, text);
    const char *end = path_end(path);
    return cnn_fail(status, "%s: '%s%s': %s", what, end == path ? "" : "...", end, text);
}

const char *cnn_last_error(void)
{
    return last_message;
}

int cnn_last_errno(void)
{
    return last_errno;
}

const char *cnn_version(void)
{
    return CNN_VERSION;
}

int cnn_abi_version(void)
{
    return CNN_ABI_VERSION;
}

int cnn_numerics_version(void)
{
    return CNN_NUMERICS_VERSION;
}

cnn_status cnn_check_layout(const char *name, const void *data, size_t rows, size_t cols,
                            size_t stride)
{
    size_t elements;
    if (!data)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", name);
    if (stride < cols)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s_stride is %zu, should be at least %zu", name,
                        stride, cols);
    if (!cnn_multiply(rows, stride, &elements) || elements > SIZE_MAX / 64)
        return cnn_fail(CNN_ERROR_MEMORY, "%s of %zu rows with stride %zu is too large", name, rows,
                        stride);
    return CNN_OK;
}

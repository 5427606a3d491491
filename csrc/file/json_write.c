/* JSON text: the writer that json.h describes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "file/decimal.h"
#include "file/json.h"

void cnn_json_write_free(cnn_json_writer *writer)
{
    free(writer->text);
    writer->text = NULL;
}

/* Make room for `size` more characters and a zero byte. */
static bool reserve(cnn_json_writer *writer, size_t size)
{
    size_t needed = 0;
    if (writer->status != CNN_OK)
        return false;
    if (cnn_add(writer->size, size, &needed) && needed < SIZE_MAX / 2) {
        if (needed < writer->capacity)
            return true;
        size_t capacity = cnn_max(256, 2 * needed);
        char *text = realloc(writer->text, capacity);
        if (text) {
            writer->text = text;
            writer->capacity = capacity;
            return true;
        }
    }
    writer->status = cnn_fail(CNN_ERROR_MEMORY, "out of memory");
    return false;
}

static void append(cnn_json_writer *writer, const char *text, size_t size)
{
    if (!reserve(writer, size))
        return;
    memcpy(writer->text + writer->size, text, size);
    writer->size += size;
    writer->text[writer->size] = '\0';
}

/* Append the beginning of a value, after a comma if another value precedes it. */
static void begin_value(cnn_json_writer *writer, const char *text)
{
    if (writer->comma)
        append(writer, ",", 1);
    append(writer, text, strlen(text));
}

void cnn_json_write_object(cnn_json_writer *writer)
{
    begin_value(writer, "{");
    writer->comma = false;
}

void cnn_json_write_object_end(cnn_json_writer *writer)
{
    append(writer, "}", 1);
    writer->comma = true;
}

void cnn_json_write_array(cnn_json_writer *writer)
{
    begin_value(writer, "[");
    writer->comma = false;
}

void cnn_json_write_array_end(cnn_json_writer *writer)
{
    append(writer, "]", 1);
    writer->comma = true;
}

void cnn_json_write_key(cnn_json_writer *writer, const char *key)
{
    cnn_json_write_string(writer, key);
    append(writer, ":", 1);
    writer->comma = false;
}

void cnn_json_write_string(cnn_json_writer *writer, const char *text)
{
    size_t rest = strlen(text);
    begin_value(writer, "\"");
    while (rest > 0 && writer->status == CNN_OK) {
        size_t length = cnn_utf8_length(text, rest);
        unsigned char byte = (unsigned char)text[0];
        if (length == 0) {
            writer->status = cnn_fail(CNN_ERROR_ARGUMENT, "a text is not UTF-8");
        } else if (byte == '"' || byte == '\\') {
            append(writer, "\\", 1);
            append(writer, text, 1);
        } else if (byte < 0x20) {
            char escape[8];
            const int size = snprintf(escape, sizeof escape, "\\u%04x", byte);
            append(writer, escape, (size_t)size);
        } else {
            append(writer, text, length);
        }
        text += length;
        rest -= length;
    }
    append(writer, "\"", 1);
    writer->comma = true;
}

void cnn_json_write_uint64(cnn_json_writer *writer, uint64_t value)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRIu64, value);
    begin_value(writer, digits);
    writer->comma = true;
}

void cnn_json_write_double(cnn_json_writer *writer, double value)
{
    char digits[CNN_DECIMAL_SIZE];
    /* The difference is NaN for infinities and NaN. */
    if (!(value - value == 0)) {
        if (writer->status == CNN_OK)
            writer->status = cnn_fail(CNN_ERROR_ARGUMENT, "a number is not finite");
        return;
    }
    cnn_decimal_write(value, digits);
    begin_value(writer, digits);
    writer->comma = true;
}

void cnn_json_write_spaces(cnn_json_writer *writer, size_t size)
{
    if (size <= writer->size || !reserve(writer, size - writer->size))
        return;
    memset(writer->text + writer->size, ' ', size - writer->size);
    writer->size = size;
    writer->text[size] = '\0';
}

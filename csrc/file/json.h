/*
 * JSON text (RFC 8259) for model files: a strict reader that is safe on any bytes, and a writer.
 *
 * The caller pulls values from the reader. It reads an object with the fields "name" and "sizes"
 * by:
 *
 *     cnn_json_object(&json);
 *     while (cnn_json_member(&json, &key)) {
 *         if (strcmp(key, "name") == 0) {
 *             name = cnn_json_string(&json);
 *         } else if (strcmp(key, "sizes") == 0) {
 *             cnn_json_array(&json);
 *             while (cnn_json_element(&json))
 *                 cnn_json_uint64(&json, &size);
 *         } else {
 *             cnn_json_refuse(&json, "unknown field \"%s\"", cnn_json_show(key, shown));
 *         }
 *     }
 *     cnn_json_end(&json);
 *
 * The first failure stays in json.status and ends every loop, so the caller checks it once, at the
 * end. A value that the caller does not read, or reads as another type, is a failure: no value is
 * skipped.
 */
#ifndef CNN_JSON_H
#define CNN_JSON_H

#include "base/error.h"

/* The most levels of nested arrays and objects, and the size of a text shown in a message. */
enum { CNN_JSON_DEPTH = 8, CNN_JSON_SHOWN = 48 };

typedef struct cnn_json {
    cnn_status status; /* CNN_OK, CNN_ERROR_MODEL_FILE or CNN_ERROR_MEMORY */
    const char *name;  /* what the text is, for messages */
    const char *text;
    size_t size, position;
    size_t depth;
    struct {
        char close;       /* '}' or ']' */
        bool started;     /* whether an item was read */
        size_t first_key; /* among `keys` */
    } level[CNN_JSON_DEPTH];
    char *strings; /* room for all strings of the text */
    size_t strings_size;
    const void **keys; /* of all open objects, innermost last */
    size_t key_count, key_capacity;
} cnn_json;

/*
 * Begin to read. The text and the name are not copied and must stay valid. Memory: the text's size
 * for its strings, and at most four times that for its keys. The caller always calls
 * cnn_json_close.
 */
void cnn_json_open(cnn_json *json, const char *name, const char *text, size_t size);

/* Free all memory of the reader, including the strings. */
void cnn_json_close(cnn_json *json);
/* Free what is needed only while reading; the strings stay. */
void cnn_json_forget_keys(cnn_json *json);

/* Refuse the text for a reason of the caller's. The first refusal stays. */
void cnn_json_refuse(cnn_json *json, const char *format, ...) CNN_PRINTF(2, 3);

/* Enter an object. Its members follow; a duplicate key is refused at its end. */
void cnn_json_object(cnn_json *json);
/* True with the key of the next member, whose value the caller must read next; false at the end. */
bool cnn_json_member(cnn_json *json, const char **key);

/* Enter an array, and go to its next element; false at the end. */
void cnn_json_array(cnn_json *json);
bool cnn_json_element(cnn_json *json);

/*
 * A string as UTF-8 that is valid until cnn_json_close; "" after a failure. A string with the
 * character U+0000 is refused, since it would end a C string.
 */
const char *cnn_json_string(cnn_json *json);

/* An integer from 0 to 2^64 - 1, written only with digits; 0 after a failure. */
uint64_t cnn_json_uint64(cnn_json *json);

/* A finite number of at most CNN_DECIMAL_MAX characters; 0 after a failure. */
double cnn_json_double(cnn_json *json);

/* Check that only white space follows. */
void cnn_json_end(cnn_json *json);

/* Read a text that is "0" or digits without leading zeros; false for other texts and overflow. */
bool cnn_json_digits(const char *text, size_t size, uint64_t *value);

/* The beginning of a text, without control characters, for messages. */
const char *cnn_json_show(const char *text, char shown[CNN_JSON_SHOWN]);

/*
 * The writer: a buffer that grows. It adds the commas; the caller's calls must nest as JSON does.
 * The first failure stays in `status`: CNN_ERROR_MEMORY, or CNN_ERROR_ARGUMENT for text that is not
 * UTF-8 and for numbers that are not finite.
 */
typedef struct cnn_json_writer {
    cnn_status status;
    bool comma;            /* whether the next value follows one */
    char *text;            /* `size` characters and a zero byte; NULL before the first */
    size_t size, capacity; /* freed with cnn_json_write_free */
} cnn_json_writer;

/* Begin with cnn_json_writer writer = {0}. */
void cnn_json_write_free(cnn_json_writer *writer);
void cnn_json_write_object(cnn_json_writer *writer);
void cnn_json_write_object_end(cnn_json_writer *writer);
void cnn_json_write_array(cnn_json_writer *writer);
void cnn_json_write_array_end(cnn_json_writer *writer);
/* Write the key of the next value. */
void cnn_json_write_key(cnn_json_writer *writer, const char *key);
void cnn_json_write_string(cnn_json_writer *writer, const char *text);
void cnn_json_write_uint64(cnn_json_writer *writer, uint64_t value);
/* Write a number that cnn_json_double reads back to the same bits. */
void cnn_json_write_double(cnn_json_writer *writer, double value);
/* Write spaces until the text has `size` characters. */
void cnn_json_write_spaces(cnn_json_writer *writer, size_t size);

#endif

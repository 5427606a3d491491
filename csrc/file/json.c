/* JSON text: the reader that json.h describes. */
#include "file/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "file/decimal.h"
#include "file/sort.h"

/* ---- Characters -------------------------------------------------------------------------- */

/* Write a character as UTF-8 and return its number of bytes. */
static size_t utf8_write(uint32_t character, char *out)
{
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (char)(0xC0 | character >> 6);
        out[1] = (char)(0x80 | (character & 0x3F));
        return 2;
    }
    if (character < 0x10000) {
        out[0] = (char)(0xE0 | character >> 12);
        out[1] = (char)(0x80 | (character >> 6 & 0x3F));
        out[2] = (char)(0x80 | (character & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | character >> 18);
    out[1] = (char)(0x80 | (character >> 12 & 0x3F));
    out[2] = (char)(0x80 | (character >> 6 & 0x3F));
    out[3] = (char)(0x80 | (character & 0x3F));
    return 4;
}

/*
 * Whether a UTF-8 character of `length` bytes controls terminals: a control character (also U+0080
 * to U+009F), the end of a line, or a mark that changes the direction of the text behind it
 * (CVE-2021-42574). cnn/_terminal.py has the same list.
 */
static bool is_control(const char *text, size_t length)
{
    const unsigned char *byte = (const unsigned char *)text;
    uint32_t character = byte[0];
    if (length > 1)
        character &= (uint32_t)0x7F >> length;
    for (size_t i = 1; i < length; i++)
        character = character << 6 | (byte[i] & 0x3F);
    return character < 0x20 || (character >= 0x7F && character < 0xA0) || character == 0x061C ||
           character == 0x200E || character == 0x200F ||
           (character >= 0x2028 && character <= 0x202E) ||
           (character >= 0x2066 && character <= 0x206F) ||
           (character >= 0xFFF9 && character <= 0xFFFB);
}

const char *cnn_json_show(const char *text, char shown[CNN_JSON_SHOWN])
{
    size_t size = 0, rest = strlen(text);
    while (rest > 0) {
        size_t length = cnn_utf8_length(text, rest);
        bool control = length == 0 || is_control(text, length);
        length = cnn_max(length, 1);
        if (size + length + sizeof "..." > CNN_JSON_SHOWN) {
            memcpy(shown + size, "...", 3);
            size += 3;
            break;
        }
        if (control)
            shown[size++] = '?';
        else
            memcpy(shown + size, text, length);
        size += control ? 0 : length;
        text += length;
        rest -= length;
    }
    shown[size] = '\0';
    return shown;
}

bool cnn_json_digits(const char *text, size_t size, uint64_t *value)
{
    uint64_t sum = 0;
    if (size == 0 || (text[0] == '0' && size > 1))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = 10 * sum + digit;
    }
    *value = sum;
    return true;
}

/* ---- The text ---------------------------------------------------------------------------- */

void cnn_json_open(cnn_json *json, const char *name, const char *text, size_t size)
{
    memset(json, 0, sizeof *json);
    json->name = name;
    json->text = text;
    json->size = size;
    /* Enough for all strings: quotes leave room for the zero byte, escapes are longer than
     * characters. */
    json->strings = malloc(cnn_max(size, 1));
    if (!json->strings)
        json->status = cnn_fail(CNN_ERROR_MEMORY, "out of memory");
}

void cnn_json_forget_keys(cnn_json *json)
{
    free(json->keys);
    json->keys = NULL;
    json->key_count = json->key_capacity = 0;
}

void cnn_json_close(cnn_json *json)
{
    cnn_json_forget_keys(json);
    free(json->strings);
    json->strings = NULL;
}

void cnn_json_refuse(cnn_json *json, const char *format, ...)
{
    char message[320];
    va_list arguments;

    if (json->status != CNN_OK)
        return;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    json->status = cnn_fail(CNN_ERROR_MODEL_FILE, "%s: %s", json->name, message);
}

static void refuse_here(cnn_json *json, const char *what)
{
    cnn_json_refuse(json, "byte %zu: %s", json->position, what);
}

/* The next byte, or -1 at the end and after a failure. */
static int peek(const cnn_json *json)
{
    if (json->status != CNN_OK || json->position == json->size)
        return -1;
    return (unsigned char)json->text[json->position];
}

static void skip_white_space(cnn_json *json)
{
    int byte = peek(json);
    while (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r') {
        json->position++;
        byte = peek(json);
    }
}

/* Skip white space and this byte; refuse any other byte. */
static void take(cnn_json *json, char wanted, const char *refusal)
{
    skip_white_space(json);
    if (peek(json) == wanted)
        json->position++;
    else
        refuse_here(json, refusal);
}

/* ---- Objects and arrays ------------------------------------------------------------------ */

static void enter(cnn_json *json, char open, char close, const char *refusal)
{
    take(json, open, refusal);
    if (json->status != CNN_OK)
        return;
    if (json->depth == CNN_JSON_DEPTH) {
        refuse_here(json, "too many arrays and objects inside one another");
        return;
    }
    json->level[json->depth].close = close;
    json->level[json->depth].started = false;
    json->level[json->depth].first_key = json->key_count;
    json->depth++;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Leave the innermost object or array; refuse an object that has a key twice. */
static void leave(cnn_json *json)
{
    size_t first = json->level[--json->depth].first_key;
    char shown[CNN_JSON_SHOWN];
    if (json->key_count == first)
        return;
    cnn_sort(json->keys + first, json->key_count - first, compare_keys);
    for (size_t i = first + 1; i < json->key_count; i++) {
        if (strcmp(json->keys[i - 1], json->keys[i]) == 0)
            cnn_json_refuse(json, "\"%s\" is there twice", cnn_json_show(json->keys[i], shown));
    }
    json->key_count = first;
}

/* Go to the next item of the innermost object or array; false at its end. */
static bool next_item(cnn_json *json)
{
    if (json->status != CNN_OK)
        return false;
    skip_white_space(json);
    if (peek(json) == json->level[json->depth - 1].close) {
        json->position++;
        leave(json);
        return false;
    }
    if (json->level[json->depth - 1].started)
        take(json, ',', "expected a comma or the end");
    json->level[json->depth - 1].started = true;
    return json->status == CNN_OK;
}

static void remember_key(cnn_json *json, const char *key)
{
    if (json->key_count == json->key_capacity) {
        size_t larger = cnn_max(16, 2 * json->key_capacity), bytes = 0;
        const void **keys = NULL;
        if (cnn_multiply(larger, sizeof *keys, &bytes))
            keys = realloc(json->keys, bytes);
        if (!keys) {
            json->status = cnn_fail(CNN_ERROR_MEMORY, "out of memory");
            return;
        }
        json->keys = keys;
        json->key_capacity = larger;
    }
    json->keys[json->key_count++] = key;
}

void cnn_json_object(cnn_json *json)
{
    enter(json, '{', '}', "expected an object");
}

bool cnn_json_member(cnn_json *json, const char **key)
{
    if (!next_item(json))
        return false;
    *key = cnn_json_string(json);
    take(json, ':', "expected a colon");
    if (json->status == CNN_OK)
        remember_key(json, *key);
    return json->status == CNN_OK;
}

void cnn_json_array(cnn_json *json)
{
    enter(json, '[', ']', "expected an array");
}

bool cnn_json_element(cnn_json *json)
{
    return next_item(json);
}

void cnn_json_end(cnn_json *json)
{
    skip_white_space(json);
    if (json->status == CNN_OK && json->position < json->size)
        refuse_here(json, "more text after the end");
}

/* ---- Strings and numbers ----------------------------------------------------------------- */

/* Read four hexadecimal digits. */
static uint32_t read_hex(cnn_json *json)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int byte = peek(json);
        if (byte >= '0' && byte <= '9') {
            value = value << 4 | (uint32_t)(byte - '0');
        } else if ((byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F')) {
            value = value << 4 | (uint32_t)((byte | 0x20) - 'a' + 10);
        } else {
            refuse_here(json, "expected four hexadecimal digits");
            return 0;
        }
        json->position++;
    }
    return value;
}

/* Read what follows "\u": one character, or the two halves of a surrogate pair. */
static uint32_t read_unicode_escape(cnn_json *json)
{
    uint32_t character = read_hex(json);
    if (character >= 0xD800 && character <= 0xDBFF) {
        uint32_t low = 0;
        if (json->size - json->position >= 2 &&
            memcmp(json->text + json->position, "\\u", 2) == 0) {
            json->position += 2;
            low = read_hex(json);
        }
        if (low < 0xDC00 || low > 0xDFFF)
            refuse_here(json, "half of a surrogate pair");
        character = 0x10000 + ((character - 0xD800) << 10) + ((low - 0xDC00) & 0x3FF);
    } else if (character >= 0xDC00 && character <= 0xDFFF) {
        refuse_here(json, "half of a surrogate pair");
    } else if (character == 0) {
        refuse_here(json, "a string holds the character U+0000");
    }
    return json->status == CNN_OK ? character : 0;
}

/* Read what follows a backslash. */
static uint32_t read_escape(cnn_json *json)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    int byte = peek(json);
    const char *letter = byte > 0 ? strchr(letters, byte) : NULL;
    if (byte == 'u') {
        json->position++;
        return read_unicode_escape(json);
    }
    if (!letter) {
        refuse_here(json, "unknown escape in a string");
        return 0;
    }
    json->position++;
    return (unsigned char)meanings[letter - letters];
}

const char *cnn_json_string(cnn_json *json)
{
    take(json, '"', "expected a string");
    if (json->status != CNN_OK)
        return "";
    char *string = json->strings + json->strings_size, *out = string;
    while (json->status == CNN_OK && peek(json) != '"') {
        int byte = peek(json);
        size_t length = cnn_utf8_length(json->text + json->position, json->size - json->position);
        if (byte == '\\') {
            json->position++;
            out += utf8_write(read_escape(json), out);
        } else if (byte < 0) {
            refuse_here(json, "the text ends inside a string");
        } else if (byte < 0x20) {
            refuse_here(json, "a control character in a string");
        } else if (length == 0) {
            refuse_here(json, "a string is not UTF-8");
        } else {
            memcpy(out, json->text + json->position, length);
            out += length;
            json->position += length;
        }
    }
    if (json->status != CNN_OK)
        return "";
    json->position++;
    *out++ = '\0';
    json->strings_size += (size_t)(out - string);
    return string;
}

/* Skip digits, at least one. */
static void skip_digits(cnn_json *json)
{
    if (peek(json) < '0' || peek(json) > '9')
        refuse_here(json, "expected a digit");
    while (peek(json) >= '0' && peek(json) <= '9')
        json->position++;
}

/* Skip a number, and return its text and size. */
static const char *read_number(cnn_json *json, size_t *size)
{
    skip_white_space(json);
    size_t start = json->position;
    int byte = peek(json);
    if (byte != '-' && (byte < '0' || byte > '9'))
        refuse_here(json, "expected a number");
    if (byte == '-')
        json->position++;
    if (peek(json) == '0')
        json->position++;
    else
        skip_digits(json);
    if (peek(json) == '.') {
        json->position++;
        skip_digits(json);
    }
    if (peek(json) == 'e' || peek(json) == 'E') {
        json->position++;
        if (peek(json) == '+' || peek(json) == '-')
            json->position++;
        skip_digits(json);
    }
    *size = json->position - start;
    if (*size > CNN_DECIMAL_MAX)
        refuse_here(json, "a number with too many characters");
    return json->text + start;
}

uint64_t cnn_json_uint64(cnn_json *json)
{
    size_t size = 0;
    uint64_t value = 0;
    const char *text = read_number(json, &size);
    if (json->status == CNN_OK && !cnn_json_digits(text, size, &value))
        refuse_here(json, "expected a whole number from 0 to 2^64 - 1");
    return value;
}

double cnn_json_double(cnn_json *json)
{
    size_t size = 0;
    double value = 0;
    const char *text = read_number(json, &size);
    if (json->status == CNN_OK && !cnn_decimal_read(text, size, &value))
        refuse_here(json, "a number too large for float64");
    return value;
}

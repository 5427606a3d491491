/*
 * Fuzzing of the JSON reader: any bytes are refused with a message, or read as values that are
 * written, read again and written as the same bytes. The first byte of an input chooses whether
 * values are read as what they are, or as other types, which must be refused.
 */
#include "file/json.h"

#include "fuzz.h"

enum { TEXT_MAX = 4096 };

/* What reads a text: as `odd` says, some values are read as another type. */
struct walk {
    cnn_json json;
    cnn_json_writer *writer;
    unsigned odd;
};

/* The next byte that is not white space, or 0. */
static char next_byte(const cnn_json *json)
{
    size_t i = json->position;
    while (i < json->size && strchr(" \t\n\r", json->text[i]) && json->text[i])
        i++;
    return i < json->size ? json->text[i] : '\0';
}

static void walk_value(struct walk *walk);

static void walk_members(struct walk *walk)
{
    const char *key = NULL;
    cnn_json_object(&walk->json);
    cnn_json_write_object(walk->writer);
    while (cnn_json_member(&walk->json, &key)) {
        char shown[CNN_JSON_SHOWN];
        if (strlen(cnn_json_show(key, shown)) >= CNN_JSON_SHOWN)
            fuzz_fail("a text that is shown is too long");
        cnn_json_write_key(walk->writer, key);
        walk_value(walk);
    }
    cnn_json_write_object_end(walk->writer);
}

static void walk_elements(struct walk *walk)
{
    cnn_json_array(&walk->json);
    cnn_json_write_array(walk->writer);
    while (cnn_json_element(&walk->json))
        walk_value(walk);
    cnn_json_write_array_end(walk->writer);
}

static void walk_value(struct walk *walk)
{
    cnn_json *json = &walk->json;
    char next = next_byte(json);
    walk->odd = walk->odd >> 1 | (walk->odd & 1) << 7;
    if (walk->odd & 1)
        next = "{[\"0-"[walk->odd % 5];
    if (next == '{') {
        walk_members(walk);
    } else if (next == '[') {
        walk_elements(walk);
    } else if (next == '"') {
        cnn_json_write_string(walk->writer, cnn_json_string(json));
    } else {
        const size_t at = json->position;
        const double number = cnn_json_double(json);
        if (json->status == CNN_OK && walk->odd == 0 && number >= 0 && number < 1e15) {
            json->position = at; /* it may be a whole number, too */
            uint64_t value = 0;
            size_t start = at;
            while (strchr(" \t\n\r", json->text[start]))
                start++;
            size_t digits = 0;
            while (start + digits < json->size && json->text[start + digits] >= '0' &&
                   json->text[start + digits] <= '9')
                digits++;
            if (cnn_json_digits(json->text + start, digits, &value) &&
                value == cnn_json_uint64(json) && json->status == CNN_OK && (double)value != number)
                fuzz_fail("an integer differs from the same number");
            json->status = CNN_OK;
            json->position = at;
            if (cnn_json_double(json) != number)
                fuzz_fail("a number differs when it is read again");
        }
        cnn_json_write_double(walk->writer, number);
    }
}

/* Read a text and write what it holds; false if it was refused. */
static int read_and_write(const char *text, size_t size, unsigned odd, cnn_json_writer *writer)
{
    struct walk walk = {.writer = writer, .odd = odd};
    const size_t before = measure_begin();
    size_t written = 0;
    cnn_json_open(&walk.json, "the text", text, size);
    walk_value(&walk);
    cnn_json_end(&walk.json);
    written = 2 * writer->capacity;
    const size_t taken = measure_end(before);
    fuzz_check_memory(taken > written ? taken - written : 0, size);
    cnn_json_close(&walk.json);
    if (walk.json.status == CNN_OK)
        return 1;
    if (walk.json.status != CNN_ERROR_MODEL_FILE || cnn_last_error()[0] == '\0')
        fuzz_fail("a text failed in the wrong way");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cnn_json_writer first = {0}, second = {0};
    if (size == 0)
        return 0;
    const int read = read_and_write((const char *)data + 1, size - 1, data[0], &first);
    if (read && data[0] == 0) {
        if (first.status != CNN_OK)
            fuzz_fail("writing what was read");
        if (!read_and_write(first.text, first.size, 0, &second))
            fuzz_fail("reading what was written");
        if (second.status != CNN_OK || first.size != second.size ||
            memcmp(first.text, second.text, first.size) != 0)
            fuzz_fail("what was written differs the second time");
    }
    cnn_json_write_free(&first);
    cnn_json_write_free(&second);
    return 0;
}

#ifndef CNN_LIBFUZZER

/* Write a random text, valid but for some bytes; returns its size. */
static size_t make_text(uint8_t *text)
{
    static const char *const words[] = {"{",
                                        "}",
                                        "[",
                                        "]",
                                        ",",
                                        ":",
                                        "\"a\"",
                                        "\"b\":",
                                        "\"\\u00e9\"",
                                        "-0",
                                        "1e-400",
                                        "1e999",
                                        "0.5",
                                        "12345",
                                        " ",
                                        "\n",
                                        "\"\\ud83d\\ude00\"",
                                        "\"\\n\"",
                                        "\"\\ud800\"",
                                        "\xC3\xA9",
                                        "\"\xC3\xA9\"",
                                        "\xFF",
                                        "\"",
                                        "\\"};
    size_t size = 0;
    text[size++] = fuzz_below(4) ? 0 : (uint8_t)fuzz_below(256);
    const size_t count = fuzz_below(64);
    for (size_t i = 0; i < count; i++) {
        const char *word = words[fuzz_below(COUNT(words))];
        memcpy(text + size, word, strlen(word));
        size += strlen(word);
    }
    return size;
}

/* A text that is valid: nested values, to the depth that is allowed and beyond. */
static size_t make_valid(uint8_t *text)
{
    const size_t depth = fuzz_below(CNN_JSON_DEPTH + 2);
    size_t size = 0;
    text[size++] = 0;
    for (size_t i = 0; i < depth; i++)
        size += (size_t)sprintf((char *)text + size, i % 2 ? "{\"k\":" : "[%zu, ", i);
    size += (size_t)sprintf((char *)text + size, "-1.%zue%d", fuzz_below(1000),
                            (int)fuzz_below(600) - 300);
    for (size_t i = depth; i-- > 0;)
        text[size++] = i % 2 ? '}' : ']';
    if (fuzz_below(4) == 0)
        text[fuzz_below(size)] ^= (uint8_t)(1u << fuzz_below(8));
    return size;
}

int main(int count, char **arguments)
{
    static uint8_t text[TEXT_MAX];
    const size_t rounds = 200000 / every();
    if (fuzz_try_files(count, arguments))
        return 0;
    for (size_t i = 0; i < rounds; i++)
        fuzz_try(text, i % 2 ? make_text(text) : make_valid(text));
    printf("%zu texts were tried\n", rounds);
    return 0;
}

#endif

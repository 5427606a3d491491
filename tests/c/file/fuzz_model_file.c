/*
 * Fuzzing of model files: no bytes may make loading misbehave, and what loads is saved and loaded
 * again as the same bytes. Built alone, it tries files that differ from good ones in a few
 * places, the same ones every time; for more, build it and libcnn with
 *
 *     clang -DCNN_LIBFUZZER -fsanitize=fuzzer,address,undefined
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cnn/cnn.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { FILE_MAX = 1 << 16 };

/* Good files to begin with, as make_file wants them: ' for " and ` for \". */
#define METADATA(dtype)                                                                            \
    "'format':'cnn','format_version':'1','architecture':'{`dtype`:`" dtype                         \
    "`,`seed`:`7`,`layers`:["                                                                      \
    "{`kind`:`dense`,`inputs`:2,`outputs`:3,`activation`:`relu`,`l2`:0.5},"                        \
    "{`kind`:`dropout`,`rate`:0.25},"                                                              \
    "{`kind`:`dense`,`inputs`:3,`outputs`:1,`activation`:`identity`,`l2`:1e-300}]}'"

static const struct {
    const char *metadata, *more_metadata, *tensors;
    size_t data_size;
} good[] = {
    {METADATA("float32"), "'user.note':'\\u00e9\\ud83d\\ude00\\n'",
     "'layers.0.weight':{'dtype':'F32','shape':[2,3],'data_offsets':[0,24]},"
     "'layers.0.bias':{'dtype':'F32','shape':[3],'data_offsets':[24,36]},"
     "'layers.2.weight':{'dtype':'F32','shape':[3,1],'data_offsets':[36,48]},"
     "'layers.2.bias':{'dtype':'F32','shape':[1],'data_offsets':[48,52]}",
     52},
    {METADATA("float64"),
     "'optimizer':'{`kind`:`momentum`,`steps`:`3`,`momentum`:0.9,`beta1`:0,`beta2`:0,`alpha`:0,"
     "`eps`:0,`weight_decay`:0,`clip_norm`:0}'",
     "'layers.0.weight':{'dtype':'F64','shape':[2,3],'data_offsets':[0,48]},"
     "'layers.0.bias':{'dtype':'F64','shape':[3],'data_offsets':[48,72]},"
     "'layers.2.weight':{'dtype':'F64','shape':[3,1],'data_offsets':[72,96]},"
     "'layers.2.bias':{'dtype':'F64','shape':[1],'data_offsets':[96,104]},"
     "'optimizer.0.layers.0.weight':{'dtype':'F64','shape':[2,3],'data_offsets':[104,152]},"
     "'optimizer.0.layers.0.bias':{'dtype':'F64','shape':[3],'data_offsets':[152,176]},"
     "'optimizer.0.layers.2.weight':{'dtype':'F64','shape':[3,1],'data_offsets':[176,200]},"
     "'optimizer.0.layers.2.bias':{'dtype':'F64','shape':[1],'data_offsets':[200,208]}",
     208},
};

/* Make the first eight bytes the size of the header, and return the size of the file. */
static size_t set_header_size(uint8_t *file, size_t header_size, size_t data_size)
{
    for (size_t i = 0; i < 8; i++)
        file[i] = (uint8_t)(header_size >> (8 * i));
    return 8 + header_size + data_size;
}

/* Write a good file to `file`, which has FILE_MAX bytes, and return its size. */
static size_t make_file(size_t which, uint8_t *file)
{
    char text[4096];
    size_t size = 8;
    snprintf(text, sizeof text, "{'__metadata__':{%s,%s},%s}", good[which].metadata,
             good[which].more_metadata, good[which].tensors);
    for (const char *next = text; *next; next++) {
        if (*next == '`')
            file[size++] = '\\';
        file[size++] = (uint8_t)(*next == '`' || *next == '\'' ? '"' : *next);
    }
    memset(file + size, 0x3F, good[which].data_size);
    return set_header_size(file, size - 8, good[which].data_size);
}

static void fail(const char *what)
{
    fprintf(stderr, "fuzz_model_file: %s: %s\n", what, cnn_last_error());
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cnn_network *network = NULL, *again = NULL;
    void *bytes = NULL, *same = NULL;
    size_t bytes_size = 0, same_size = 0;
    const cnn_status status =
        cnn_network_from_bytes(data ? data : (const uint8_t *)"", size, &network);
    if (status == CNN_ERROR_MODEL_FILE && !network && cnn_last_error()[0] != '\0')
        return 0;
    /* A file may describe a network that is larger than memory. */
    if (status == CNN_ERROR_MEMORY && !network)
        return 0;
    if (status != CNN_OK)
        fail("a failure of the wrong kind");
    if (cnn_network_to_bytes(network, &bytes, &bytes_size) != CNN_OK)
        fail("saving what was loaded");
    if (cnn_network_from_bytes(bytes, bytes_size, &again) != CNN_OK)
        fail("loading what was saved");
    if (cnn_network_to_bytes(again, &same, &same_size) != CNN_OK || same_size != bytes_size ||
        memcmp(bytes, same, same_size) != 0)
        fail("the bytes of a copy differ");
    cnn_bytes_free(bytes);
    cnn_bytes_free(same);
    cnn_network_destroy(network);
    cnn_network_destroy(again);
    return 0;
}

#ifdef CNN_LIBFUZZER

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/*
 * Most changes of a header's size would end at the check of its first eight bytes, so they are
 * mended; except now and then. Where there is nothing yet, begin with a good file.
 */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static uint8_t header[FILE_MAX], rest[FILE_MAX];
    size_t header_size = 0;
    if (max_size < 4096 || seed % 16 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    if (size < 16)
        return make_file(seed % COUNT(good), data);
    for (size_t i = 8; i-- > 0;)
        header_size = header_size << 8 | data[i];
    if (header_size > size - 8)
        header_size = size - 8;
    size_t data_size = size - 8 - header_size;
    const size_t room = max_size - 8 - data_size;
    if (header_size > sizeof header || data_size > sizeof rest)
        return LLVMFuzzerMutate(data, size, max_size);
    memcpy(header, data + 8, header_size);
    memcpy(rest, data + 8 + header_size, data_size);
    header_size = LLVMFuzzerMutate(header, header_size, room < FILE_MAX ? room : FILE_MAX);
    memcpy(data + 8, header, header_size);
    memcpy(data + 8 + header_size, rest, data_size);
    return set_header_size(data, header_size, data_size);
}

#else

static uint64_t random_state = 1;

/* A number below `bound`, from a multiplicative generator. */
static size_t random_below(size_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(random_state >> 33) % bound;
}

/* Change the header in one place; `size` bytes, and the new size is returned. */
static size_t mutate(uint8_t *header, size_t size, size_t room)
{
    static const char *const words[] = {"\"",
                                        "\\",
                                        "{",
                                        "}",
                                        "[",
                                        "]",
                                        ",",
                                        ":",
                                        "0",
                                        "-1",
                                        "1e999",
                                        "18446744073709551615",
                                        "18446744073709551616",
                                        "4294967296",
                                        "9223372036854775807",
                                        "1e-400",
                                        "0.30000000000000004",
                                        "null",
                                        "\\u0000",
                                        "\\ud800",
                                        "\\udc00",
                                        "\xC0\x80",
                                        "\xF0\x9F\x98\x80",
                                        "\"F64\"",
                                        "layers.0.weight",
                                        "optimizer.1.layers.2.bias",
                                        "__metadata__",
                                        "user.",
                                        "adam",
                                        "softmax",
                                        "dropout",
                                        "float64",
                                        " ",
                                        "\n"};
    const size_t at = random_below(size + 1);
    const size_t end = at + random_below(size - at + 1) % 24;
    if (random_below(3) == 0 && at < size) { /* another byte */
        header[at] = (uint8_t)(random_below(2) ? random_below(256) : header[at] ^ 1u);
        return size;
    }
    if (random_below(2) == 0) { /* cut a piece out */
        memmove(header + at, header + end, size - end);
        return size - (end - at);
    }
    /* Insert a word, or a copy of another piece. */
    const char *word = words[random_below(COUNT(words))];
    uint8_t piece[64];
    size_t length = strlen(word);
    memcpy(piece, word, length);
    if (random_below(2) == 0) {
        const size_t from = random_below(size + 1);
        length = size - from < sizeof piece ? size - from : random_below(sizeof piece);
        memcpy(piece, header + from, length);
    }
    if (length > room - size)
        return size;
    memmove(header + at + length, header + at, size - at);
    memcpy(header + at, piece, length);
    return size + length;
}

int main(int count, char **arguments)
{
    static uint8_t file[FILE_MAX], changed[FILE_MAX];
    const unsigned long rounds = count > 1 ? strtoul(arguments[1], NULL, 10) : 200000;
    for (size_t which = 0; which < COUNT(good); which++) {
        const size_t size = make_file(which, file);
        const size_t data_size = good[which].data_size;
        for (unsigned long i = 0; i < rounds; i++) {
            size_t header_size = size - data_size - 8;
            memcpy(changed + 8, file + 8, header_size);
            /* The first round takes the file as it is. */
            const size_t changes = i == 0 ? 0 : 1 + random_below(3);
            for (size_t j = 0; j < changes; j++)
                header_size = mutate(changed + 8, header_size, FILE_MAX - 8 - data_size);
            memcpy(changed + 8 + header_size, file + size - data_size, data_size);
            size_t changed_size = set_header_size(changed, header_size, data_size);
            if (random_below(16) == 0)
                changed[random_below(8)] = (uint8_t)random_below(256);
            if (random_below(16) == 0)
                changed_size = random_below(changed_size + 1);
            /* A block of its own, so that a sanitizer sees every read beyond it. */
            uint8_t *exact = malloc(changed_size ? changed_size : 1);
            if (!exact)
                return 1;
            memcpy(exact, changed, changed_size);
            (void)LLVMFuzzerTestOneInput(exact, changed_size);
            free(exact);
        }
    }
    printf("%lu files were tried\n", rounds * (unsigned long)COUNT(good));
    return 0;
}

#endif

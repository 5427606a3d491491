/*
 * Fuzzing of model files: no bytes may make loading misbehave. The program tries files that differ
 * from good ones in a few places, the same ones every time. libFuzzer gets a mutator that keeps to
 * the form of a file; with CNN_RAW_BYTES it changes any bytes.
 */
#include "file/model_file_checks.h"

enum { FILE_MAX = 1 << 16 };

/* Raw bytes begin with the files of the corpus. */
#ifndef CNN_RAW_BYTES

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
        file[i] = (uint8_t)((uint64_t)header_size >> (8 * i));
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

#endif /* CNN_RAW_BYTES */

/* Files with an optimizer are read as checkpoints as well. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char word[] = "optimizer";
    int loaded = check_network_bytes(data, size);
    for (size_t i = 8; i + sizeof word - 1 <= size; i++) {
        if (memcmp(data + i, word, sizeof word - 1) == 0) {
            loaded |= check_checkpoint_bytes(data, size) << 1;
            break;
        }
    }
    if (loaded == 2)
        fuzz_fail("a checkpoint whose network is refused");
    return 0;
}

#if defined(CNN_LIBFUZZER) && !defined(CNN_RAW_BYTES)

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

#elif !defined(CNN_LIBFUZZER)

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
    const size_t at = fuzz_below(size + 1);
    const size_t end = at + fuzz_below(size - at + 1) % 24;
    if (fuzz_below(3) == 0 && at < size) { /* another byte */
        header[at] = (uint8_t)(fuzz_below(2) ? fuzz_below(256) : header[at] ^ 1u);
        return size;
    }
    if (fuzz_below(2) == 0) { /* cut a piece out */
        memmove(header + at, header + end, size - end);
        return size - (end - at);
    }
    /* Insert a word, or a copy of another piece. */
    const char *word = words[fuzz_below(COUNT(words))];
    uint8_t piece[64];
    size_t length = strlen(word);
    memcpy(piece, word, length);
    if (fuzz_below(2) == 0) {
        const size_t from = fuzz_below(size + 1);
        length = size - from < sizeof piece ? size - from : fuzz_below(sizeof piece);
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
    const size_t rounds = 100000 / check_every();
    if (fuzz_try_files(count, arguments))
        return 0;
    for (size_t which = 0; which < COUNT(good); which++) {
        const size_t size = make_file(which, file);
        const size_t data_size = good[which].data_size;
        for (unsigned long i = 0; i < rounds; i++) {
            size_t header_size = size - data_size - 8;
            memcpy(changed + 8, file + 8, header_size);
            /* The first round takes the file as it is. */
            const size_t changes = i == 0 ? 0 : 1 + fuzz_below(3);
            for (size_t j = 0; j < changes; j++)
                header_size = mutate(changed + 8, header_size, FILE_MAX - 8 - data_size);
            memcpy(changed + 8 + header_size, file + size - data_size, data_size);
            size_t changed_size = set_header_size(changed, header_size, data_size);
            if (fuzz_below(16) == 0)
                changed[fuzz_below(8)] = (uint8_t)fuzz_below(256);
            if (fuzz_below(16) == 0)
                changed_size = fuzz_below(changed_size + 1);
            fuzz_try(changed, changed_size);
        }
    }
    (void)remove(checks_path());
    printf("%zu files were tried\n", rounds * COUNT(good));
    return 0;
}

#endif

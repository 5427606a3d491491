/* Model files made by hand: good ones of others are read, and all that is wrong is refused. */
#include "file/made_file.h"

/* ---- Help -------------------------------------------------------------------------------- */

/* Whether the last error's message contains a text; prints it where not. */
static int message_has(const char *text)
{
    if (strstr(cnn_last_error(), text))
        return 1;
    printf("expected \"%s\" in \"%s\"\n", text, cnn_last_error());
    return 0;
}

/*
 * Headers with ' for " and ` for \", so that they can be read here. The network has 13 numbers,
 * and the trainer a slot of as many.
 */
#define ARCHITECTURE                                                                               \
    "{`dtype`:`float32`,`seed`:`7`,`layers`:["                                                     \
    "{`kind`:`dense`,`inputs`:2,`outputs`:3,`activation`:`relu`,`l2`:0.5},"                        \
    "{`kind`:`dropout`,`rate`:0.25},"                                                              \
    "{`kind`:`dense`,`inputs`:3,`outputs`:1,`activation`:`identity`,`l2`:0}]}"
#define NETWORK_TENSORS                                                                            \
    "'layers.0.weight':{'dtype':'F32','shape':[2,3],'data_offsets':[0,24]},"                       \
    "'layers.0.bias':{'dtype':'F32','shape':[3],'data_offsets':[24,36]},"                          \
    "'layers.2.weight':{'dtype':'F32','shape':[3,1],'data_offsets':[36,48]},"                      \
    "'layers.2.bias':{'dtype':'F32','shape':[1],'data_offsets':[48,52]}"
#define OPTIMIZER                                                                                  \
    "{`kind`:`momentum`,`steps`:`3`,`momentum`:0.9,`beta1`:0,`beta2`:0,`alpha`:0,`eps`:0,"         \
    "`weight_decay`:0,`clip_norm`:0}"
#define SLOT_TENSORS                                                                               \
    "'optimizer.0.layers.0.weight':{'dtype':'F32','shape':[2,3],'data_offsets':[52,76]},"          \
    "'optimizer.0.layers.0.bias':{'dtype':'F32','shape':[3],'data_offsets':[76,88]},"              \
    "'optimizer.0.layers.2.weight':{'dtype':'F32','shape':[3,1],'data_offsets':[88,100]},"         \
    "'optimizer.0.layers.2.bias':{'dtype':'F32','shape':[1],'data_offsets':[100,104]}"

static const char network_header[] =
    "{'__metadata__':{'format':'cnn','format_version':'1','architecture':'" ARCHITECTURE
    "','user.note':'by hand'}," NETWORK_TENSORS "}";
static const char trainer_header[] =
    "{'__metadata__':{'format':'cnn','format_version':'1','architecture':'" ARCHITECTURE
    "','optimizer':'" OPTIMIZER "'}," NETWORK_TENSORS "," SLOT_TENSORS "}";

/* Load a file, which must be refused with a message that has `expected` in it, in little memory. */
static void check_refused(made_file file, const char *expected)
{
    cnn_network *untouched = (cnn_network *)&file, *network = untouched;
    fuzz_measure();
    const cnn_status status = cnn_network_from_bytes(file.data, file.size, &network);
    fuzz_check_memory(fuzz_most_bytes(), file.size);
    CHECK(status == CNN_ERROR_MODEL_FILE);
    CHECK(network == untouched);
    CHECK(message_has(expected));
    if (status == CNN_OK)
        cnn_network_destroy(network);
}

/* Whether numbers are those of a file, whose bytes are little-endian. */
static int are_stored(const float *values, size_t count, const unsigned char *bytes)
{
    size_t same = 0;
    for (size_t i = 0; i < count; i++, bytes += 4) {
        uint32_t pattern;
        memcpy(&pattern, &values[i], sizeof pattern);
        same += pattern == ((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
                            (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24);
    }
    return same == count;
}

/* Files of others: any order of keys and data, white space, a header of any size. */
static void test_foreign(void)
{
    static const char shuffled[] =
        "{ 'layers.2.bias' : {'shape':[1], 'data_offsets':[0,4], 'dtype':'F32'},\n"
        "\t'layers.0.bias':{'dtype':'F32','shape':[3],'data_offsets':[4,16]},\r\n"
        "'layers.0.weight':{'dtype':'F32','shape':[2,3],'data_offsets':[28,52]},"
        "'__metadata__':{'architecture':'" ARCHITECTURE "','format_version':'1',"
        "'user.\\u006bey\\ud83d\\ude00':'\\u00e9\\n\\/\\b','format':'\\u0063nn',"
        "'author':'them'},"
        "'layers.2.\\u0077eight':{'dtype':'F32','shape':[3,1],'data_offsets':[16,28]}}   ";
    for (size_t pad = 0; pad < 8; pad++) {
        char header[sizeof shuffled + 8];
        snprintf(header, sizeof header, "%s%.*s", shuffled, (int)pad, "        ");
        made_file file = make_file(header, NULL, NULL, 52);
        cnn_network *network = NULL;
        float weights[6], bias = 0;
        CHECK(cnn_network_from_bytes(file.data, file.size, &network) == CNN_OK);
        CHECK(cnn_network_get_f32(network, 0, CNN_WEIGHT, weights, 6) == CNN_OK);
        CHECK(are_stored(weights, 6, file.data + file.size - 24));
        CHECK(cnn_network_get_f32(network, 2, CNN_BIAS, &bias, 1) == CNN_OK);
        CHECK(are_stored(&bias, 1, file.data + file.size - 52));
        const char *value = cnn_network_metadata(network, "key\xF0\x9F\x98\x80");
        CHECK(value && strcmp(value, "\xC3\xA9\n/\b") == 0);
        value = cnn_network_metadata(network, "author");
        CHECK(value && strcmp(value, "them") == 0);
        cnn_network_destroy(network);
        free(file.data);
    }
}

typedef struct refusal {
    const char *find, *replace, *expected;
} refusal;

static void check_refusals(const char *header, size_t data_size, const refusal *refusals,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        made_file file = make_file(header, refusals[i].find, refusals[i].replace, data_size);
        check_refused(file, refusals[i].expected);
        free(file.data);
    }
}

static void test_json_refusals(void)
{
    static const refusal refusals[] = {
        {"{'__", "['__", "does not begin with '{'"},
        {"{'__", " {'__", "does not begin with '{'"},
        {"[48,52]}}", "[48,52]}}x", "header: byte "},
        {"[48,52]}}", "[48,52]}}{}", "more text after the end"},
        {"[48,52]}}", "[48,52]}", "expected a comma or the end"},
        {"[48,52]}}", "[48,52]},}", "expected a string"},
        {"[48,52]}}", "[48,]}}", "expected a number"},
        {"[48,52]}}", "[48 52]}}", "expected a comma or the end"},
        {"[48,52]}}", "[48,052]}}", "expected a comma or the end"},
        {"[48,52]}}", "[48,5.2e1]}}", "expected a whole number"},
        {"[48,52]}}", "[48,-52]}}", "expected a whole number"},
        {"[48,52]}}", "[48,+52]}}", "expected a number"},
        {"[48,52]}}", "[48,'52']}}", "expected a number"},
        {"[48,52]}}", "[48,18446744073709551616]}}", "expected a whole number"},
        {"[48,52]}}", "[48,[52]]}}", "expected a number"},
        {"[48,52]}}", "{}}}", "expected an array"},
        {"'F32','shape':[1]", "null,'shape':[1]", "expected a string"},
        {"'by hand'", "'by \x01 hand'", "control character"},
        {"'by hand'", "'by \xC3( hand'", "not UTF-8"},
        {"'by hand'", "'\xC0\xAF'", "not UTF-8"},
        {"'by hand'", "'\xED\xA0\x80'", "not UTF-8"},
        {"'by hand'", "'\xF4\x90\x80\x80'", "not UTF-8"},
        {"'by hand'", "'\\ud800'", "surrogate"},
        {"'by hand'", "'\\udc00\\ud800'", "surrogate"},
        {"'by hand'", "'\\ud800\\u0041'", "surrogate"},
        {"'by hand'", "'\\u00e'", "hexadecimal"},
        {"'by hand'", "'\\u0000'", "U+0000"},
        {"'by hand'", "'\\x41'", "unknown escape"},
        {"'by hand'", "3", "expected a string"},
        {"'by hand'", "{'a':'b'}", "expected a string"},
        {"'user.note'", "user.note", "expected a string"},
        {"'user.note':'", "'user.note''", "expected a colon"},
        {"`inputs`:2", "`inputs`:[2]", "expected a number"},
        {"`l2`:0.5", "`l2`:1e400", "too large for float64"},
        {"`l2`:0.5", "`l2`:NaN", "expected a number"},
        {"`l2`:0.5", "`l2`:.5", "expected a number"},
        {"`l2`:0.5", "`l2`:5.", "expected a digit"},
        {"`l2`:0.5", "`l2`:5e", "expected a digit"},
        {"`l2`:0.5", "`l2`:0.00000000000000000000000000000000000000000000000000000000000000001",
         "too many characters"},
        {"`l2`:0}]}", "`l2`:0}]} x", "architecture: byte"},
    };
    check_refusals(network_header, 52, refusals, COUNT(refusals));
}

static void test_header_refusals(void)
{
    static const refusal refusals[] = {
        {"'format':'cnn',", "", "\"format\" is missing"},
        {"'format':'cnn'", "'format':'pt'", "\"format\" is \"pt\", not \"cnn\""},
        {"'format':'cnn'", "'format':'cnn_networks'",
         "the file has several networks, which cnn.load"},
        {"'format_version':'1',", "", "\"format_version\" is missing"},
        {"'format_version':'1'", "'format_version':'2'", "\"format_version\" is \"2\""},
        {"'architecture'", "'user.architecture'", "\"architecture\" is missing"},
        {"'by hand'", "'1','note':'2','note':'3'", "\"note\" is there twice"},
        {"'by hand'", "'1','\\u001b[2J':'2','user.\\u001b[2J':'3'",
         "\"?[2J\" is there twice, with and without \"user.\""},
        {"'user.note'", "'format'", "not \"cnn\""},
        {"'by hand'", "'by hand','user.note':'twice'", "\"user.note\" is there twice"},
        {"'by hand'", "'1','user.\\u006eote':'2'", "\"user.note\" is there twice"},
        {"'layers.2.bias'", "'layers.0.bias'", "\"layers.0.bias\" is there twice"},
        {"'layers.0.weight':{'dtype':'F32'", "'layers.0.weight':{'dtype':'F32','dtype':'F32'",
         "\"dtype\" is there twice"},
        {"'layers.2.bias'", "'__metadata__'", "expected a string"},
        {"[48,52]}}",
         "[48,52]},'__metadata__':{'format':'cnn','format_version':'1',"
         "'architecture':''}}",
         "\"__metadata__\" is there twice"},
        {"'layers.0.weight'", "'conv.weight'", "unknown tensor \"conv.weight\""},
        {"'layers.0.weight'", "'layers.00.weight'", "unknown tensor"},
        {"'layers.0.weight'", "'layers.0.weight2'", "unknown tensor"},
        {"'layers.0.weight'", "'layers..weight'", "unknown tensor"},
        {"'layers.0.weight'", "'layers.18446744073709551615.weight'", "unknown tensor"},
        {"'layers.0.weight'", "'optimizer.layers.0.weight'", "unknown tensor"},
        {"'layers.0.weight'", "'optimizer.0.layers.0.weight'", "the file has no optimizer"},
        {"'layers.0.weight'", "'layers.1.weight'", "layers.1.weight: layer 1 has no parameters"},
        {"'layers.0.weight'", "'layers.3.weight'", "the architecture has 3 layers"},
        {",'layers.2.bias':{'dtype':'F32','shape':[1],'data_offsets':[48,52]}", "",
         "layers.2.bias is missing"},
        {"'layers.0.weight':{'dtype':'F32'", "'layers.0.weight':{'dtype':'F64'",
         "layers.0.weight: dtype is F64, the architecture says F32"},
        {"'shape':[2,3]", "'shape':[3,2]",
         "layers.0.weight: shape is [3, 2], the architecture says [2, 3]"},
        {"'shape':[2,3]", "'shape':[6]", "shape is [6], the architecture says [2, 3]"},
        {"'shape':[3]", "'shape':[]", "layers.0.bias: shape is [], the architecture says [3]"},
        {"'shape':[2,3]", "'shape':[2,3,1]", "shape has more than 2 numbers"},
        {"'shape':[2,3],", "", "\"shape\" is missing"},
        {"'shape':[2,3],", "'shape':[2,3],'strides':[3,1],", "unknown field \"strides\""},
        {"[0,24]", "[0]", "data_offsets must be two numbers"},
        {"[0,24]", "[0,24,24]", "data_offsets has more than 2 numbers"},
        {"[0,24]", "[24,0]", "the wrong way round"},
        {"[0,24]", "[0,20]", "layers.0.weight: data_offsets span 20 bytes"},
        {"[24,36]", "[20,32]", "layers.0.bias: data overlap"},
        {"[24,36]", "[28,40]", "layers.0.bias: 4 bytes before the data belong to no tensor"},
        {"[48,52]", "[52,56]", "layers.2.bias: data end at byte 56"},
        {"[48,52]", "[18446744073709551612,18446744073709551615]", "data end at byte"},
    };
    check_refusals(network_header, 52, refusals, COUNT(refusals));
}

static void test_architecture_refusals(void)
{
    static const refusal refusals[] = {
        {ARCHITECTURE, "[]", "architecture: byte 0: expected an object"},
        {ARCHITECTURE, "", "architecture: byte 0"},
        {ARCHITECTURE, "{`dtype`:`float32`,`seed`:`7`,`layers`:[]}", "there are no layers"},
        {"`dtype`:`float32`,", "", "the network: \"dtype\" is missing"},
        {"`dtype`:`float32`", "`dtype`:`float16`", "unknown dtype \"float16\""},
        {"`dtype`:`float32`", "`dtype`:`float64`", "dtype is F32, the architecture says F64"},
        {"`seed`:`7`", "`seed`:7", "expected a string"},
        {"`seed`:`7`", "`seed`:`-7`", "seed is \"-7\""},
        {"`seed`:`7`", "`seed`:`007`", "seed is \"007\""},
        {"`seed`:`7`", "`seed`:` 7`", "seed is"},
        {"`seed`:`7`", "`seed`:``", "seed is"},
        {"`seed`:`7`", "`seed`:`18446744073709551616`", "seed is"},
        {"`seed`:`7`", "`seed`:`7`,`seed`:`7`", "\"seed\" is there twice"},
        {"`seed`:`7`", "`seed`:`7`,`sede`:`7`", "unknown field \"sede\""},
        {"`kind`:`dropout`", "`kind`:`conv`", "layers[1]: unknown kind \"conv\""},
        {"{`kind`:`dropout`,", "{", "layers[1]: \"kind\" is missing"},
        {"`rate`:0.25", "`rate`:0.25,`l2`:0", "layers[1]: \"l2\" does not belong"},
        {",`rate`:0.25", "", "layers[1]: \"rate\" is missing"},
        {"`rate`:0.25", "`rate`:1", "architecture: layer 1"},
        {"`rate`:0.25", "`rate`:-1e-9", "architecture: layer 1"},
        {"`l2`:0.5", "`l2`:-0.5", "architecture: layer 0"},
        {",`l2`:0.5", "", "layers[0]: \"l2\" is missing"},
        {"`l2`:0.5", "`l2`:0.5,`bias`:0", "layers[0]: unknown field \"bias\""},
        {"`relu`", "`rleu`", "layers[0]: unknown activation \"rleu\""},
        {"`relu`", "`softmax`", "architecture: layer 0"},
        {"`l2`:0.5", "`l2`:0.5,`alpha`:0.2", "layer 0 has alpha 0.2, but relu has no number"},
        {"`relu`,`l2`:0.5", "`elu`,`l2`:0.5,`alpha`:0", "layers[0]: alpha is 0, should be more"},
        {"`relu`,`l2`:0.5", "`elu`,`l2`:0.5,`alpha`:-1", "layer 0 has alpha -1, the alpha of elu"},
        {"`relu`,`l2`:0.5", "`elu`,`l2`:0.5,`alpha`:1e999", "architecture: "},
        {"`relu`,`l2`:0.5", "`elu`,`l2`:0.5,`alpha`:`1`", "architecture: "},
        {"`rate`:0.25", "`rate`:0.25,`alpha`:1", "layers[1]: \"alpha\" does not belong"},
        {"`inputs`:2", "`inputs`:0", "layers[0]: inputs is 0"},
        {"`inputs`:2", "`inputs`:3", "shape is [2, 3], the architecture says [3, 3]"},
        {"`inputs`:2", "`inputs`:18446744073709551615",
         SIZE_MAX > UINT32_MAX ? "shape is [2, 3]" : "must be at least 1 and fit in memory"},
        {"`outputs`:1", "`outputs`:0", "layers[2]: outputs is 0"},
    };
    check_refusals(network_header, 52, refusals, COUNT(refusals));
}

static void test_optimizer_refusals(void)
{
    static const refusal refusals[] = {
        {"`kind`:`momentum`", "`kind`:`lion`", "unknown kind \"lion\""},
        {"`kind`:`momentum`", "`kind`:`sgd`", "the optimizer has 0 slots"},
        {"`kind`:`momentum`", "`kind`:`adam`", "optimizer.1.layers.0.weight is missing"},
        {"`momentum`:0.9", "`momentum`:1", "optimizer: "},
        {",`eps`:0", "", "the optimizer: \"eps\" is missing"},
        {",`eps`:0", ",`eps`:0,`nu`:1", "unknown field \"nu\""},
        {"`steps`:`3`", "`steps`:`1e3`", "steps is \"1e3\""},
        {"`steps`:`3`", "`steps`:`9223372036854775808`", "from 0 to 9223372036854775807"},
        {"optimizer.0.layers.0.weight", "optimizer.1.layers.0.weight", "has 1 slots"},
        {"'shape':[2,3],'data_offsets':[52", "'shape':[3,2],'data_offsets':[52",
         "optimizer.0.layers.0.weight: shape is [3, 2]"},
        {"[52,76]", "[0,24]", "data overlap"},
    };
    check_refusals(trainer_header, 104, refusals, COUNT(refusals));
}

/* Sizes whose products overflow must not look like the sizes of a small file. */
static void test_overflow(void)
{
    static const char header[] =
        "{'__metadata__':{'format':'cnn','format_version':'1','architecture':'{`dtype`:`float32`,"
        "`seed`:`7`,`layers`:[{`kind`:`dense`,`inputs`:INPUTS,`outputs`:4,"
        "`activation`:`relu`,`l2`:0}]}'},"
        "'layers.0.weight':{'dtype':'F32','shape':[4611686018427387904,4],'data_offsets':[0,0]},"
        "'layers.0.bias':{'dtype':'F32','shape':[4],'data_offsets':[0,16]}}";
    made_file file = make_file(header, "INPUTS", "4611686018427387904", 16);
    /* In 32 bits the number itself is too large. */
    check_refused(file, SIZE_MAX > UINT32_MAX ? "layers.0.weight: data_offsets span 0 bytes"
                                              : "inputs is 4611686018427387904; it must be");
    free(file.data);
}

/* ---- Sizes ------------------------------------------------------------------------------- */

static void test_truncation(const char *header, size_t data_size)
{
    made_file file = make_file(header, NULL, NULL, data_size);
    cnn_network *network = NULL;
    for (size_t size = 0; size < file.size; size++) {
        /* A copy of that size, so that a sanitizer sees every read beyond it. */
        unsigned char *copy = malloc(size ? size : 1);
        memcpy(copy, file.data, size);
        CHECK(cnn_network_from_bytes(copy, size, &network) == CNN_ERROR_MODEL_FILE);
        free(copy);
    }
    CHECK(cnn_network_from_bytes(file.data, file.size, &network) == CNN_OK);
    cnn_network_destroy(network);
    free(file.data);

    file = make_file(header, NULL, NULL, data_size + 1);
    check_refused(file, "1 bytes at the end belong to no tensor");
    free(file.data);
}

/* The first eight bytes against the size of the file. */
static void test_header_sizes(void)
{
    made_file file = make_file(network_header, NULL, NULL, 52);
    for (size_t i = 0; i < 8; i++) {
        const unsigned char before = file.data[i];
        file.data[i] = 0xFF;
        check_refused(file, i < 2 ? "" : "the header should have");
        file.data[i] = before;
    }
    memset(file.data, 0, 8);
    check_refused(file, "does not begin with '{'");
    memcpy(file.data, "PK\x03\x04zip!", 8);
    check_refused(file, "the header should have");
    free(file.data);
}

/* Headers of many parts must not take time that grows faster than they do. */
static void test_many(void)
{
    const char *metadata = "{'__metadata__':{'format':'cnn','format_version':'1',";
    made_file file = make_many(metadata, "'user.#':'',", 300000, "'architecture':''}}");
    check_refused(file, "more than 10000 keys of users");
    free(file.data);

    file = make_many(
        "{'__metadata__':{'format':'cnn','format_version':'1','architecture':'" ARCHITECTURE "'}",
        ",'layers.#.bias':{'dtype':'F32','shape':[1],'data_offsets':[0,0]}", 200000, "}");
    check_refused(file, "layers.0.bias: shape is [1]");
    free(file.data);

    file = make_many(
        "{'__metadata__':{'format':'cnn','format_version':'1','architecture':'" ARCHITECTURE "'}",
        ",'layers.0.bias':{'dtype':'','shape':[],'data_offsets':[0,0]}", 200000, "}");
    check_refused(file, "\"layers.0.bias\" is there twice");
    free(file.data);

    file = make_many("{'__metadata__':{'format':'cnn','format_version':'1','architecture':'{",
                     "`l2`:0,", 200000, "`l2`:0}'}}");
    check_refused(file, "the network: unknown field \"l2\"");
    free(file.data);

    file = make_many("{'__metadata__':{'format':'cnn','format_version':'1','architecture':'"
                     "{`dtype`:`float32`,`seed`:`7`,`layers`:[",
                     "{`kind`:`dropout`,`rate`:0},", 200000, "{`kind`:`dropout`,`rate`:0}]}'}}");
    check_refused(file, "architecture: layer 0 is a dropout layer, which belongs between");
    free(file.data);
}

int main(void)
{
    test_foreign();
    test_json_refusals();
    test_header_refusals();
    test_architecture_refusals();
    test_optimizer_refusals();
    test_overflow();
    test_truncation(network_header, 52);
    test_truncation(trainer_header, 104);
    test_header_sizes();
    test_many();
    return check_finish();
}

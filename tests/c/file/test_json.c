/* The reader and writer of JSON, and doubles as decimal text, without the library around them. */
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "file/decimal.h"
#include "file/json.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- Doubles ----------------------------------------------------------------------------- */

static uint64_t bits_of(double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* A number in hexadecimal leaves the compiler no rounding to do. */
static void check_read(const char *text, double expected)
{
    double value = 1;
    CHECK(cnn_decimal_read(text, strlen(text), &value));
    if (bits_of(value) != bits_of(expected))
        printf("%s was read as %a\n", text, value);
    CHECK(bits_of(value) == bits_of(expected));
}

static void test_decimal_read(void)
{
    check_read("0", 0);
    check_read("-0", -0.0);
    check_read("0.000e99999999999999999999", 0);
    check_read("1", 0x1p0);
    check_read("-12.5e-1", -0x1.4p0);
    check_read("0.1", 0x1.999999999999ap-4);
    check_read("1e23", 0x1.52d02c7e14af6p+76); /* just below a halfway case */
    /* Halfway cases go to even; a digit far behind decides. */
    check_read("9007199254740993", 0x1p53);
    check_read("9007199254740995", 0x1.0000000000002p53);
    check_read("9007199254740993.000000000000000000000000000000000000001", 0x1.0000000000001p53);
    check_read("9007199254740992.999999999999999999999999999999999999999", 0x1p53);
    /* The smallest and the largest, and what rounds to them. */
    check_read("4.9406564584124654e-324", 0x1p-1074);
    check_read("2.4703282292062327e-324", 0);
    check_read("2.4703282292062328e-324", 0x1p-1074);
    check_read("7.4109846876186982e-324", 0x1p-1073);
    check_read("2.2250738585072011e-308", 0x1.ffffffffffffep-1023);
    check_read("2.2250738585072014e-308", 0x1p-1022);
    check_read("1.7976931348623158e308", 0x1.fffffffffffffp+1023);
    check_read("1e-99999999999999999999", 0);
    check_read("0.00000000000000000000000000000000000000000000000000000000001e59", 1);

    static const char *const too_large[] = {"1.7976931348623159e308", "1e309", "-1e309",
                                            "1e99999999999999999999"};
    for (size_t i = 0; i < COUNT(too_large); i++) {
        double value = 1;
        CHECK(!cnn_decimal_read(too_large[i], strlen(too_large[i]), &value));
    }
}

static void check_write(double value, const char *expected)
{
    char text[CNN_DECIMAL_SIZE];
    cnn_decimal_write(value, text);
    if (strcmp(text, expected) != 0)
        printf("%a was written as %s\n", value, text);
    CHECK(strcmp(text, expected) == 0);
}

static void test_decimal_write(void)
{
    check_write(0, "0");
    check_write(-0.0, "-0");
    check_write(0.001, "0.001");
    check_write(0.1 + 0.2, "0.30000000000000004");
    check_write(1e100, "1e+100");
    check_write(0x1p-1074, "4.94065645841247e-324");

    /* Round trips of bits from a multiplicative generator. */
    uint64_t state = 1;
    for (size_t i = 0; i < 20000; i++) {
        char text[CNN_DECIMAL_SIZE];
        double value = 0, back = 0;
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        memcpy(&value, &state, sizeof value);
        if (!isfinite(value))
            continue;
        cnn_decimal_write(value, text);
        CHECK(cnn_decimal_read(text, strlen(text), &back) && bits_of(back) == bits_of(value));
    }
}

/* A locale with a decimal comma, where the machine has one, changes nothing. */
static void test_locale(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "German"};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!setlocale(LC_ALL, names[i]))
            continue;
        test_decimal_read();
        test_decimal_write();
    }
    setlocale(LC_ALL, "C");
}

/* ---- Reading ----------------------------------------------------------------------------- */

/* Read one value of any kind that begins with its kind: arrays hold arrays alone. */
static void read_arrays(cnn_json *json)
{
    /* One call per opening bracket, then one per closing bracket, without recursion. */
    cnn_json_array(json);
    while (json->depth > 0 && json->status == CNN_OK) {
        if (cnn_json_element(json))
            cnn_json_array(json);
    }
    cnn_json_end(json);
}

static void check_arrays(const char *text, cnn_status expected)
{
    cnn_json json;
    cnn_json_open(&json, "test", text, strlen(text));
    read_arrays(&json);
    CHECK(json.status == expected);
    cnn_json_close(&json);
}

static void test_nesting(void)
{
    check_arrays("[]", CNN_OK);
    check_arrays(" [ [ ] , [ [ ] ] ] ", CNN_OK);
    check_arrays("[[[[[[[[]]]]]]]]", CNN_OK);
    check_arrays("[[[[[[[[[]]]]]]]]]", CNN_ERROR_MODEL_FILE);
    check_arrays("[[]", CNN_ERROR_MODEL_FILE);
    check_arrays("[[]]]", CNN_ERROR_MODEL_FILE);
    check_arrays("[,]", CNN_ERROR_MODEL_FILE);
    check_arrays("[[],]", CNN_ERROR_MODEL_FILE);
    check_arrays("[[][]]", CNN_ERROR_MODEL_FILE);
    check_arrays("[}", CNN_ERROR_MODEL_FILE);
    check_arrays("", CNN_ERROR_MODEL_FILE);
    check_arrays("\xEF\xBB\xBF[]", CNN_ERROR_MODEL_FILE);
    check_arrays("[\f]", CNN_ERROR_MODEL_FILE);
}

/* Read a string; NULL expects a refusal. */
static void check_string(const char *text, const char *expected)
{
    cnn_json json;
    cnn_json_open(&json, "test", text, strlen(text));
    const char *string = cnn_json_string(&json);
    cnn_json_end(&json);
    CHECK(json.status == (expected ? CNN_OK : CNN_ERROR_MODEL_FILE));
    CHECK(!expected || strcmp(string, expected) == 0);
    cnn_json_close(&json);
}

static void test_strings(void)
{
    check_string("\"\"", "");
    check_string(" \"a b\" ", "a b");
    check_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
    check_string("\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\"",
                 "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    check_string("\"\\udbff\\udfff\\uffff\"", "\xF4\x8F\xBF\xBF\xEF\xBF\xBF");
    check_string("\"\xC2\x80\xE0\xA0\x80\xED\x9F\xBF\xF0\x90\x80\x80\"",
                 "\xC2\x80\xE0\xA0\x80\xED\x9F\xBF\xF0\x90\x80\x80");
    check_string("\"\x7F\"", "\x7F");

    static const char *const refused[] = {"",
                                          "\"",
                                          "\"a",
                                          "a",
                                          "'a'",
                                          "\"\\",
                                          "\"\\\"",
                                          "\"\\u\"",
                                          "\"\\u12\"",
                                          "\"\\u12g4\"",
                                          "\"\\v\"",
                                          "\"\\U0041\"",
                                          "\"\\u0000\"",
                                          "\"\\ud800\"",
                                          "\"\\ud800x\"",
                                          "\"\\ud800\\n\"",
                                          "\"\\ud800\\ud800\"",
                                          "\"\\ud800\\u\"",
                                          "\"\\udc00\"",
                                          "\"\n\"",
                                          "\"\x1F\"",
                                          "\"\x80\"",
                                          "\"\xC1\xBF\"",
                                          "\"\xC2\"",
                                          "\"\xC2\xC2\"",
                                          "\"\xE0\x9F\xBF\"",
                                          "\"\xE2\x82\"",
                                          "\"\xE2\x82z\"",
                                          "\"\xED\xA0\x80\"",
                                          "\"\xF0\x8F\xBF\xBF\"",
                                          "\"\xF4\x90\x80\x80\"",
                                          "\"\xF5\x80\x80\x80\"",
                                          "\"\xFF\"",
                                          "\"a\"\"b\"",
                                          "\"a\" b"};
    for (size_t i = 0; i < COUNT(refused); i++)
        check_string(refused[i], NULL);
}

static void check_number(const char *text, bool whole, double expected)
{
    cnn_json json;
    cnn_json_open(&json, "test", text, strlen(text));
    const double value = whole ? (double)cnn_json_uint64(&json) : cnn_json_double(&json);
    cnn_json_end(&json);
    CHECK(json.status == (isnan(expected) ? CNN_ERROR_MODEL_FILE : CNN_OK));
    CHECK(isnan(expected) || value == expected);
    cnn_json_close(&json);
}

static void test_numbers(void)
{
    check_number("0", true, 0);
    check_number(" 4503599627370497 ", true, 4503599627370497.0);
    check_number("18446744073709551615", true, 18446744073709551615.0);
    check_number("0", false, 0);
    check_number("-1.25E+2", false, -125);
    check_number("1e-2", false, 0.01);
    check_number("1e0002", false, 100);

    static const char *const neither[] = {
        "",    "-",        "+1",        "01",  "1.", ".5",  "1e",   "1e+",   "0x1",  "1_0",
        "NaN", "Infinity", "-Infinity", "1 2", "1,", "--1", "1.e2", "\"1\"", "true", "null"};
    for (size_t i = 0; i < COUNT(neither); i++) {
        check_number(neither[i], true, NAN);
        check_number(neither[i], false, NAN);
    }
    static const char *const not_whole[] = {
        "-1", "-0", "1.0", "1e2", "18446744073709551616", "99999999999999999999999"};
    for (size_t i = 0; i < COUNT(not_whole); i++)
        check_number(not_whole[i], true, NAN);
}

/* Read an object whose values are numbers; the number of its members, or -1. */
static int count_members(const char *text)
{
    cnn_json json;
    const char *key = NULL;
    int count = 0;
    cnn_json_open(&json, "test", text, strlen(text));
    cnn_json_object(&json);
    for (; cnn_json_member(&json, &key); count++)
        (void)cnn_json_uint64(&json);
    cnn_json_end(&json);
    if (json.status != CNN_OK)
        count = -1;
    cnn_json_close(&json);
    return count;
}

static void test_objects(void)
{
    CHECK(count_members("{}") == 0);
    CHECK(count_members("{\"\":1}") == 1);
    CHECK(count_members("{ \"b\" : 1 , \"a\" : 2 , \"B\" : 3 }") == 3);
    CHECK(count_members("{\"a\":1,\"a\":2}") == -1);
    CHECK(count_members("{\"a\":1,\"b\":2,\"c\":3,\"\\u0061\":4}") == -1);
    CHECK(count_members("{\"a\":1,}") == -1);
    CHECK(count_members("{\"a\"}") == -1);
    CHECK(count_members("{\"a\":}") == -1);
    CHECK(count_members("{a:1}") == -1);
    CHECK(count_members("{\"a\":1]") == -1);
    CHECK(count_members("{\"a\":1 \"b\":2}") == -1);

    /* Many keys in falling order, then one of them again. */
    char *text = malloc(100000 * 12), *next = text;
    *next++ = '{';
    for (int i = 50000; i > 0; i--)
        next += snprintf(next, 16, "\"%d\":0,", i);
    snprintf(next, 16, "\"x\":0}");
    CHECK(count_members(text) == 50001);
    snprintf(next, 16, "\"777\":0}");
    CHECK(count_members(text) == -1);
    CHECK(strstr(cnn_last_error(), "test: \"777\" is there twice") != NULL);
    free(text);
}

/* A member whose value is not read is a failure, and the first failure counts. */
static void test_sticky(void)
{
    const char *text = "{\"a\":1,\"b\":2}", *key = NULL;
    cnn_json json;
    cnn_json_open(&json, "test", text, strlen(text));
    cnn_json_object(&json);
    CHECK(cnn_json_member(&json, &key));
    CHECK(!cnn_json_member(&json, &key));
    cnn_json_refuse(&json, "another reason");
    CHECK(!strstr(cnn_last_error(), "another reason"));
    CHECK(cnn_json_uint64(&json) == 0 && cnn_json_string(&json)[0] == '\0');
    cnn_json_close(&json);
}

static void test_show(void)
{
    char shown[CNN_JSON_SHOWN];
    CHECK(strcmp(cnn_json_show("", shown), "") == 0);
    /* U+061C, U+200E, U+202E, U+2028, U+2066; not U+2027, U+200D, U+1F600. */
    CHECK(
        strcmp(cnn_json_show("\xD8\x9C.\xE2\x80\x8E.\xE2\x80\xAE.\xE2\x80\xA8.\xE2\x81\xA6", shown),
               "?.?.?.?.?") == 0);
    CHECK(strcmp(cnn_json_show("\xE2\x80\xA7\xE2\x80\x8D\xF0\x9F\x98\x80", shown),
                 "\xE2\x80\xA7\xE2\x80\x8D\xF0\x9F\x98\x80") == 0);
    CHECK(strcmp(cnn_json_show("a\n\x1B\x7F\xC2\x9B\xFF\xC3\xA9", shown), "a?????\xC3\xA9") == 0);
    /* Cut between characters, not within one. */
    const char *text = "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"
                       "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"
                       "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9";
    for (int i = 0; i < 2; i++) {
        cnn_json_show(text + 2 * i, shown);
        const size_t size = strlen(shown);
        CHECK(size < CNN_JSON_SHOWN && strcmp(shown + size - 3, "...") == 0);
        CHECK((size - 3) % 2 == 0 && memcmp(shown, text, size - 3) == 0);
    }
}

/* ---- Writing ----------------------------------------------------------------------------- */

static void test_write(void)
{
    cnn_json_writer json = {0};
    cnn_json_write_object(&json);
    cnn_json_write_key(&json, "a\"\n\xC3\xA9");
    cnn_json_write_array(&json);
    cnn_json_write_uint64(&json, UINT64_MAX);
    cnn_json_write_double(&json, -0.5);
    cnn_json_write_array(&json);
    cnn_json_write_array_end(&json);
    cnn_json_write_object(&json);
    cnn_json_write_object_end(&json);
    cnn_json_write_array_end(&json);
    cnn_json_write_key(&json, "");
    cnn_json_write_string(&json, "\\\x01\x7F");
    cnn_json_write_object_end(&json);
    cnn_json_write_spaces(&json, json.size + 2);
    cnn_json_write_spaces(&json, 3);
    CHECK(json.status == CNN_OK);
    CHECK(strcmp(json.text, "{\"a\\\"\\u000a\xC3\xA9\":[18446744073709551615,-0.5,[],{}],"
                            "\"\":\"\\\\\\u0001\x7F\"}  ") == 0);
    CHECK(json.size == strlen(json.text));
    cnn_json_write_free(&json);

    cnn_json_writer numbers = {0};
    cnn_json_write_double(&numbers, INFINITY);
    CHECK(numbers.status == CNN_ERROR_ARGUMENT);
    cnn_json_write_free(&numbers);
    cnn_json_writer strings = {0};
    cnn_json_write_string(&strings, "\xED\xA0\x80");
    CHECK(strings.status == CNN_ERROR_ARGUMENT);
    cnn_json_write_free(&strings);
}

int main(void)
{
    test_decimal_read();
    test_decimal_write();
    test_locale();
    test_nesting();
    test_strings();
    test_numbers();
    test_objects();
    test_sticky();
    test_show();
    test_write();
    return check_finish();
}

/* Structs of other sizes than the present: read with defaults, written as far as they reach. */
#include "base/structs.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "check.h"

/* A struct as three versions of a header have it; the second is the present one. */
typedef struct first {
    size_t struct_size;
    double a;
} first;
typedef struct second {
    size_t struct_size;
    double a;
    uint64_t b[2]; /* so that the sizes are the same on 32-bit systems */
} second;
typedef struct third {
    size_t struct_size;
    double a;
    uint64_t b[2]; /* so that the sizes are the same on 32-bit systems */
    double c;
} third;

static const cnn_struct present = {sizeof(second), _Alignof(second), {sizeof(first)}};

/* That the last message is this one. */
#define SAYS(text)                                                                                 \
    if (!CHECK(strcmp(cnn_last_error(), text) == 0))                                               \
    printf("    the message is: %s\n", cnn_last_error())

static void test_read(void)
{
    second space;
    memset(&space, 0x55, sizeof space);
    const second same = {sizeof same, 1, {2, 3}};
    CHECK(cnn_struct_read(&present, "s", &same, &space) == &same);
    /* Exactly so many bytes, so that a sanitizer sees what reaches beyond. */
    first *const older = check_memory(sizeof *older);
    *older = (first){sizeof *older, 4};
    CHECK(cnn_struct_read(&present, "s", older, &space) == &space);
    CHECK(space.struct_size == sizeof space && space.a == 4 && space.b[0] == 0 && space.b[1] == 0);
    free(older);
    third newer = {sizeof newer, 1, {2, 3}, 0};
    CHECK(cnn_struct_read(&present, "s", &newer, &space) == &newer);
}

static void test_read_refused(void)
{
    second space;
    CHECK(cnn_struct_read(&present, "s", NULL, &space) == NULL);
    SAYS("s is NULL");
    static union {
        second s;
        unsigned char bytes[2048];
    } given;
    const size_t sizes[] = {0, 1, 8, 15, 17, 24, 31, 33, 1023, 1025, 2048, (size_t)-1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char text[100];
        given.s.struct_size = sizes[i];
        CHECK(cnn_struct_read(&present, "s", &given, &space) == NULL);
        snprintf(text, sizeof text, "s has struct_size %zu, should be 32 or 16", sizes[i]);
        SAYS(text);
    }
    given.s.struct_size = 1024;
    CHECK(cnn_struct_read(&present, "s", &given, &space) == &given);
    given.bytes[1023] = 1;
    CHECK(cnn_struct_read(&present, "s", &given, &space) == NULL);
    SAYS("s has struct_size 1024 and sets a field at byte 1023; this version of libcnn knows the "
         "first 32 bytes, should be 0 behind them");
    const third newer = {sizeof newer, 1, {2, 3}, -0.0};
    CHECK(cnn_struct_read(&present, "s", &newer, &space) == NULL);
}

static void test_arrays(void)
{
    second whole[3];
    const first older[3] = {{sizeof(first), 1}, {sizeof(first), 2}, {sizeof(first), 3}};
    CHECK(cnn_struct_read_array(&present, "s", 3, older, whole) == CNN_OK);
    for (size_t i = 0; i < 3; i++)
        CHECK(whole[i].struct_size == sizeof(second) && whole[i].a == (double)i + 1 &&
              whole[i].b[0] == 0 && whole[i].b[1] == 0);
    const second same[2] = {{sizeof(second), 1, {2, 3}}, {sizeof(second), 4, {5, 6}}};
    CHECK(cnn_struct_read_array(&present, "s", 2, same, whole) == CNN_OK);
    CHECK(memcmp(whole, same, sizeof same) == 0);
    third newer[2] = {{sizeof(third), 1, {2, 3}, 0}, {sizeof(third), 4, {5, 6}, 0}};
    CHECK(cnn_struct_read_array(&present, "s", 2, newer, whole) == CNN_OK);
    CHECK(memcmp(whole, same, sizeof same) == 0);
    newer[1].c = 1;
    CHECK(cnn_struct_read_array(&present, "s", 2, newer, whole) == CNN_ERROR_ARGUMENT);
    CHECK(strstr(cnn_last_error(), "s 1 has struct_size 40 and sets a field at byte 3") != NULL);
    newer[1].struct_size = sizeof(second);
    CHECK(cnn_struct_read_array(&present, "s", 2, newer, whole) == CNN_ERROR_ARGUMENT);
    SAYS("s 1 has struct_size 32, should be 40 as in the first");
    newer[0].struct_size = 7;
    CHECK(cnn_struct_read_array(&present, "s", 2, newer, whole) == CNN_ERROR_ARGUMENT);
    SAYS("s 0 has struct_size 7, should be 32 or 16");
    newer[0].struct_size = 33; /* the next one would not be aligned */
    CHECK(cnn_struct_read_array(&present, "s", 2, newer, whole) == CNN_ERROR_ARGUMENT);
    SAYS("s 0 has struct_size 33, should be 32 or 16");
    CHECK(cnn_struct_read_array(&present, "s", 0, NULL, whole) == CNN_OK);
}

static void test_write(void)
{
    const second whole = {sizeof whole, 1, {2, 3}};
    first *const older = check_memory(sizeof *older);
    older->struct_size = sizeof *older;
    CHECK(cnn_struct_write(&present, "s", &whole, older) == CNN_OK);
    CHECK(older->struct_size == sizeof *older && older->a == 1);
    free(older);
    second same = {.struct_size = sizeof same};
    CHECK(cnn_struct_write(&present, "s", &whole, &same) == CNN_OK);
    CHECK(memcmp(&same, &whole, sizeof same) == 0);
    third newer;
    memset(&newer, 0x55, sizeof newer);
    newer.struct_size = sizeof newer;
    CHECK(cnn_struct_write(&present, "s", &whole, &newer) == CNN_OK);
    CHECK(newer.struct_size == sizeof newer && newer.a == 1 && newer.b[0] == 2 && newer.b[1] == 3);
    CHECK(newer.c == 0);
    newer.struct_size = 24;
    CHECK(cnn_struct_write(&present, "s", &whole, &newer) == CNN_ERROR_ARGUMENT);
    SAYS("s has struct_size 24, should be 32 or 16");
    CHECK(cnn_struct_write(&present, "s", &whole, NULL) == CNN_ERROR_ARGUMENT);
    SAYS("s is NULL");
}

static void test_fixed(void)
{
    const third given = {.struct_size = sizeof given};
    CHECK(cnn_struct_check_fixed("s", sizeof given, &given) == CNN_OK);
    CHECK(cnn_struct_check_fixed("s", sizeof(second), &given) == CNN_ERROR_ARGUMENT);
    SAYS("s has struct_size 40, should be 32");
    CHECK(cnn_struct_check_fixed("s", sizeof(second), NULL) == CNN_ERROR_ARGUMENT);
    SAYS("s is NULL");
}

/* The forms that the first header had: these sizes are accepted for ever. */
static void test_first_forms(void)
{
    if (sizeof(void *) != 8 || sizeof(size_t) != 8)
        return;
    const struct {
        const cnn_struct *type;
        size_t first;
    } forms[] = {{&cnn_struct_loss, 40},
                 {&cnn_struct_data, 176},
                 {&cnn_struct_result, 48},
                 {&cnn_struct_layer, 56},
                 {&cnn_struct_optimizer, 72}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const cnn_struct *const type = forms[i].type;
        CHECK((type->older[0] ? type->older[0] : type->size) == forms[i].first);
        for (size_t j = 0; j < sizeof type->older / sizeof *type->older && type->older[j]; j++)
            CHECK(type->older[j] <
                  (j + 1 < sizeof type->older / sizeof *type->older && type->older[j + 1]
                       ? type->older[j + 1]
                       : type->size));
        CHECK(type->size <= 1024 && type->size % sizeof(void *) == 0);
    }
    CHECK(sizeof(cnn_matrix) == 56);
}

int main(void)
{
    test_read();
    test_read_refused();
    test_arrays();
    test_write();
    test_fixed();
    test_first_forms();
    return check_finish();
}

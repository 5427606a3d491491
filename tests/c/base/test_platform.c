/* Tests of platform.c and error.c on every system; test_platform_posix.c has more. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/platform.h"
#include "callers.h"
#include "check.h"
#include "float_state.h"

/* ---- CPU --------------------------------------------------------------------------------- */

static void test_isa(void)
{
    CHECK(cnn_platform_has_isa("scalar"));
    CHECK(!cnn_platform_has_isa("avx"));
    CHECK(!cnn_platform_has_isa(""));
    CHECK(cnn_platform_has_isa("avx2") || !cnn_platform_has_isa("avx512"));
#if defined(__x86_64__)
    CHECK(!cnn_platform_has_isa("neon"));
    /*
     * The compiler's run-time support looks for itself, at the operating system too. Zig's knows
     * nothing: not even SSE2, which every x86-64 has.
     */
    __builtin_cpu_init();
    const int knows = __builtin_cpu_supports("sse2");
    CHECK(!knows || cnn_platform_has_isa("avx2") ==
                        (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                         __builtin_cpu_supports("bmi2")));
    CHECK(!knows || cnn_platform_has_isa("avx512") ==
                        (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                         __builtin_cpu_supports("avx512cd")));
#elif defined(__aarch64__)
    CHECK(cnn_platform_has_isa("neon"));
#endif
    cnn_platform_relax();
}

/* Whether a division rounds to nearest, and denormals are neither flushed nor read as 0. */
static int arithmetic_is_standard(void)
{
    volatile double one = 1, minus_one = -1, three = 3, small = 0x1p-1000, smaller = 0x1p-60;
    volatile double large = 0x1p200;
    volatile double denormal = small * smaller;
    return one / three == 0x1.5555555555555p-2 && minus_one / three == -0x1.5555555555555p-2 &&
           denormal * large == 0x1p-860;
}

static void test_float_state(void)
{
    CHECK(arithmetic_is_standard());
    const uint64_t normal = cnn_platform_float_enter();
    CHECK(arithmetic_is_standard());
    cnn_platform_float_leave(normal);
    CHECK(arithmetic_is_standard());

#if CAN_CHANGE_ROUNDING
    (void)feclearexcept(FE_ALL_EXCEPT);
    (void)fesetround(FE_UPWARD);
    set_flush_to_zero(1);
    const uint64_t before = cnn_platform_float_enter();
    CHECK(arithmetic_is_standard());
    (void)feclearexcept(FE_ALL_EXCEPT);
    (void)feraiseexcept(FE_DIVBYZERO);
    cnn_platform_float_leave(before);
    CHECK(!arithmetic_is_standard());
    CHECK(fetestexcept(FE_DIVBYZERO) != 0);
    (void)fesetround(FE_TONEAREST); /* so that only flushing to 0 is left */
    CHECK(!CAN_FLUSH_TO_ZERO || !arithmetic_is_standard());
    set_flush_to_zero(0);
    CHECK(arithmetic_is_standard());
    (void)feclearexcept(FE_ALL_EXCEPT);
#endif
}

/* ---- Memory and time --------------------------------------------------------------------- */

static void test_memory(void)
{
    const size_t sizes[] = {0, 1, 63, 64, 65, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *memory = cnn_platform_allocate(sizes[i]);
        CHECK(memory != NULL && (uintptr_t)memory % 64 == 0);
        memset(memory, 1, sizes[i]);
        cnn_platform_free(memory);
    }
    volatile size_t too_much = SIZE_MAX - 10;
    CHECK(cnn_platform_allocate(too_much) == NULL);
    cnn_platform_free(NULL);
}

static void use_scratch(void *result)
{
    unsigned char *small = cnn_platform_scratch(100);
    *(int *)result = small != NULL && (uintptr_t)small % 64 == 0;
    memset(small, 1, 100);
    *(int *)result &= cnn_platform_scratch(0) == small && cnn_platform_scratch(100) == small;
    unsigned char *large = cnn_platform_scratch(1 << 20);
    *(int *)result &= large != NULL && (uintptr_t)large % 64 == 0;
    memset(large, 1, 1 << 20);
    *(int *)result &= cnn_platform_scratch(1000) == large;
    volatile size_t too_much = SIZE_MAX - 10;
    *(int *)result &= cnn_platform_scratch(too_much) == NULL;
    *(int *)result &= cnn_platform_scratch(1 << 20) == large;
}

static void test_scratch(void)
{
    int here = 0, there = 0;
    use_scratch(&here);
    CHECK(here);
    caller_join(caller_start(use_scratch, &there));
    CHECK(there);
}

static void test_clock(void)
{
    double last = cnn_platform_seconds();
    const double start = last;
    size_t backwards = 0;
    while (last < start + 0.01) {
        const double now = cnn_platform_seconds();
        backwards += now < last;
        last = now;
    }
    CHECK(backwards == 0);
}

/* ---- Files, in the present folder -------------------------------------------------------- */

#define FILE_NAME "test_platform.tmp"

static void test_replace(void)
{
    void *bytes = NULL;
    size_t size = 0;
    static char large[3 << 20];
    CHECK(cnn_platform_file_read("test_platform.none", 10, &bytes, &size) == ENOENT);
    CHECK(cnn_platform_file_replace(FILE_NAME, "some\r\ntext\n", 11) == 0);
    CHECK(cnn_platform_file_read(FILE_NAME, 10, &bytes, &size) == EFBIG);
    CHECK(cnn_platform_file_read(FILE_NAME, 11, &bytes, &size) == 0 && size == 11);
    CHECK(memcmp(bytes, "some\r\ntext\n", 11) == 0);
    cnn_platform_free(bytes);
    memset(large, 'x', sizeof large);
    CHECK(cnn_platform_file_replace(FILE_NAME, large, sizeof large) == 0);
    CHECK(cnn_platform_file_read(FILE_NAME, sizeof large, &bytes, &size) == 0);
    CHECK(size == sizeof large && memcmp(bytes, large, size) == 0);
    cnn_platform_free(bytes);
    CHECK(cnn_platform_file_replace(FILE_NAME, "", 0) == 0);
    CHECK(cnn_platform_file_read(FILE_NAME, 0, &bytes, &size) == 0 && size == 0);
    cnn_platform_free(bytes);
    CHECK(cnn_platform_file_replace("no_such_folder/file", "x", 1) == ENOENT);
    CHECK(cnn_platform_file_replace(".", "x", 1) == EISDIR);
}

/* Parts of a file, and its end. */
static void test_read_at(void)
{
    cnn_file file = {0, 0};
    char part[8] = "";
    size_t got = 9;
    CHECK(cnn_platform_file_open("test_platform.none", &file) == ENOENT);
    CHECK(cnn_platform_file_open(".", &file) == EISDIR);
    CHECK(cnn_platform_file_replace(FILE_NAME, "0123456789", 10) == 0);
    CHECK(cnn_platform_file_open(FILE_NAME, &file) == 0 && file.size == 10);
    CHECK(cnn_platform_file_read_at(&file, 3, part, 4, &got) == 0 && got == 4);
    CHECK(memcmp(part, "3456", 4) == 0);
    CHECK(cnn_platform_file_read_at(&file, 7, part, 8, &got) == 0 && got == 3);
    CHECK(memcmp(part, "789", 3) == 0);
    CHECK(cnn_platform_file_read_at(&file, 10, part, 8, &got) == 0 && got == 0);
#if !defined(__EMSCRIPTEN__) /* whose pread (3.1.6) has no offsets of more than 32 bits */
    CHECK(cnn_platform_file_read_at(&file, UINT64_C(1) << 40, part, 8, &got) == 0 && got == 0);
#endif
    CHECK(cnn_platform_file_read_at(&file, 0, part, 0, &got) == 0 && got == 0);
    cnn_platform_file_close(&file);
}

/* ---- Threads ----------------------------------------------------------------------------- */

typedef struct handover {
    cnn_mutex mutex;
    cnn_condition condition;
    int turn;
} handover;

static void answer(void *argument)
{
    handover *h = argument;
    cnn_mutex_lock(&h->mutex);
    for (int i = 0; i < 100; i++) {
        while (h->turn != 2 * i + 1)
            cnn_condition_wait(&h->condition, &h->mutex);
        h->turn++;
        cnn_condition_wake_all(&h->condition);
    }
    cnn_mutex_unlock(&h->mutex);
}

static void test_threads(void)
{
    if (!HAS_THREADS) /* then one does not wait for another */
        return;
    handover h = {.turn = 0};
    cnn_mutex_init(&h.mutex);
    cnn_condition_init(&h.condition);
    cnn_thread *thread = cnn_platform_thread_start(answer, &h);
    if (!CHECK(thread != NULL))
        return;
    cnn_mutex_lock(&h.mutex);
    for (int i = 0; i < 100; i++) {
        h.turn++;
        cnn_condition_wake_all(&h.condition);
        while (h.turn != 2 * i + 2)
            cnn_condition_wait(&h.condition, &h.mutex);
    }
    cnn_mutex_unlock(&h.mutex);
    cnn_platform_thread_join(thread);
    CHECK(h.turn == 200);
    cnn_condition_destroy(&h.condition);
    cnn_mutex_destroy(&h.mutex);
}

/* ---- Errors ------------------------------------------------------------------------------ */

static void fail_elsewhere(void *argument)
{
    *(int *)argument = strcmp(cnn_last_error(), "") == 0 && cnn_last_errno() == 0;
    (void)cnn_fail_system(EACCES, "elsewhere", NULL);
}

static void test_errors(void)
{
    int fresh = 0;
    CHECK(strcmp(cnn_last_error(), "") == 0 && cnn_last_errno() == 0);
    CHECK(cnn_fail(CNN_ERROR_TYPE, "f: x is %d", 3) == CNN_ERROR_TYPE);
    CHECK(strcmp(cnn_last_error(), "f: x is 3") == 0);
    (void)cnn_fail(CNN_ERROR_TYPE, "g: %s", cnn_last_error());
    CHECK(strcmp(cnn_last_error(), "g: f: x is 3") == 0);
    CHECK(cnn_fail_system(ENOENT, "load", "a/b") == CNN_ERROR_SYSTEM);
    CHECK(cnn_last_errno() == ENOENT && strstr(cnn_last_error(), "load: 'a/b': ") != NULL);
    CHECK(strstr(cnn_last_error(), strerror(ENOENT)) != NULL);
    char path[2000];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    (void)cnn_fail_system(EACCES, "load", path);
    CHECK(strlen(cnn_last_error()) < 512 && strstr(cnn_last_error(), strerror(EACCES)) != NULL);
    (void)cnn_fail(CNN_ERROR_TYPE, "%s", path);
    CHECK(strlen(cnn_last_error()) == 511);
    if (!HAS_THREADS)
        return;
    caller_join(caller_start(fail_elsewhere, &fresh));
    CHECK(fresh && strlen(cnn_last_error()) == 511);
}

static void test_names(void)
{
    CHECK(strcmp(cnn_activation_name(CNN_RELU), "relu") == 0);
    CHECK(strcmp(cnn_activation_name(CNN_SOFTMAX), "softmax") == 0);
    CHECK(cnn_activation_name(CNN_ACTIVATION_COUNT) == NULL && cnn_activation_name(-1) == NULL);
    CHECK(strcmp(cnn_loss_name(CNN_POISSON), "poisson") == 0);
    CHECK(cnn_loss_name(CNN_LOSS_COUNT) == NULL && cnn_loss_name(-1) == NULL);
    CHECK(strcmp(cnn_optimizer_name(CNN_ADAMW), "adamw") == 0);
    CHECK(cnn_optimizer_name(CNN_OPTIMIZER_COUNT) == NULL);
    CHECK(strcmp(cnn_initializer_name(CNN_INIT_TORCH), "torch") == 0);
    CHECK(cnn_initializer_name(CNN_INITIALIZER_COUNT) == NULL);
    CHECK(cnn_activation_needs_input(CNN_GELU) == 1 && cnn_activation_needs_input(CNN_RELU) == 0);
    CHECK(cnn_activation_needs_input(-1) == 0);
    CHECK(cnn_activation_bound(CNN_RELU6) == 6 && cnn_activation_bound(CNN_RELU) == 0);
    CHECK(cnn_activation_bound(CNN_ACTIVATION_COUNT) == 0);
    CHECK(strcmp(cnn_activation_alpha_name(CNN_LEAKY_RELU), "slope") == 0);
    CHECK(cnn_activation_alpha_default(CNN_LEAKY_RELU) == 0.01);
    CHECK(cnn_activation_alpha_default(CNN_ELU) == 1);
    CHECK(!cnn_activation_alpha_name(CNN_RELU) && !cnn_activation_alpha_name(-1));
    CHECK(cnn_activation_alpha_default(CNN_RELU) == 0);
    CHECK(cnn_optimizer_slots(CNN_ADAM) == 2 && cnn_optimizer_slots(CNN_SGD) == 0);
    CHECK(cnn_optimizer_slots(CNN_OPTIMIZER_COUNT) == -1 && cnn_optimizer_slots(-1) == -1);
    CHECK(strcmp(cnn_version(), CNN_VERSION) == 0 && cnn_abi_version() == CNN_ABI_VERSION);
    CHECK(cnn_numerics_version() == CNN_NUMERICS_VERSION);
}

int main(void)
{
    test_errors();
    test_names();
    test_isa();
    test_float_state();
    test_memory();
    test_scratch();
    test_clock();
    test_threads();
    test_replace();
    test_read_at();
    (void)remove(FILE_NAME);
    CHECK(cnn_platform_environment("CNN_NO_SUCH_VARIABLE") == NULL);
    return check_finish();
}

/* The multiply-add of an instruction set, the portable one, and how wrong ones are found. */
#include "kernels/simd/simd.h"

#include "kernels/simd/fma.h" /* which the above includes for scalar alone */

#include "check.h"
#include "cnn/cnn.h"
#include "kernels/variant.h"

int cnn_fma_is_right_scalar_32(float (*tried)(float, float, float));
int cnn_fma_is_right_scalar_64(double (*tried)(double, double, double));

enum { TRIALS = 200000, MANTISSA = CNN_BITS == 32 ? 23 : 52 };

static const real unit = CNN_BITS == 32 ? R(0x1p-23) : (real)0x1p-52;
static const real least = CNN_BITS == 32 ? R(0x1p-149) : (real)0x1p-1074;
static const real most = CNN_BITS == 32 ? R(0x1p+127) : (real)0x1p+1023;

static bits pattern_of(real a)
{
    bits pattern;
    memcpy(&pattern, &a, sizeof a);
    return pattern;
}

static int same(real a, real b)
{
    return pattern_of(a) == pattern_of(b) || (a != a && b != b);
}

/* The first lane of a vector's multiply-add. */
static real lane_fma(real a, real b, real c)
{
    real lanes[V_LANES];
    v_store(lanes, v_fma(v_set1(a), v_set1(b), v_set1(c)));
    return lanes[0];
}

/* Both multiply-adds give what the exact sum rounds to. */
static void check_case(real a, real b, real c, real expected)
{
    CHECK(same(soft_fma(a, b, c), expected) && same(soft_fma(b, a, c), expected));
    CHECK(same(lane_fma(a, b, c), expected) && same(lane_fma(b, a, c), expected));
    CHECK(same(soft_fma(-a, -b, c), expected) && same(lane_fma(-a, -b, c), expected));
}

static void test_cases(void)
{
    const real middle = 1 + unit, tiny = unit * unit * unit, normal = least / unit;
    check_case(middle, middle, -1 - 2 * unit, unit * unit);
    check_case(1, unit / 2, 1, 1); /* ties go to the even one */
    check_case(1, unit / 2, middle, 1 + 2 * unit);
    check_case(middle, unit / 2, 1, middle); /* and what is a little more goes up */
    check_case(1 - unit, unit / 2, middle, middle);
    check_case(tiny, -tiny, middle, middle);
    check_case(most, 2, -most, most); /* the product alone overflows */
    check_case(most, most, -INFINITY, -INFINITY);
    check_case(most, 2, 0, INFINITY);
    check_case(least, R(0.5), least, 2 * least); /* or is denormal */
    check_case(least, R(0.5), 2 * least, 2 * least);
    check_case(3 * least, R(0.5), 0, 2 * least);
    check_case(middle, normal / 2, least, normal / 2 + 2 * least);
    check_case(middle * normal, unit / 2, normal / 2, normal / 2 + least);
    check_case(least, R(0.5), 0, 0);
    check_case(-least, R(0.5), 0, R(-0.0));
    check_case(-least, R(0.25), R(-0.0), R(-0.0));
    check_case(least, 1, -least, 0);
    check_case(-1, 0, R(-0.0), R(-0.0));
    check_case(-1, 0, 0, 0);
    check_case(INFINITY, 0, 1, NAN);
    check_case(INFINITY, 1, -INFINITY, NAN);
    check_case(NAN, 0, 1, NAN);
    check_case(2, 3, NAN, NAN);
}

/* Any number, or one near 1 so that sums cancel; few of its bits are 1, or many. */
static real random_real(uint64_t i)
{
    const uint32_t counter[4] = {(uint32_t)i, 0, 0, 0}, key[2] = {1, CNN_BITS};
    uint32_t words[4];
    cnn_random_philox(counter, key, words);
    bits pattern = (bits)(words[0] | (uint64_t)words[1] << 32);
    const bits fraction = ((bits)1 << MANTISSA) - 1, minus = (bits)1 << (CNN_BITS - 1);
    if (words[2] % 2 == 0) {
        const bits bias = CNN_BITS == 32 ? 127 : 1023;
        pattern = (pattern & (fraction | minus)) | (bias - 30 + words[2] / 2 % 60) << MANTISSA;
    }
    if (words[3] % 3 == 0)
        pattern &= ~fraction | (fraction << (MANTISSA - 4) & fraction);
    real value;
    memcpy(&value, &pattern, sizeof value);
    return value;
}

static void test_random(void)
{
    size_t wrong = 0;
    for (uint64_t i = 0; i < TRIALS; i++) {
        const real a = random_real(3 * i), b = random_real(3 * i + 1);
        const real c = i % 4 == 0 ? -(a * b) : random_real(3 * i + 2);
        wrong += !same(lane_fma(a, b, c), soft_fma(a, b, c));
        wrong += !same(lane_fma(-a, b, c), soft_fma(-a, b, c));
    }
    CHECK(wrong == 0);
}

/* ---- Wrong ones -------------------------------------------------------------------------- */

static float rounds_product_32(float a, float b, float c)
{
    volatile float product = a * b;
    return product + c;
}
static float rounds_sum_twice_32(float a, float b, float c)
{
    return (float)((double)a * (double)b + (double)c);
}
static double rounds_product_64(double a, double b, double c)
{
    volatile double product = a * b;
    return product + c;
}
static double loses_a_sign_64(double a, double b, double c)
{
    return c == 0 ? a * b + c : fma(a, b, c);
}
static float loses_a_sign_32(float a, float b, float c)
{
    return c == 0 ? a * b + c : fmaf(a, b, c);
}
/* Right unless the sum is denormal. */
static double rounds_denormals_twice_64(double a, double b, double c)
{
    const double sum = fma(a * 0x1p200, b, c * 0x1p200);
    return sum < 0x1p-822 && sum > -0x1p-822 ? sum * 0x1p-200 : fma(a, b, c);
}
/* Right unless the sum is just below a power of 2 that is c. */
static double returns_a_power_of_2_64(double a, double b, double c)
{
    const double sum = fma(a, b, c);
    return c == 1 && sum == 1 - 0x1p-53 ? 1 : sum;
}
/* Right unless the sum is half of the least number. */
static double rounds_a_denormal_tie_up_64(double a, double b, double c)
{
    const double sum = fma(a, b, c), twice = fma(2 * a, b, 2 * c);
    return sum == 0 && fabs(twice) == 0x1p-1074 ? twice : sum;
}

static void test_wrong_ones(void)
{
    CHECK(!cnn_fma_is_right_scalar_32(rounds_product_32));
    CHECK(!cnn_fma_is_right_scalar_32(rounds_sum_twice_32));
    CHECK(!cnn_fma_is_right_scalar_32(loses_a_sign_32));
    CHECK(!cnn_fma_is_right_scalar_64(rounds_product_64));
    CHECK(!cnn_fma_is_right_scalar_64(loses_a_sign_64));
    CHECK(!cnn_fma_is_right_scalar_64(rounds_denormals_twice_64));
    CHECK(!cnn_fma_is_right_scalar_64(returns_a_power_of_2_64));
    CHECK(!cnn_fma_is_right_scalar_64(rounds_a_denormal_tie_up_64));
}

int test_variant(void)
{
    test_cases();
    test_random();
    test_wrong_ones();
    return check_finish();
}

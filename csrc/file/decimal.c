#include "file/decimal.h"

#include <math.h>
#include <string.h>

#include "base/platform.h"

bool cnn_decimal_read(const char *text, size_t size, double *value)
{
    char copy[CNN_DECIMAL_MAX + 1];
    if (size > CNN_DECIMAL_MAX)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    const uint64_t before = cnn_platform_float_enter();
    *value = cnn_platform_read_double(copy);
    cnn_platform_float_leave(before);
    return isfinite(*value);
}

void cnn_decimal_write(double value, char text[CNN_DECIMAL_SIZE])
{
    double back = 0;
    const uint64_t before = cnn_platform_float_enter();
    for (int digits = 15; digits <= 17; digits++) {
        cnn_platform_print_double(text, CNN_DECIMAL_SIZE, digits, value);
        if (cnn_decimal_read(text, strlen(text), &back) && memcmp(&back, &value, sizeof value) == 0)
            break;
    }
    cnn_platform_float_leave(before);
}

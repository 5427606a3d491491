#include "run/samples.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/convert.h"
#include "base/error.h"
#include "base/structs.h"
#include "kernels/dispatch.h"

cnn_status cnn_matrix_check(const cnn_matrix *matrix, const char *name, size_t rows, size_t cols)
{
    const cnn_status status = cnn_struct_check_fixed(name, sizeof *matrix, matrix);
    if (status != CNN_OK)
        return status;
    if (cnn_dtype_size(matrix->dtype) == 0)
        return cnn_fail(CNN_ERROR_TYPE, "%s has dtype %d, which is none of cnn_dtype", name,
                        (int)matrix->dtype);
    if (matrix->rows != rows || matrix->cols != cols)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s has shape (%zu, %zu), should be (%zu, %zu)", name,
                        matrix->rows, matrix->cols, rows, cols);
    if (!matrix->data && rows > 0 && cols > 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s has data NULL", name);
    return CNN_OK;
}

cnn_status cnn_samples_check(const cnn_loss *loss, const cnn_matrix *t,
                             const cnn_matrix *sample_weight, size_t rows, size_t outputs)
{
    if (!t)
        return cnn_fail(CNN_ERROR_ARGUMENT, "t is NULL");
    const cnn_status status =
        cnn_matrix_check(t, "t", rows, loss->target == CNN_TARGET_LABELS ? 1 : outputs);
    if (status != CNN_OK || !sample_weight || !sample_weight->data)
        return status;
    return cnn_matrix_check(sample_weight, "sample_weight", rows, 1);
}

/* Whether the class weights go into rows of targets; see cnn_targets. */
static bool weighs_classes(const cnn_loss *loss)
{
    return loss->class_weight && loss->label_smoothing > 0;
}

/* The power of 2 by which class weights are divided that go into targets: float32 holds the rest.
 */
static double class_weight_unit(const cnn_loss *loss, size_t outputs)
{
    double largest = 0;
    for (size_t j = 0; j < outputs; j++)
        largest = fmax(largest, loss->class_weight[j]);
    int exponent = 0;
    (void)frexp(largest, &exponent);
    return ldexp(1, exponent);
}

/*
 * A row of targets for a label, as PyTorch's CrossEntropyLoss(weight, label_smoothing=s) has it,
 * but for the unit of the class weights.
 */
static void weigh_classes(const cnn_loss *loss, double unit, int64_t label, size_t outputs,
                          cnn_dtype dtype, const cnn_targets *targets, size_t row)
{
    const double s = loss->label_smoothing;
    for (size_t j = 0; j < outputs; j++) {
        const double weight = loss->class_weight[j] / unit;
        const double own = (size_t)label == j ? (1 - s) * weight : 0;
        const double value = own + s / (double)outputs * weight;
        const size_t at = row * targets->t_row + j;
        if (dtype == CNN_FLOAT32)
            ((float *)targets->t)[at] = (float)value;
        else
            ((double *)targets->t)[at] = value;
    }
}

static cnn_status read_labels(const cnn_loss *loss, const cnn_matrix *t, size_t outputs,
                              cnn_dtype dtype, const size_t *index, size_t first, size_t count,
                              const cnn_targets *targets)
{
    const double unit = weighs_classes(loss) ? class_weight_unit(loss, outputs) : 1;
    cnn_convert_labels(t, index, first, count, targets->labels);
    for (size_t i = 0; i < count; i++) {
        const int64_t label = targets->labels[i];
        if (label < 0 || (uint64_t)label >= outputs)
            return cnn_fail(CNN_ERROR_ARGUMENT,
                            "t has label %lld in row %zu, but the output layer has %zu classes "
                            "(labels 0 to %zu)",
                            (long long)label, index ? index[i] : first + i, outputs, outputs - 1);
        if (!loss->class_weight)
            continue;
        targets->weight[i] *= loss->class_weight[label];
        if (weighs_classes(loss)) {
            weigh_classes(loss, unit, label, outputs, dtype, targets, i);
            targets->factor[i] *= unit;
        } else {
            targets->factor[i] = targets->weight[i];
        }
    }
    return CNN_OK;
}

cnn_status cnn_sample_weight_read(const cnn_matrix *sample_weight, const size_t *index,
                                  size_t first, size_t count, const cnn_targets *targets)
{
    if (sample_weight && sample_weight->data) {
        cnn_convert_rows(sample_weight, index, first, count, CNN_FLOAT64, targets->weight, 1);
        for (size_t i = 0; i < count; i++)
            if (!(targets->weight[i] >= 0 && targets->weight[i] <= CNN_LARGEST_WEIGHT))
                return cnn_fail(CNN_ERROR_ARGUMENT,
                                "sample_weight of row %zu is %g, should be finite and not "
                                "negative, at most %g",
                                index ? index[i] : first + i, targets->weight[i],
                                CNN_LARGEST_WEIGHT);
    } else {
        for (size_t i = 0; i < count; i++)
            targets->weight[i] = 1;
    }
    memcpy(targets->factor, targets->weight, count * sizeof *targets->factor);
    return CNN_OK;
}

cnn_status cnn_samples_read(const cnn_loss *loss, const cnn_matrix *t,
                            const cnn_matrix *sample_weight, size_t outputs, cnn_dtype dtype,
                            const size_t *index, size_t first, size_t count,
                            const cnn_targets *targets)
{
    const cnn_status status = cnn_sample_weight_read(sample_weight, index, first, count, targets);
    if (status != CNN_OK)
        return status;
    if (loss->target == CNN_TARGET_LABELS)
        return read_labels(loss, t, outputs, dtype, index, first, count, targets);
    cnn_convert_rows(t, index, first, count, dtype, targets->t, targets->t_row);
    return CNN_OK;
}

/* ---- Numbers that are not finite --------------------------------------------------------- */

cnn_status cnn_fail_number(cnn_status status, const char *name, const cnn_matrix *matrix,
                           cnn_dtype dtype, size_t row, size_t col, const char *should)
{
    cnn_matrix one = *matrix;
    one.data = (const char *)matrix->data + (ptrdiff_t)col * matrix->col_stride;
    one.cols = 1;
    double number;
    cnn_convert_rows(&one, &row, 0, 1, CNN_FLOAT64, &number, 1);
    const bool overflows = dtype == CNN_FLOAT32 && isfinite(number) && !isfinite((float)number);
    return cnn_fail(status, "%s has %g in row %zu, column %zu%s, should be %s", name, number, row,
                    col, overflows ? ", which overflows float32" : "", should);
}

/* The range of a loss's targets; ends that are largest numbers stand for any that is finite. */
struct range {
    double low, high;
    const char *should;
};

static struct range range_of(cnn_loss_kind kind)
{
    switch (kind) {
    case CNN_CROSS_ENTROPY:
    case CNN_POISSON:
        return (struct range){0, DBL_MAX, "finite and at least 0"};
    case CNN_BINARY_CROSS_ENTROPY:
        return (struct range){0, 1, "from 0 to 1"};
    default:
        return (struct range){-DBL_MAX, DBL_MAX, "finite"};
    }
}

/* Whether n numbers are at least 0 and in range. Without branches, so that loops are vectorised. */
static bool row_in_range(const struct range *range, cnn_dtype dtype, size_t n, const void *numbers)
{
    int bad = 0;
    if (dtype == CNN_FLOAT32) {
        const float *x = numbers, high = range->high > 1 ? FLT_MAX : 1;
        for (size_t i = 0; i < n; i++)
            bad |= !(x[i] >= 0) | !(x[i] <= high);
    } else {
        const double *x = numbers, high = range->high;
        for (size_t i = 0; i < n; i++)
            bad |= !(x[i] >= 0) | !(x[i] <= high);
    }
    return bad == 0;
}

/* Whether (rows, cols) numbers are in range. */
static bool all_in_range(const struct range *range, cnn_dtype dtype, size_t rows, size_t cols,
                         const void *numbers, size_t row)
{
    if (range->low < 0)
        return cnn_dispatch(dtype)->finite(rows, cols, numbers, row);
    for (size_t i = 0; i < rows; i++)
        if (!row_in_range(range, dtype, cols,
                          (const char *)numbers + i * row * cnn_dtype_size(dtype)))
            return false;
    return true;
}

cnn_status cnn_targets_check(const cnn_loss *loss, const cnn_matrix *t, size_t outputs,
                             cnn_dtype dtype, const size_t *index, size_t first, size_t count,
                             const cnn_targets *targets)
{
    if (loss->target == CNN_TARGET_LABELS)
        return CNN_OK;
    const struct range range = range_of(loss->kind);
    if (all_in_range(&range, dtype, count, outputs, targets->t, targets->t_row))
        return CNN_OK;
    const size_t size = cnn_dtype_size(dtype), row = targets->t_row;
    const char *const numbers = targets->t;
    size_t i = 0, j = 0;
    while (all_in_range(&range, dtype, 1, outputs, numbers + i * row * size, row))
        i++;
    while (all_in_range(&range, dtype, 1, 1, numbers + (i * row + j) * size, row))
        j++;
    return cnn_fail_number(CNN_ERROR_ARGUMENT, "t", t, dtype, index ? index[i] : first + i, j,
                           range.should);
}

/* ---- Sums -------------------------------------------------------------------------------- */

void cnn_lanes_add(cnn_lanes *lanes, size_t n, const double *x)
{
    for (size_t i = 0; i < n; i++)
        lanes->lane[(lanes->count + i) % 16] += x[i];
    lanes->count += n;
}

void cnn_lanes_add_products(cnn_lanes *lanes, size_t n, const double *x, const double *y)
{
    for (size_t i = 0; i < n; i++)
        lanes->lane[(lanes->count + i) % 16] += x[i] * y[i];
    lanes->count += n;
}

double cnn_lanes_total(const cnn_lanes *lanes)
{
    cnn_lanes sum = *lanes;
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++)
            sum.lane[l] += sum.lane[l + half];
    return sum.lane[0];
}

cnn_loss_rows cnn_targets_loss(const cnn_loss *loss, const cnn_targets *targets, cnn_dtype dtype,
                               size_t first)
{
    const bool labels = loss->target == CNN_TARGET_LABELS, weighed = labels && weighs_classes(loss);
    const size_t t_bytes = targets->t_row * cnn_dtype_size(dtype);
    return (cnn_loss_rows){
        .kind = loss->kind,
        .t = labels && !weighed ? NULL : (const char *)targets->t + first * t_bytes,
        .t_row = targets->t_row,
        .labels = labels ? targets->labels + first : NULL,
        .weight = targets->factor + first,
        .delta = cnn_loss_delta(loss),
        .label_smoothing = weighed ? 0 : loss->label_smoothing,
        .quantiles = loss->quantiles,
    };
}

size_t cnn_targets_counted(const cnn_targets *targets, size_t n)
{
    size_t counted = 0;
    for (size_t i = 0; i < n; i++)
        counted += targets->factor[i] != 0;
    return counted;
}

double cnn_weights_scale(size_t n, const cnn_targets *targets, bool mean, double *scale)
{
    cnn_lanes weights = {.count = 0};
    cnn_lanes_add(&weights, n, targets->weight);
    const double total = cnn_lanes_total(&weights);
    for (size_t i = 0; i < n; i++)
        scale[i] = !mean ? targets->factor[i] : total > 0 ? targets->factor[i] / total : 0;
    return total;
}

double cnn_loss_mean(const cnn_network *network, double losses, double weights)
{
    return (weights > 0 ? losses / weights : 0) + cnn_network_penalty(network);
}

cnn_status cnn_weights_check(const cnn_loss *loss, const cnn_matrix *sample_weight, double total)
{
    if (total >= CNN_LEAST_WEIGHT_SUM)
        return CNN_OK;
    const bool samples = sample_weight && sample_weight->data, classes = loss->class_weight;
    const char *const what = samples && classes ? "sample_weight times class_weight"
                             : samples          ? "sample_weight"
                                                : "class_weight";
    if (total == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is 0 in all rows, should be more in one at least",
                        what);
    return cnn_fail(CNN_ERROR_ARGUMENT, "%s adds up to %g, should be at least %g", what, total,
                    CNN_LEAST_WEIGHT_SUM);
}

/* ---- Results ----------------------------------------------------------------------------- */

cnn_status cnn_result_begin(const cnn_result *result, cnn_result *made)
{
    const cnn_result *whole = cnn_result_read(result, "result", made);
    if (!whole)
        return CNN_ERROR_ARGUMENT;
    if (!whole->accumulate)
        memset(made, 0, sizeof *made);
    else if (whole != made)
        *made = *whole;
    made->struct_size = sizeof *made;
    return CNN_OK;
}

void cnn_result_end(cnn_result *result, const cnn_result *made)
{
    (void)cnn_result_write(made, "result", result); /* its size was checked at the beginning */
}

/* ---- Networks ---------------------------------------------------------------------------- */

/* That the structs, which are whole, go with each other and with the network. */
static cnn_status check_call(const cnn_network *network, const cnn_loss *loss, const cnn_data *data)
{
    const size_t outputs = network->shape.outputs;
    cnn_status status = cnn_loss_check(loss, outputs);
    if (status == CNN_OK)
        status = cnn_matrix_check(&data->x, "x", data->x.rows, network->shape.inputs);
    if (status == CNN_OK)
        status = cnn_samples_check(loss, &data->t, &data->sample_weight, data->x.rows, outputs);
    if (status == CNN_OK)
        status = cnn_loss_check_output(loss, cnn_network_last(network)->activation.kind, outputs);
    return status;
}

cnn_status cnn_network_check(const cnn_network *network, const cnn_loss **loss,
                             const cnn_data **data, cnn_call_structs *space)
{
    if (!network)
        return cnn_fail(CNN_ERROR_ARGUMENT, "network is NULL");
    *data = cnn_data_read(*data, "data", &space->data);
    if (*data)
        *loss = cnn_loss_read(*loss, "loss", &space->loss);
    return *data && *loss ? check_call(network, *loss, *data) : CNN_ERROR_ARGUMENT;
}

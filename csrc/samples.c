#include "samples.h"

#include <string.h>

#include "convert.h"
#include "error.h"

cnn_status cnn_loss_check(const cnn_loss *loss, size_t outputs)
{
    if (!loss)
        return cnn_fail(CNN_ERROR_ARGUMENT, "loss is NULL");
    if (loss->struct_size != sizeof *loss)
        return cnn_fail(CNN_ERROR_ARGUMENT, "loss has struct_size %zu, should be %zu",
                        loss->struct_size, sizeof *loss);
    if (!cnn_loss_name((int)loss->kind))
        return cnn_fail(CNN_ERROR_ARGUMENT, "loss has kind %d, should be 0 to %d", (int)loss->kind,
                        CNN_LOSS_COUNT - 1);
    if (loss->target != CNN_TARGET_ROWS && loss->target != CNN_TARGET_LABELS)
        return cnn_fail(CNN_ERROR_ARGUMENT, "loss has target kind %d, should be 0 or 1",
                        (int)loss->target);
    if (loss->target == CNN_TARGET_LABELS && loss->kind != CNN_CROSS_ENTROPY)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s takes rows of targets, not labels",
                        cnn_loss_name((int)loss->kind));
    if (!(loss->delta >= 0 && loss->delta <= CNN_LARGEST))
        return cnn_fail(CNN_ERROR_ARGUMENT, "delta is %g, should be positive", loss->delta);
    if (!(loss->label_smoothing >= 0 && loss->label_smoothing < 1))
        return cnn_fail(CNN_ERROR_ARGUMENT, "label_smoothing is %g, should be in [0, 1)",
                        loss->label_smoothing);
    if (loss->label_smoothing > 0 && loss->kind != CNN_CROSS_ENTROPY)
        return cnn_fail(CNN_ERROR_ARGUMENT, "label_smoothing belongs to cross_entropy, not to %s",
                        cnn_loss_name((int)loss->kind));
    if (!loss->class_weight)
        return CNN_OK;
    if (loss->target != CNN_TARGET_LABELS)
        return cnn_fail(CNN_ERROR_ARGUMENT, "class_weight needs labels as targets");
    for (size_t j = 0; j < outputs; j++)
        if (!(loss->class_weight[j] >= 0 && loss->class_weight[j] <= CNN_LARGEST))
            return cnn_fail(CNN_ERROR_ARGUMENT,
                            "class_weight of class %zu is %g, should be finite and not negative", j,
                            loss->class_weight[j]);
    return CNN_OK;
}

cnn_status cnn_matrix_check(const cnn_matrix *matrix, const char *name, size_t rows, size_t cols)
{
    if (matrix->struct_size != sizeof *matrix)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s has struct_size %zu, should be %zu", name,
                        matrix->struct_size, sizeof *matrix);
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

/* A row of targets for a label, as PyTorch's CrossEntropyLoss(weight, label_smoothing=s) has it. */
static void weigh_classes(const cnn_loss *loss, int64_t label, size_t outputs, cnn_dtype dtype,
                          const cnn_targets *targets, size_t row)
{
    const double s = loss->label_smoothing;
    for (size_t j = 0; j < outputs; j++) {
        const double own = (size_t)label == j ? (1 - s) * loss->class_weight[j] : 0;
        const double value = own + s / (double)outputs * loss->class_weight[j];
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
        if (weighs_classes(loss))
            weigh_classes(loss, label, outputs, dtype, targets, i);
        else
            targets->factor[i] = targets->weight[i];
    }
    return CNN_OK;
}

cnn_status cnn_samples_read(const cnn_loss *loss, const cnn_matrix *t,
                            const cnn_matrix *sample_weight, size_t outputs, cnn_dtype dtype,
                            const size_t *index, size_t first, size_t count,
                            const cnn_targets *targets)
{
    if (sample_weight && sample_weight->data) {
        cnn_convert_rows(sample_weight, index, first, count, CNN_FLOAT64, targets->weight, 1);
        for (size_t i = 0; i < count; i++)
            if (!(targets->weight[i] >= 0 && targets->weight[i] <= CNN_LARGEST))
                return cnn_fail(CNN_ERROR_ARGUMENT,
                                "sample_weight of row %zu is %g, should be finite and not negative",
                                index ? index[i] : first + i, targets->weight[i]);
    } else {
        for (size_t i = 0; i < count; i++)
            targets->weight[i] = 1;
    }
    memcpy(targets->factor, targets->weight, count * sizeof *targets->factor);
    if (loss->target == CNN_TARGET_LABELS)
        return read_labels(loss, t, outputs, dtype, index, first, count, targets);
    cnn_convert_rows(t, index, first, count, dtype, targets->t, targets->t_row);
    return CNN_OK;
}

void cnn_lanes_add(cnn_lanes *lanes, size_t n, const double *x)
{
    for (size_t i = 0; i < n; i++)
        lanes->lane[i % 16] += x[i];
}

void cnn_lanes_add_products(cnn_lanes *lanes, size_t n, const double *x, const double *y)
{
    for (size_t i = 0; i < n; i++)
        lanes->lane[i % 16] += x[i] * y[i];
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
    };
}

size_t cnn_targets_counted(const cnn_targets *targets, size_t n)
{
    size_t counted = 0;
    for (size_t i = 0; i < n; i++)
        counted += targets->factor[i] != 0;
    return counted;
}

cnn_status cnn_result_check(const cnn_result *result)
{
    if (result && (result->struct_size == sizeof *result ||
                   result->struct_size == offsetof(cnn_result, counted)))
        return CNN_OK;
    return cnn_fail(CNN_ERROR_ARGUMENT, "result is NULL or has a wrong struct_size");
}

void cnn_result_store(cnn_result *result, const cnn_result *made)
{
    const size_t size = result->struct_size;
    memcpy(result, made, size);
    result->struct_size = size;
}

double cnn_weights_scale(size_t n, const cnn_targets *targets, double *scale)
{
    cnn_lanes weights = {{0}};
    cnn_lanes_add(&weights, n, targets->weight);
    const double total = cnn_lanes_total(&weights);
    for (size_t i = 0; i < n; i++)
        scale[i] = total > 0 ? targets->factor[i] / total : 0;
    return total;
}

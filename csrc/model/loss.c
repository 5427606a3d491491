#include "model/loss.h"

/* Check the levels of quantile, which the caller has given. */
static cnn_status check_quantiles(const cnn_loss *loss, size_t outputs)
{
    const double *level = loss->quantiles;
    if (loss->kind != CNN_QUANTILE)
        return cnn_fail(CNN_ERROR_ARGUMENT, "quantiles belong to quantile, not to %s",
                        cnn_loss_name((int)loss->kind));
    for (size_t j = 0; j < outputs; j++) {
        if (!(level[j] > 0 && level[j] < 1))
            return cnn_fail(CNN_ERROR_ARGUMENT,
                            "quantiles has %g at index %zu, should be more than 0 and less than 1",
                            level[j], j);
        if (j > 0 && level[j] <= level[j - 1])
            return cnn_fail(CNN_ERROR_ARGUMENT,
                            "quantiles has %g at index %zu, should be more than %g, the one before",
                            level[j], j, level[j - 1]);
    }
    return CNN_OK;
}

cnn_status cnn_loss_check(const cnn_loss *loss, size_t outputs)
{
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
        return cnn_fail(CNN_ERROR_ARGUMENT, "delta is %g, should be positive, at most %g",
                        loss->delta, CNN_LARGEST);
    if (!(loss->label_smoothing >= 0 && loss->label_smoothing < 1))
        return cnn_fail(CNN_ERROR_ARGUMENT, "label_smoothing is %g, should be in [0, 1)",
                        loss->label_smoothing);
    if (loss->label_smoothing > 0 && loss->kind != CNN_CROSS_ENTROPY)
        return cnn_fail(CNN_ERROR_ARGUMENT, "label_smoothing belongs to cross_entropy, not to %s",
                        cnn_loss_name((int)loss->kind));
    if (loss->quantiles) {
        const cnn_status status = check_quantiles(loss, outputs);
        if (status != CNN_OK)
            return status;
    }
    if (!loss->class_weight)
        return CNN_OK;
    if (loss->target != CNN_TARGET_LABELS)
        return cnn_fail(CNN_ERROR_ARGUMENT, "class_weight needs labels as targets");
    for (size_t j = 0; j < outputs; j++)
        if (!(loss->class_weight[j] >= 0 && loss->class_weight[j] <= CNN_LARGEST_WEIGHT))
            return cnn_fail(CNN_ERROR_ARGUMENT,
                            "class_weight of class %zu is %g, should be finite and not negative, "
                            "at most %g",
                            j, loss->class_weight[j], CNN_LARGEST_WEIGHT);
    return CNN_OK;
}

cnn_status cnn_loss_check_output(const cnn_loss *loss, cnn_activation activation, size_t outputs)
{
    const int needs = cnn_loss_output((int)loss->kind), has = (int)activation;
    const bool any = needs == CNN_ANY_OUTPUT;
    if (any ? has == CNN_SOFTMAX : has != needs)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s does not go with the output layer's %s%s%s",
                        cnn_loss_name((int)loss->kind), cnn_activation_name(has),
                        any ? "" : "; it needs ", any ? "" : cnn_activation_name(needs));
    if (loss->kind == CNN_CROSS_ENTROPY && outputs == 1)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "cross_entropy of one output is 0, whatever the weights; should be sigmoid "
                        "with binary_cross_entropy, or 2 outputs");
    return CNN_OK;
}

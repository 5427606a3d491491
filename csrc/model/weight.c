#include "model/weight.h"

#include <string.h>

cnn_weight cnn_weight_make(const cnn_kernels *kernels, size_t real_size, size_t inputs,
                           size_t outputs)
{
    const size_t panel = kernels->panel;
    const bool padded = outputs > panel / 2;
    cnn_weight weight = {
        .kernels = kernels,
        .real_size = real_size,
        .b_k = {[CNN_ROW_MAJOR] = outputs, [CNN_PANELS] = padded ? panel : outputs},
        .b_panel = {[CNN_ROW_MAJOR] = panel, [CNN_PANELS] = inputs * panel},
        .fresh = CNN_FRESH_ALL,
    };
    for (int form = 0; form < CNN_FORM_COUNT; form++)
        weight.layout[form] = (cnn_layout){
            .form = (cnn_form)form,
            .rows = inputs,
            .cols = outputs,
            .panel = panel,
            .padded = padded,
        };
    return weight;
}

static cnn_rectangle whole(const cnn_weight *weight)
{
    const cnn_layout *layout = &weight->layout[CNN_ROW_MAJOR];
    return (cnn_rectangle){.m = layout->rows, .n = layout->cols};
}

void cnn_weight_unpack(const cnn_weight *weight, const cnn_rectangle *r)
{
    cnn_layout_copy(&weight->layout[CNN_PANELS], weight->memory[CNN_PANELS],
                    &weight->layout[CNN_ROW_MAJOR], weight->memory[CNN_ROW_MAJOR],
                    weight->real_size, r);
}

static void pack(const cnn_weight *weight)
{
    const cnn_layout *layout = &weight->layout[CNN_PANELS];
    if (!layout->padded) { /* both forms are the same */
        memcpy(weight->memory[CNN_PANELS], weight->memory[CNN_ROW_MAJOR],
               cnn_layout_span(layout) * weight->real_size);
        return;
    }
    const cnn_pack pack = {
        .k = layout->rows,
        .n = layout->cols,
        .b = weight->memory[CNN_ROW_MAJOR],
        .b_row = layout->cols,
        .b_col = 1,
        .packed = weight->memory[CNN_PANELS],
        .b_panel = layout->rows * layout->panel,
    };
    weight->kernels->pack(&pack);
}

void cnn_weight_refresh(cnn_weight *weight, cnn_form form)
{
    if (weight->fresh & 1u << form)
        return;
    if (form == CNN_PANELS) {
        pack(weight);
    } else {
        const cnn_rectangle all = whole(weight);
        cnn_weight_unpack(weight, &all);
    }
    weight->fresh |= 1u << form;
}

void cnn_weight_read(const cnn_weight *weight, void *values)
{
    const cnn_rectangle all = whole(weight);
    if (weight->fresh & CNN_FRESH_ROW_MAJOR)
        memcpy(values, weight->memory[CNN_ROW_MAJOR], all.m * all.n * weight->real_size);
    else
        cnn_layout_copy(&weight->layout[CNN_PANELS], weight->memory[CNN_PANELS],
                        &weight->layout[CNN_ROW_MAJOR], values, weight->real_size, &all);
}

bool cnn_weight_is_finite(const cnn_weight *weight, cnn_form form)
{
    const size_t count = cnn_weight_span(weight, form);
    return weight->kernels->finite(1, count, weight->memory[form], count);
}

double cnn_weight_largest(const cnn_weight *weight, cnn_form form)
{
    const size_t count = cnn_weight_span(weight, form);
    return weight->kernels->largest(1, count, weight->memory[form], count);
}

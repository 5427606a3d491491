/* The columns stage: features of numbers, categories and what is missing, of the rows of a table.
 */
#include "model/columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The most rows of the table of embeddings: those of a batch's codes are sorted by 32 bits. */
#define MOST_TABLE_ROWS ((size_t)UINT32_MAX)
#define MOST_EMBEDDING ((size_t)1024)

/* ---- Building ---------------------------------------------------------------------------- */

static bool has_categories(cnn_column_kind kind)
{
    return kind == CNN_COLUMN_ONE_HOT || kind == CNN_COLUMN_EMBEDDING;
}

static bool is_number(cnn_column_kind kind)
{
    return kind == CNN_COLUMN_NUMBER || kind == CNN_COLUMN_PERIODIC;
}

/* Features of one column. */
static size_t features_of(const cnn_layer *layer, const cnn_column *column)
{
    const size_t missing = column->missing != 0;
    switch (column->kind) {
    case CNN_COLUMN_NUMBER:
        return 1 + missing;
    case CNN_COLUMN_PERIODIC:
        return layer->periodic_size + missing;
    case CNN_COLUMN_ONE_HOT:
        return column->categories == 2 ? 1 : column->categories;
    case CNN_COLUMN_EMBEDDING:
        return layer->embedding_size;
    default:
        return 0;
    }
}

size_t cnn_columns_features(const cnn_layer *layer)
{
    size_t features = 0;
    for (size_t j = 0; j < layer->inputs; j++)
        features += features_of(layer, &layer->columns[j]);
    return features;
}

/* Columns of a kind, and their categories. */
static size_t count_kind(const cnn_layer *layer, cnn_column_kind kind, size_t *categories)
{
    size_t count = 0;
    *categories = 0;
    for (size_t j = 0; j < layer->inputs; j++)
        if (layer->columns[j].kind == kind) {
            count++;
            *categories += layer->columns[j].categories;
        }
    return count;
}

static cnn_status check_column(const cnn_layer *layer, size_t index, size_t j)
{
    const cnn_column *column = &layer->columns[j];
    if ((size_t)column->kind >= CNN_COLUMN_KIND_COUNT)
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu: column %zu has kind %d, should be 0 to %d",
                        index, j, (int)column->kind, CNN_COLUMN_KIND_COUNT - 1);
    const char *name = cnn_column_kind_name((int)column->kind);
    if (has_categories(column->kind)
            ? column->categories == 0 || column->categories > CNN_MOST_CATEGORIES
            : column->categories != 0)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu: column %zu, a %s one, has %zu categories, should be %s", index,
                        j, name, column->categories,
                        has_categories(column->kind) ? "1 to 16777216" : "0");
    if (column->missing != 0 && !is_number(column->kind))
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu: column %zu, a %s one, has missing %d, should be 0", index, j,
                        name, column->missing);
    return CNN_OK;
}

/* Check a size that belongs to columns of a kind: from `least` to `most`, or 0 without any. */
static cnn_status check_size(size_t index, const char *name, size_t size, size_t columns,
                             size_t least, size_t most, const char *kind)
{
    if (columns > 0 ? size >= least && size <= most : size == 0)
        return CNN_OK;
    if (columns == 0)
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has %s %zu, but no %s column: should be 0",
                        index, name, size, kind);
    return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has %s %zu, should be %zu to %zu", index, name,
                    size, least, most);
}

static cnn_status check_sizes(const cnn_layer *layer, size_t index)
{
    size_t categories;
    const size_t periodic = count_kind(layer, CNN_COLUMN_PERIODIC, &categories);
    const size_t embedded = count_kind(layer, CNN_COLUMN_EMBEDDING, &categories);
    cnn_status status = check_size(index, "frequencies", layer->frequencies, periodic, 1,
                                   CNN_MOST_FREQUENCIES, "periodic");
    if (status == CNN_OK)
        status = check_size(index, "periodic_size", layer->periodic_size, periodic, 2,
                            CNN_MOST_PERIODIC, "periodic");
    if (status == CNN_OK)
        status = check_size(index, "embedding_size", layer->embedding_size, embedded, 1,
                            MOST_EMBEDDING, "embedding");
    if (status == CNN_OK && categories > MOST_TABLE_ROWS)
        status = cnn_fail(CNN_ERROR_ARGUMENT,
                          "layer %zu embeds %zu categories in all, should be at most %zu", index,
                          categories, MOST_TABLE_ROWS);
    if (status == CNN_OK && cnn_columns_features(layer) == 0)
        status = cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu makes no features of its columns", index);
    if (status == CNN_OK && layer->outputs != 0 && layer->outputs != cnn_columns_features(layer))
        status = cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has %zu outputs, should be %zu, or 0",
                          index, layer->outputs, cnn_columns_features(layer));
    return status;
}

static cnn_status check(size_t count, const cnn_layer *layers, size_t index)
{
    const cnn_layer *layer = &layers[index];
    if (index > 0)
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "layer %zu is a columns layer, which belongs in the first place", index);
    if (layer->inputs == 0 || layer->inputs > SIZE_MAX / 64 || !layer->columns)
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has %zu inputs and %s columns, needs both",
                        index, layer->inputs, layer->columns ? "given" : "no");
    if (!(layer->clip >= 0 && layer->clip <= CNN_LARGEST))
        return cnn_fail(CNN_ERROR_ARGUMENT, "layer %zu has clip %g, should be from 0 to %g", index,
                        layer->clip, CNN_LARGEST);
    cnn_status status = CNN_OK;
    for (size_t j = 0; j < layer->inputs && status == CNN_OK; j++)
        status = check_column(layer, index, j);
    if (status == CNN_OK)
        status = check_sizes(layer, index);
    return status == CNN_OK ? cnn_layer_check_next(count, layers, index, "columns") : status;
}

static size_t tensors(const cnn_layer *layer, cnn_tensor list[CNN_STAGE_TENSORS])
{
    size_t count = 0, categories;
    const size_t periodic = count_kind(layer, CNN_COLUMN_PERIODIC, &categories);
    (void)count_kind(layer, CNN_COLUMN_EMBEDDING, &categories);
    if (categories > 0)
        list[count++] =
            (cnn_tensor){.kind = CNN_EMBEDDING, .rows = categories, .cols = layer->embedding_size};
    if (periodic > 0)
        list[count++] =
            (cnn_tensor){.kind = CNN_PERIODIC,
                         .rows = periodic,
                         .cols = cnn_periodic_span(layer->frequencies, layer->periodic_size)};
    list[count++] = (cnn_tensor){.kind = CNN_MEAN, .rows = 1, .cols = layer->inputs, .fixed = true};
    list[count++] =
        (cnn_tensor){.kind = CNN_SCALE, .rows = 1, .cols = layer->inputs, .fixed = true};
    return count;
}

cnn_columns cnn_columns_make(const cnn_layer *layer)
{
    cnn_column_place *places = calloc(layer->inputs, sizeof *places);
    cnn_columns columns = {
        .inputs = layer->inputs,
        .places = places,
        .clip = layer->clip,
        .frequencies = layer->frequencies,
        .size = layer->periodic_size,
        .embedding_size = layer->embedding_size,
    };
    size_t periodic = 0, table_rows = 0;
    for (size_t j = 0; j < layer->inputs && places; j++) {
        const cnn_column *column = &layer->columns[j];
        const bool embedded = column->kind == CNN_COLUMN_EMBEDDING;
        places[j] = (cnn_column_place){
            .kind = column->kind,
            .missing = column->missing != 0,
            .categories = column->categories,
            .feature = columns.features,
            .first = embedded ? table_rows : periodic,
        };
        columns.features += features_of(layer, column);
        columns.embedded += embedded;
        table_rows += embedded ? column->categories : 0;
        periodic += column->kind == CNN_COLUMN_PERIODIC;
    }
    return columns;
}

/* ---- Forward and back -------------------------------------------------------------------- */

/* The stage's numbers, for kernels. */
static cnn_columns columns_of(const cnn_stage *stage)
{
    cnn_columns columns = stage->columns;
    columns.mean = stage->tensors[CNN_MEAN];
    columns.scale = stage->tensors[CNN_SCALE];
    columns.periodic = stage->tensors[CNN_PERIODIC];
    columns.embedding = stage->tensors[CNN_EMBEDDING];
    return columns;
}

static void forward(const cnn_stage *stage, const cnn_forward *f)
{
    const cnn_columns columns = columns_of(stage);
    stage->kernels->columns_forward(&columns, f->rows, f->in, f->in_row, f->out, f->out_row);
}

/* No stage is below. */
static void backward(const cnn_stage *stage, const cnn_backward *b)
{
    const cnn_columns columns = columns_of(stage);
    if (b->to)
        stage->kernels->columns_backward(&columns, b->rows, b->in, b->in_row, b->delta,
                                         b->delta_row, b->to, b->to_row);
}

/* ---- Which rows of the table were used --------------------------------------------------- */

/* Codes of a batch as numbers of 64 bits: the row of the table, then the row of the batch. */
static size_t list_codes(const cnn_stage *stage, const cnn_passed *passed)
{
    const cnn_columns *columns = &stage->columns;
    size_t count = 0;
    for (size_t j = 0; j < columns->inputs; j++) {
        const cnn_column_place *place = &columns->places[j];
        if (place->kind != CNN_COLUMN_EMBEDDING)
            continue;
        for (size_t i = 0; i < passed->rows; i++) {
            const size_t at = i * passed->in_row + j;
            const double code = stage->real_size == sizeof(float)
                                    ? (double)((const float *)passed->in)[at]
                                    : ((const double *)passed->in)[at];
            if (code >= 0 && code < (double)place->categories && code == floor(code))
                passed->order[count++] = (uint64_t)(place->first + (size_t)code) << 32 | i;
        }
    }
    return count;
}

/* Sort by 8 bits from bit `shift` on; equal ones stay in order. */
static void sort_digit(size_t count, const uint64_t *from, uint64_t *to, unsigned shift)
{
    size_t begins[257] = {0};
    for (size_t i = 0; i < count; i++)
        begins[(from[i] >> shift & 255) + 1]++;
    for (size_t d = 0; d < 256; d++)
        begins[d + 1] += begins[d];
    for (size_t i = 0; i < count; i++)
        to[begins[from[i] >> shift & 255]++] = from[i];
}

/* Where the numbers of the batch's rows are, after the sorted codes. */
static uint32_t *index_of(const cnn_stage *stage, const cnn_passed *passed)
{
    return (uint32_t *)(void *)(passed->order + passed->rows * stage->columns.embedded);
}

size_t cnn_columns_sort(const cnn_stage *stage, const cnn_passed *passed)
{
    const size_t count = list_codes(stage, passed);
    uint64_t *from = passed->order, *to = (uint64_t *)(void *)index_of(stage, passed);
    uint64_t largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = from[i] > largest ? from[i] : largest;
    for (unsigned shift = 32; shift < 64 && largest >> shift > 0; shift += 8) {
        sort_digit(count, from, to, shift);
        uint64_t *const sorted = to;
        to = from;
        from = sorted;
    }
    if (from != passed->order)
        memcpy(passed->order, from, count * sizeof *from);
    for (size_t i = 0; i < count; i++)
        index_of(stage, passed)[i] = (uint32_t)passed->order[i];
    return count;
}

bool cnn_columns_next_use(const cnn_stage *stage, const cnn_passed *passed, size_t count,
                          size_t *at, cnn_table_use *use)
{
    const size_t begin = *at;
    if (begin == count)
        return false;
    const uint64_t row = passed->order[begin] >> 32;
    while (*at < count && passed->order[*at] >> 32 == row)
        ++*at;
    *use = (cnn_table_use){(size_t)row, *at - begin, index_of(stage, passed) + begin};
    return true;
}

/* ---- Gradients --------------------------------------------------------------------------- */

/* The column of the place that has a row of the periodic numbers. */
static size_t periodic_column(const cnn_columns *columns, size_t row)
{
    size_t j = 0;
    while (columns->places[j].kind != CNN_COLUMN_PERIODIC || columns->places[j].first != row)
        j++;
    return j;
}

void cnn_columns_sum_use(const cnn_stage *stage, const cnn_passed *passed, const cnn_table_use *use,
                         void *out)
{
    const cnn_columns *columns = &stage->columns;
    size_t j = 0;
    while (columns->places[j].kind != CNN_COLUMN_EMBEDDING ||
           columns->places[j].first + columns->places[j].categories <= use->row)
        j++;
    const void *delta = (const char *)passed->delta + columns->places[j].feature * stage->real_size;
    stage->kernels->chosen_sum(use->count, use->index, columns->embedding_size, delta,
                               passed->delta_row, out);
}

static void embedding_gradient(const cnn_stage *stage, const cnn_passed *passed,
                               const cnn_tensor *tensor, void *out)
{
    const size_t count = cnn_columns_sort(stage, passed);
    cnn_table_use use;
    memset(out, 0, cnn_tensor_count(tensor) * stage->real_size);
    for (size_t at = 0; cnn_columns_next_use(stage, passed, count, &at, &use);)
        cnn_columns_sum_use(stage, passed, &use,
                            (char *)out + use.row * tensor->cols * stage->real_size);
}

static void gradient(const cnn_stage *stage, const cnn_passed *passed, const cnn_tensor *tensor,
                     size_t first, size_t rows, void *out)
{
    const cnn_columns columns = columns_of(stage);
    if (tensor->kind == CNN_EMBEDDING) {
        embedding_gradient(stage, passed, tensor, out);
        return;
    }
    for (size_t r = 0; r < rows; r++)
        stage->kernels->periodic_gradient(&columns, periodic_column(&columns, first + r),
                                          passed->rows, passed->in, passed->in_row, passed->delta,
                                          passed->delta_row,
                                          (char *)out + r * tensor->cols * stage->real_size);
}

const cnn_stage_kind cnn_stage_columns = {.check = check,
                                          .tensors = tensors,
                                          .forward = forward,
                                          .backward = backward,
                                          .gradient = gradient};

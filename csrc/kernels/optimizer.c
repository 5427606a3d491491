/* The optimizers' steps and the sum of squares for the norm of gradients. */
#include "kernels/local.h"
#include "kernels/rows.h"

/* The numbers of a cnn_update, rounded to the type and spread over vectors. */
struct setting {
    v_real l2, clip, lr, momentum, alpha, rest_alpha, rest_beta1, beta2, rest_beta2, eps, decay;
    v_real step_size;
};

/* One vector: the new w; the slots are changed in place. `kind` is a constant when inlined. */
INLINE v_real step(const cnn_optimizer_kind kind, const struct setting *s, v_real g, v_real w,
                   v_real *slot0, v_real *slot1)
{
    switch (kind) {
    case CNN_MOMENTUM:
        *slot0 = v_fma(s->momentum, *slot0, g);
        return v_fnma(s->lr, *slot0, w);
    case CNN_NESTEROV:
        *slot0 = v_fma(s->momentum, *slot0, g);
        return v_fnma(s->lr, v_fma(s->momentum, *slot0, g), w);
    case CNN_ADAM:
    case CNN_ADAMW:
        *slot0 = v_fma(s->rest_beta1, v_sub(g, *slot0), *slot0);
        *slot1 = v_fma(v_mul(s->rest_beta2, g), g, v_mul(s->beta2, *slot1));
        if (kind == CNN_ADAMW)
            w = v_mul(w, s->decay);
        return v_fnma(s->step_size, v_div(*slot0, v_add(v_sqrt(*slot1), s->eps)), w);
    case CNN_RMSPROP:
        *slot0 = v_fma(v_mul(s->rest_alpha, g), g, v_mul(s->alpha, *slot0));
        return v_fnma(s->lr, v_div(g, v_add(v_sqrt(*slot0), s->eps)), w);
    case CNN_ADAGRAD:
        *slot0 = v_fma(g, g, *slot0);
        return v_fnma(s->lr, v_div(g, v_add(v_sqrt(*slot0), s->eps)), w);
    default:
        return v_fnma(s->lr, g, w);
    }
}

/* Rows of w, slots and g. `kind` and `slots` are constants when inlined. */
INLINE void update_rows(const cnn_optimizer_kind kind, const size_t slots, const cnn_update *u,
                        const struct setting *s)
{
    const int with_l2 = u->l2 != 0, with_clip = u->clip != 1;
    /* Rows without gaps are one long row, which has fewer ends. */
    const int gaps = u->stride != u->cols || u->g_row != u->cols;
    const size_t rows = gaps ? u->rows : 1, cols = gaps ? u->cols : u->rows * u->cols;
    for (size_t i = 0; i < rows; i++) {
        const real *g_row = (const real *)u->g + i * u->g_row;
        real *w_row = (real *)u->w + i * u->stride;
        real *slot0 = slots > 0 ? (real *)u->slots[0] + i * u->stride : NULL;
        real *slot1 = slots > 1 ? (real *)u->slots[1] + i * u->stride : NULL;
        for (size_t j = 0; j < cols; j += V_LANES) {
            const size_t left = cols - j < V_LANES ? cols - j : V_LANES;
            v_real g = row_load(g_row + j, left);
            const v_real w = row_load(w_row + j, left);
            v_real a = slots > 0 ? row_load(slot0 + j, left) : v_zero();
            v_real b = slots > 1 ? row_load(slot1 + j, left) : v_zero();
            if (with_l2)
                g = v_fma(s->l2, w, g);
            if (with_clip)
                g = v_mul(g, s->clip);
            row_store(w_row + j, step(kind, s, g, w, &a, &b), left);
            if (slots > 0)
                row_store(slot0 + j, a, left);
            if (slots > 1)
                row_store(slot1 + j, b, left);
        }
    }
}

void KERNEL(update)(const cnn_update *u)
{
    const int adam = u->kind == CNN_ADAM || u->kind == CNN_ADAMW;
    const struct setting s = {
        .l2 = v_set1((real)u->l2),
        .clip = v_set1((real)u->clip),
        .lr = v_set1((real)u->lr),
        .momentum = v_set1((real)u->momentum),
        .alpha = v_set1((real)u->alpha),
        .rest_alpha = v_set1((real)(1 - u->alpha)),
        .rest_beta1 = v_set1((real)(1 - u->beta1)),
        .beta2 = v_set1((real)u->beta2),
        .rest_beta2 = v_set1((real)(1 - u->beta2)),
        /* m / (sqrt(v) / r + eps) = r m / (sqrt(v) + r eps) saves Adam a division. */
        .eps = v_set1((real)(adam ? u->eps * u->root_correction : u->eps)),
        .decay = v_set1((real)u->decay),
        .step_size = v_set1((real)(u->step_size * u->root_correction)),
    };
    switch (u->kind) {
#define CNN_X(constant, value, name, slots)                                                        \
    case CNN_##constant:                                                                           \
        update_rows(CNN_##constant, slots, u, &s);                                                 \
        break;
        CNN_OPTIMIZERS(CNN_X)
#undef CNN_X
    default:
        break;
    }
}

double KERNEL(square_sum)(size_t n, const void *x)
{
    const real *p = x;
    double lane[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t l = 0; l < 16; l++)
            lane[l] += (double)p[i + l] * (double)p[i + l];
    for (size_t l = 0; i + l < n; l++)
        lane[l] += (double)p[i + l] * (double)p[i + l];
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}


/* What becomes of a column. */
typedef struct ${own}_place {
    int kind;    /* 0 nothing, 1 a number, 2 also periodic features, 3 one-hot, 4 an embedding */
    int missing; /* 1 if a feature tells whether the number is missing */
    size_t categories;
} ${own}_place;

/*
 * y (size - 1) = offset + sum over k of factor_k cos(2 pi (u frequency_k + phase_k / (2 pi))). Lane
 * l of 16 sums terms l, l + 16, ... in order, then the lanes are folded. `periodic` has the n
 * frequencies and phases, the factors of each feature, and the offsets.
 */
INLINE void ${own}_periodic(size_t n, size_t size, real u, const real *periodic, real *y)
{
    const real *factor = periodic + 2 * n, *offset = periodic + (size + 1) * n;
    real cosines[${frequencies}], terms[${frequencies}], lanes[16];
    for (size_t k = 0; k < n; k++)
        cosines[k] = v_cos_turns(turns_of(u, periodic[k], periodic[n + k]));
    for (size_t h = 0; h + 1 < size; h++, factor += n) {
        for (size_t k = 0; k < n; k++)
            terms[k] = v_mul(cosines[k], factor[k]);
        ${own}_settle(n, terms);
        for (size_t l = 0; l < 16; l++)
            lanes[l] = 0;
        for (size_t k = 0; k < n; k++)
            lanes[k % 16] = v_add(lanes[k % 16], terms[k]);
        y[h] = v_add(v_fold_add(lanes), offset[h]);
    }
}

/* The features of a category, `count` numbers for each; 0 if it is missing or not known. */
INLINE void ${own}_embed(size_t categories, real x, size_t count, const real *embedding, real *y)
{
    size_t code = 0;
    const int known = find_code(categories, x, &code);
    for (size_t c = 0; c < count; c++)
        y[c] = known ? embedding[code * count + c] : 0;
}

/* y (categories) is 1 for the category and 0 for others; of two, y (1) is 1 or -1. */
INLINE void ${own}_one_hot(size_t categories, real x, real *y)
{
    size_t code = 0;
    const int known = find_code(categories, x, &code);
    if (categories == 2) {
        y[0] = (real)(known ? (code == 0 ? 1 : -1) : 0);
        return;
    }
    for (size_t c = 0; c < categories; c++)
        y[c] = (real)(known && c == code);
}

/* y = the features of x (inputs), numbers that are NaN if they are missing, and codes. */
INLINE void ${own}_features(size_t inputs, const ${own}_place *places, double bound, size_t n,
                            size_t size, size_t count, const real *x, const real *mean,
                            const real *scale, const real *periodic, const real *embedding, real *y)
{
    for (size_t j = 0; j < inputs; j++) {
        const ${own}_place *place = &places[j];
        if (place->kind == 1 || place->kind == 2) {
            const real u = number_of(x[j], mean[j], scale[j], bound);
            *y++ = u;
            if (place->kind == 2) {
                ${own}_periodic(n, size, u, periodic, y);
                periodic += (size + 1) * n + size - 1;
                y += size - 1;
            }
            if (place->missing)
                *y++ = (real)(x[j] != x[j]);
        } else if (place->kind == 3) {
            ${own}_one_hot(place->categories, x[j], y);
            y += place->categories == 2 ? 1 : place->categories;
        } else if (place->kind == 4) {
            ${own}_embed(place->categories, x[j], count, embedding, y);
            embedding += place->categories * count;
            y += count;
        }
    }
}

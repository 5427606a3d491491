
/* In place. Lane l of 16 sums terms l, l + 16, ... in order, then the lanes are folded. */
INLINE void ${own}_softmax(size_t n, real *y)
{
    real lanes[16], max = y[0];
    for (size_t j = 1; j < n; j++)
        max = v_max(y[j], max);
    max = v_add(max, v_zero()); /* -0 as +0 */
    for (size_t l = 0; l < 16; l++)
        lanes[l] = 0;
    for (size_t j = 0; j < n; j++) {
        y[j] = v_exp_nonpositive(v_sub(y[j], max));
        lanes[j % 16] = v_add(lanes[j % 16], y[j]);
    }
    const real sum = v_fold_add(lanes);
    for (size_t j = 0; j < n; j++)
        y[j] = v_div(y[j], sum);
}

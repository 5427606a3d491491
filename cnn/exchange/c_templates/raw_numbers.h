/* y (${outputs}) in the units of the targets, within their least and largest numbers. */
static inline void ${own}_finish(double *y)
{
    /* Of each target: the mean, the scale, the least and the largest number. */
    static const double targets[${targets}][4] = {
${numbers}};
    for (size_t j = 0; j < ${OUTPUTS}; j++) {
        const double *target = targets[${target}];
        /* volatile, so that no compiler makes one rounding of the two. */
        const volatile double product = ${value} * target[1];
        const double number = product + target[0];
        y[j] = number < target[2] ? target[2] : number > target[3] ? target[3] : number;
    }
${sort}}


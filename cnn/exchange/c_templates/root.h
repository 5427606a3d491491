/*
 * The square root of w, which is from 1 to 2, rounded to nearest. Newton's steps find a number g
 * that is less than one unit u of its last place off; w - g^2 tells if a neighbour is nearer: if it
 * is above g u, w is above (g + u / 2)^2 = g^2 + g u + u^2 / 4, since all are multiples of u^2.
 */
static inline ${type} ${own}_root(${type} w)
{
    const ${type} unit = ${epsilon};
    ${type} g = ${half} + ${half} * w;
    for (int step = 0; step < ${steps}; step++)
        g = ${half} * (g + w / g);
    const ${type} rest = ${fma}(-g, g, w);
    return rest > g * unit ? g + unit : rest <= -g * unit ? g - unit : g;
}

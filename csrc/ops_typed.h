/* The array functions of cnn.h for one type; ops.c includes this for each with REAL defined. */

cnn_status TYPED(dense_forward)(size_t rows, size_t inputs, size_t outputs, const REAL *x,
                                size_t x_stride, const REAL *weight, const REAL *bias,
                                cnn_activation activation, REAL *y, size_t y_stride)
{
    return TYPED(dense_forward_alpha)(rows, inputs, outputs, x, x_stride, weight, bias, activation,
                                      0, y, y_stride);
}

cnn_status TYPED(dense_forward_alpha)(size_t rows, size_t inputs, size_t outputs, const REAL *x,
                                      size_t x_stride, const REAL *weight, const REAL *bias,
                                      cnn_activation activation, double alpha, REAL *y,
                                      size_t y_stride)
{
    return dense_forward(DTYPE, rows, inputs, outputs, x, x_stride, weight, bias,
                         (cnn_activation_spec){activation, alpha}, y, y_stride);
}

cnn_status TYPED(dense_backward)(size_t rows, size_t inputs, size_t outputs, const REAL *dy,
                                 const REAL *x, const REAL *weight, REAL *dx, REAL *dweight,
                                 REAL *dbias)
{
    return dense_backward(DTYPE, rows, inputs, outputs, dy, x, weight, dx, dweight, dbias);
}

cnn_status TYPED(activation_forward)(cnn_activation activation, size_t rows, size_t cols,
                                     const REAL *x, size_t x_stride, REAL *y, size_t y_stride)
{
    return TYPED(activation_forward_alpha)(activation, 0, rows, cols, x, x_stride, y, y_stride);
}

cnn_status TYPED(activation_forward_alpha)(cnn_activation activation, double alpha, size_t rows,
                                           size_t cols, const REAL *x, size_t x_stride, REAL *y,
                                           size_t y_stride)
{
    return activation_forward(DTYPE, (cnn_activation_spec){activation, alpha}, rows, cols, x,
                              x_stride, y, y_stride);
}

cnn_status TYPED(activation_backward)(cnn_activation activation, size_t rows, size_t cols,
                                      const REAL *dy, const REAL *from, REAL *dx)
{
    return TYPED(activation_backward_alpha)(activation, 0, rows, cols, dy, from, dx);
}

cnn_status TYPED(activation_backward_alpha)(cnn_activation activation, double alpha, size_t rows,
                                            size_t cols, const REAL *dy, const REAL *from, REAL *dx)
{
    return activation_backward(DTYPE, (cnn_activation_spec){activation, alpha}, rows, cols, dy,
                               from, dx);
}

cnn_status TYPED(log_softmax_forward)(size_t rows, size_t cols, const REAL *x, size_t x_stride,
                                      REAL *y, size_t y_stride)
{
    return log_softmax_forward(DTYPE, rows, cols, x, x_stride, y, y_stride);
}

cnn_status TYPED(loss_gradient)(const cnn_loss *loss, size_t rows, size_t cols, const REAL *z,
                                size_t z_stride, const cnn_matrix *t,
                                const cnn_matrix *sample_weight, double *value, REAL *gradient)
{
    return loss_gradient(DTYPE, loss, rows, cols, z, z_stride, t, sample_weight, value, gradient);
}

/* Allocations fail in calls on networks and tapes, and in array functions: faults/trials.h. */
#include "faults/trials.h"

static cnn_status create(world *w)
{
    return cnn_network_create(w->dtype, LAYERS, network_layers, 9, &w->made);
}

static cnn_status create_table(world *w)
{
    return cnn_network_create(w->dtype, TABLE_LAYERS, table_layers, 9, &w->made);
}

static cnn_status copy_table(world *w)
{
    return cnn_network_copy(w->table, &w->made);
}

static cnn_status initialize_table(world *w)
{
    return cnn_network_initialize(w->table, 0, CNN_INIT_NORMAL, 0.1);
}

static cnn_status predict_table(world *w)
{
    const cnn_matrix x = table_samples(w);
    w->y_bytes = ROWS * OUTPUTS * real_size(w);
    return cnn_network_predict(w->table, &x, &w->y, OUTPUTS, NULL, 0);
}

static cnn_status vjp_table(world *w)
{
    const cnn_matrix x = table_samples(w), dy = changes(w);
    w->y_bytes = ROWS * TABLE_INPUTS * real_size(w);
    return cnn_network_vjp(w->table, &x, &dy, NULL, 0, &w->y, TABLE_INPUTS, NULL, 0);
}

static cnn_status gradients_table(world *w)
{
    const size_t count = cnn_network_parameter_count(w->table);
    w->y_bytes = count * real_size(w);
    return cnn_network_gradients(w->table, &cross_entropy, &w->table_data, 3, &w->value, &w->y,
                                 count);
}

static cnn_status copy(world *w)
{
    return cnn_network_copy(w->network, &w->made);
}

static cnn_status initialize(world *w)
{
    return cnn_network_initialize(w->network, 1, CNN_INIT_HE_UNIFORM, 0);
}

static cnn_status set_weight(world *w)
{
    return w->dtype == CNN_FLOAT64
               ? cnn_network_set_f64(w->network, 1, CNN_WEIGHT, x64, INPUTS * HIDDEN)
               : cnn_network_set_f32(w->network, 1, CNN_WEIGHT, x32, INPUTS * HIDDEN);
}

static cnn_status get_weight(world *w)
{
    w->y_bytes = INPUTS * HIDDEN * real_size(w);
    return w->dtype == CNN_FLOAT64
               ? cnn_network_get_f64(w->network, 1, CNN_WEIGHT, w->y.f64, INPUTS * HIDDEN)
               : cnn_network_get_f32(w->network, 1, CNN_WEIGHT, w->y.f32, INPUTS * HIDDEN);
}

static cnn_status add_metadata(world *w)
{
    return cnn_network_set_metadata(w->network, "more", "some text");
}

static cnn_status change_metadata(world *w)
{
    return cnn_network_set_metadata(w->network, "author", "Grace, with a longer name than before");
}

static cnn_status remove_metadata(world *w)
{
    return cnn_network_set_metadata(w->network, "author", NULL);
}

static cnn_status predict(world *w)
{
    w->y_bytes = ROWS * OUTPUTS * real_size(w);
    return w->dtype == CNN_FLOAT64
               ? cnn_network_predict_f64(w->network, ROWS, x64, INPUTS, w->y.f64, OUTPUTS, NULL, 0)
               : cnn_network_predict_f32(w->network, ROWS, x32, INPUTS, w->y.f32, OUTPUTS, NULL, 0);
}

static cnn_status predict_matrix(world *w)
{
    const cnn_matrix x = samples(w, 1);
    w->y_bytes = ROWS * OUTPUTS * real_size(w);
    return cnn_network_predict(w->network, &x, &w->y, OUTPUTS, NULL, 0);
}

static cnn_status vjp(world *w)
{
    const cnn_matrix x = samples(w, 1), dy = changes(w);
    w->y_bytes = ROWS * INPUTS * real_size(w);
    return cnn_network_vjp(w->network, &x, &dy, NULL, 0, &w->y, INPUTS, NULL, 0);
}

static cnn_status jacobian(world *w)
{
    const cnn_matrix x = samples(w, 0);
    w->y_bytes = ROWS * OUTPUTS * INPUTS * real_size(w);
    return cnn_network_jacobian(w->network, &x, NULL, 0, &w->y, NULL, 0);
}

static cnn_status evaluate(world *w)
{
    return cnn_network_evaluate(w->network, &cross_entropy, &w->data, &w->result);
}

static cnn_status gradients(world *w)
{
    w->y_bytes = PARAMETERS * real_size(w);
    return cnn_network_gradients(w->network, &cross_entropy, &w->data, 3, &w->value, &w->y,
                                 PARAMETERS);
}

static cnn_status create_tape(world *w)
{
    return cnn_tape_create(w->network, &w->made_tape);
}

static cnn_status forward(world *w)
{
    const cnn_matrix x = samples(w, 1);
    w->y_bytes = ROWS * OUTPUTS * real_size(w);
    return cnn_tape_forward(w->tape, &x, 2, &w->y, OUTPUTS);
}

static cnn_status backward(world *w)
{
    const cnn_matrix dy = changes(w);
    w->y_bytes = PARAMETERS * real_size(w);
    return cnn_tape_backward(w->tape, &dy, &w->y, PARAMETERS, NULL, 0);
}

#define WIDE (OUTPUTS * 5)

static cnn_status dense_forward(world *w)
{
    w->y_bytes = ROWS * WIDE * real_size(w);
    return w->dtype == CNN_FLOAT64 ? cnn_dense_forward_f64(ROWS, INPUTS, WIDE, x64, INPUTS, x64,
                                                           x64, CNN_SOFTMAX, w->y.f64, WIDE)
                                   : cnn_dense_forward_f32(ROWS, INPUTS, WIDE, x32, INPUTS, x32,
                                                           x32, CNN_SOFTMAX, w->y.f32, WIDE);
}

/* dx behind dweight in one buffer. */
static cnn_status dense_backward(world *w)
{
    const size_t behind = INPUTS * OUTPUTS;
    w->y_bytes = (behind + ROWS * INPUTS) * real_size(w);
    return w->dtype == CNN_FLOAT64 ? cnn_dense_backward_f64(ROWS, INPUTS, OUTPUTS, dy64, x64, x64,
                                                            w->y.f64 + behind, w->y.f64, NULL)
                                   : cnn_dense_backward_f32(ROWS, INPUTS, OUTPUTS, dy32, x32, x32,
                                                            w->y.f32 + behind, w->y.f32, NULL);
}

static cnn_status loss_gradient(world *w)
{
    w->y_bytes = ROWS * OUTPUTS * real_size(w);
    return w->dtype == CNN_FLOAT64
               ? cnn_loss_gradient_f64(&cross_entropy, ROWS, OUTPUTS, dy64, OUTPUTS, &w->data.t,
                                       &w->data.sample_weight, &w->value, w->y.f64)
               : cnn_loss_gradient_f32(&cross_entropy, ROWS, OUTPUTS, dy32, OUTPUTS, &w->data.t,
                                       &w->data.sample_weight, &w->value, w->y.f32);
}

static const scenario scenarios[] = {
    {"network_create", create, NULL, 0},
    {"network_copy", copy, NULL, 0},
    {"network_initialize", initialize, NULL, 0},
    {"network_set", set_weight, NULL, 0},
    {"network_get", get_weight, NULL, 0},
    {"network_set_metadata, a new key", add_metadata, NULL, 0},
    {"network_set_metadata, a new value", change_metadata, NULL, 0},
    {"network_set_metadata, NULL", remove_metadata, NULL, 0},
    {"network_predict_f32 and _f64", predict, NULL, 0},
    {"network_predict", predict_matrix, NULL, 0},
    {"network_vjp", vjp, NULL, 0},
    {"network_jacobian", jacobian, NULL, 0},
    {"network_evaluate", evaluate, NULL, 0},
    {"network_gradients", gradients, NULL, 0},
    {"network_create, columns", create_table, NULL, 0},
    {"network_copy, columns", copy_table, NULL, 0},
    {"network_initialize, columns", initialize_table, NULL, 0},
    {"network_predict, columns", predict_table, NULL, 0},
    {"network_vjp, columns", vjp_table, NULL, 0},
    {"network_gradients, columns", gradients_table, NULL, 0},
    {"tape_create", create_tape, NULL, 0},
    {"tape_forward", forward, NULL, 0},
    {"tape_forward, again", forward, forward, 0},
    {"tape_backward", backward, forward, 0},
    {"dense_forward", dense_forward, NULL, 0},
    {"dense_backward", dense_backward, NULL, 0},
    {"loss_gradient", loss_gradient, NULL, 0},
};

int main(void)
{
    return run_trials(COUNT(scenarios), scenarios);
}

/* Allocations fail in calls on trainers and shards: faults/trials.h. */
#include "faults/trials.h"

static cnn_status create_trainer(world *w)
{
    const cnn_optimizer optimizer = settings(w);
    return cnn_trainer_create(w->network, &optimizer, &w->made_trainer);
}

static cnn_status step(world *w)
{
    return cnn_trainer_step(w->trainer, &cross_entropy, &w->data, 0.01, &w->result);
}

static cnn_status apply(world *w)
{
    return cnn_trainer_apply(w->trainer, numbers(w), PARAMETERS, 1, 0.001);
}

static cnn_status epoch(world *w)
{
    double lr[ROWS / BATCH];
    for (size_t i = 0; i < COUNT(lr); i++)
        lr[i] = 0.01;
    w->data.x = samples(w, w->optimizer == CNN_SGD);
    return cnn_trainer_epoch(w->trainer, &cross_entropy, &w->data, order, ROWS, BATCH, lr, 0,
                             &w->result);
}

static cnn_status create_table_trainer(world *w)
{
    const cnn_optimizer optimizer = settings(w);
    return cnn_trainer_create(w->table, &optimizer, &w->made_trainer);
}

static cnn_status set_group(world *w)
{
    return cnn_trainer_set_group(w->table_trainer, 5, CNN_BIAS, 1);
}

static cnn_status table_step(world *w)
{
    return cnn_trainer_step(w->table_trainer, &cross_entropy, &w->table_data, 0.01, &w->result);
}

/* An epoch with all that a schedule has. */
static cnn_status scheduled(world *w)
{
    enum { STEPS = ROWS / BATCH, GROUPS = 3 };
    double lr[STEPS * GROUPS], decay[STEPS * GROUPS], dropout[STEPS];
    for (size_t i = 0; i < COUNT(lr); i++) {
        lr[i] = 0.01 + 0.001 * (double)i;
        decay[i] = 0.001 * (double)i;
    }
    for (size_t i = 0; i < STEPS; i++)
        dropout[i] = 0.2 * (double)i;
    const cnn_schedule schedule = {.struct_size = sizeof schedule,
                                   .groups = GROUPS,
                                   .lr = lr,
                                   .weight_decay = decay,
                                   .dropout = dropout};
    return cnn_trainer_epoch_scheduled(w->table_trainer, &cross_entropy, &w->table_data, order,
                                       ROWS, BATCH, &schedule, 0, &w->result);
}

static cnn_status finite(world *w)
{
    int of_weights = 0, of_state = 0;
    const cnn_status status = cnn_trainer_finite(w->trainer, &of_weights, &of_state);
    w->value = 2 * of_weights + of_state;
    return status;
}

static cnn_status snapshot(world *w)
{
    return cnn_trainer_snapshot(w->trainer);
}

static cnn_status restore(world *w)
{
    return cnn_trainer_restore(w->trainer);
}

static cnn_status get_state(world *w)
{
    if (cnn_optimizer_slots((int)w->optimizer) == 0)
        return CNN_OK;
    w->y_bytes = PARAMETERS * real_size(w);
    return cnn_trainer_get_state(w->trainer, 0, &w->y, PARAMETERS);
}

static cnn_status set_state(world *w)
{
    static float ones32[PARAMETERS];
    static double ones64[PARAMETERS];
    for (size_t i = 0; i < PARAMETERS; i++)
        ones64[i] = ones32[i] = 1;
    if (cnn_optimizer_slots((int)w->optimizer) == 0)
        return CNN_OK;
    return cnn_trainer_set_state(
        w->trainer, 0, w->dtype == CNN_FLOAT64 ? (void *)ones64 : (void *)ones32, PARAMETERS);
}

static cnn_status create_tree(world *w)
{
    return cnn_shard_tree_create(w->dtype, PARAMETERS, SHARDS, &w->made_tree);
}

static cnn_status shard_gradient(world *w)
{
    return cnn_shard_gradient(w->trainer, &cross_entropy, &w->data, order, 70, 0, w->tree);
}

/* The second of two siblings, which are added at once. */
static cnn_status next_shard_gradient(world *w)
{
    return cnn_shard_gradient(w->trainer, &cross_entropy, &w->data, order + 70, 70, 1, w->tree);
}

static cnn_status add_to_tree(world *w)
{
    const double sums[CNN_SHARD_SUMS] = {1, 2, 3, 4, 5};
    return cnn_shard_tree_add(w->tree, 0, 2, numbers(w), sums);
}

static cnn_status shard_step(world *w)
{
    w->y_bytes = PARAMETERS * real_size(w);
    return cnn_shard_step(w->trainer, numbers(w), 0, PARAMETERS, 1, 0.001, &w->y);
}

static cnn_status shard_finish(world *w)
{
    return cnn_shard_finish(w->trainer, numbers(w), PARAMETERS);
}

static const scenario scenarios[] = {
    {"trainer_create", create_trainer, NULL, 1},
    {"trainer_step", step, NULL, 1},
    {"trainer_step, again", step, step, 1},
    {"trainer_step after an epoch", step, epoch, 1},
    {"trainer_apply", apply, NULL, 1},
    {"trainer_epoch", epoch, NULL, 1},
    {"trainer_epoch, again", epoch, epoch, 1},
    {"trainer_epoch after a step", epoch, step, 1},
    {"trainer_create, columns", create_table_trainer, NULL, 1},
    {"trainer_set_group", set_group, NULL, 1},
    {"trainer_step, columns", table_step, NULL, 1},
    {"trainer_epoch_scheduled", scheduled, NULL, 1},
    {"trainer_epoch_scheduled, again", scheduled, scheduled, 1},
    {"trainer_finite", finite, epoch, 1},
    {"trainer_snapshot", snapshot, epoch, 1},
    {"trainer_restore", restore, snapshot, 1},
    {"trainer_get_state", get_state, epoch, 1},
    {"trainer_set_state", set_state, epoch, 1},
    {"shard_tree_create", create_tree, NULL, 0},
    {"shard_gradient", shard_gradient, NULL, 0},
    {"shard_gradient, the second", next_shard_gradient, shard_gradient, 0},
    {"shard_tree_add", add_to_tree, NULL, 0},
    {"shard_step", shard_step, NULL, 1},
    {"shard_finish", shard_finish, epoch, 1},
};

int main(void)
{
    return run_trials(COUNT(scenarios), scenarios);
}

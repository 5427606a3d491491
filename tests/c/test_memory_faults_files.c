/* Allocations fail in calls that write and read models: faults/trials.h. */
#include <stdio.h>

#include "faults/trials.h"

#define FILE_NAME "test_memory_faults_files.safetensors"

/* The training before, by which weights lie in panels. */
static cnn_status train(world *w)
{
    const double lr[] = {0.01};
    return cnn_trainer_epoch(w->trainer, &cross_entropy, &w->data, order, BATCH, BATCH, lr, 0,
                             &w->result);
}

static cnn_status make_bytes(world *w)
{
    return cnn_network_to_bytes(w->network, &w->bytes, &w->size);
}

static cnn_status to_bytes(world *w)
{
    return cnn_network_to_bytes(w->network, &w->made_bytes, &w->made_size);
}

static cnn_status from_bytes(world *w)
{
    return cnn_network_from_bytes(w->bytes, w->size, &w->made);
}

static cnn_status save(world *w)
{
    return cnn_network_save(w->network, FILE_NAME);
}

static cnn_status load(world *w)
{
    return cnn_network_load(FILE_NAME, &w->made);
}

static cnn_status save_trainer(world *w)
{
    return cnn_trainer_save_with(w->trainer, "lr", "0.5", FILE_NAME);
}

static cnn_status load_trainer(world *w)
{
    return cnn_trainer_load(FILE_NAME, &w->made, &w->made_trainer);
}

static cnn_status make_table_bytes(world *w)
{
    return cnn_network_to_bytes(w->table, &w->bytes, &w->size);
}

static cnn_status table_to_bytes(world *w)
{
    return cnn_network_to_bytes(w->table, &w->made_bytes, &w->made_size);
}

/* With groups of parameters. */
static cnn_status save_table_trainer(world *w)
{
    return cnn_trainer_save(w->table_trainer, FILE_NAME);
}

static const scenario scenarios[] = {
    {"network_to_bytes", to_bytes, train, 0},
    {"network_from_bytes", from_bytes, make_bytes, 0},
    {"network_save", save, NULL, 0},
    {"network_load", load, save, 0},
    {"trainer_save_with", save_trainer, train, 1},
    {"trainer_load", load_trainer, save_trainer, 1},
    {"network_to_bytes, columns", table_to_bytes, NULL, 0},
    {"network_from_bytes, columns", from_bytes, make_table_bytes, 0},
    {"trainer_save, groups", save_table_trainer, NULL, 1},
    {"trainer_load, groups", load_trainer, save_table_trainer, 1},
};

int main(void)
{
    const int result = run_trials(COUNT(scenarios), scenarios);
    remove(FILE_NAME);
    return result;
}

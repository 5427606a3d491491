/*
 * Every truncation and every change of one byte of good files: refused, or a network that works.
 * The files have together every kind of stage, every activation, both types and every optimizer.
 * By itself the program flips each bit of each byte, or of so manyth as check_every says; with the
 * argument "all" it tries all values of each byte.
 */
#include "check.h"
#include "file/model_file_checks.h"

enum { WIDTH = 2, MOST_LAYERS = 6 };

/* A network whose second dense layer has this activation and whose last one has another. */
static cnn_network *make_network(cnn_dtype dtype, int activation, int last)
{
    const int standardized = activation % 2 == 0, dropped = activation % 3 != 1;
    cnn_layer layers[MOST_LAYERS];
    size_t count = 0;
    memset(layers, 0, sizeof layers);
    if (standardized)
        layers[count++] = (cnn_layer){.kind = CNN_LAYER_STANDARDIZE, .inputs = 1};
    layers[count++] = (cnn_layer){.inputs = 1,
                                  .outputs = WIDTH,
                                  .activation = (cnn_activation)activation,
                                  .alpha = cnn_activation_alpha_name(activation) ? 0.375 : 0};
    if (dropped)
        layers[count++] = (cnn_layer){.kind = CNN_LAYER_DROPOUT, .rate = 0.25};
    layers[count++] = (cnn_layer){
        .inputs = WIDTH, .outputs = WIDTH, .activation = (cnn_activation)last, .l2 = 0.125};
    for (size_t i = 0; i < count; i++)
        layers[i].struct_size = sizeof layers[i];
    cnn_network *network = NULL;
    CHECK(cnn_network_create(dtype, count, layers, 12345678901234567890u, &network) == CNN_OK);
    for (size_t i = 0; i < count; i++)
        if (layers[i].kind == CNN_LAYER_DENSE)
            CHECK(cnn_network_initialize(network, i, CNN_INIT_TORCH, 0) == CNN_OK);
    if (activation % 4 == 0)
        CHECK(cnn_network_set_metadata(network, "note", "\xC3\xA9 \xF0\x9F\x98\x80\n\"") == CNN_OK);
    return network;
}

struct tried {
    size_t files, changes, loaded;
};

static void try_change(const uint8_t *data, size_t size, int checkpoint, struct tried *tried)
{
    uint8_t *exact = check_memory(size ? size : 1);
    memcpy(exact, data, size);
    tried->changes++;
    tried->loaded += (size_t)(checkpoint ? check_checkpoint_bytes(exact, size)
                                         : check_network_bytes(exact, size));
    free(exact);
}

static void try_changes(uint8_t *data, size_t size, int checkpoint, int all, struct tried *tried)
{
    tried->files++;
    for (size_t i = tried->files % check_every(); i < size; i += check_every()) {
        const struct tried before = *tried;
        try_change(data, i, checkpoint, tried);
        CHECK(tried->loaded == before.loaded); /* no truncation is a model */
        const uint8_t good = data[i];
        for (int change = 1; change < 256; change = all ? change + 1 : 2 * change) {
            data[i] = good ^ (uint8_t)change;
            try_change(data, size, checkpoint, tried);
        }
        data[i] = good;
    }
    const size_t loaded = tried->loaded;
    try_change(data, size, checkpoint, tried);
    CHECK(tried->loaded == loaded + 1);
}

static void try_network(const cnn_network *network, int all, struct tried *tried)
{
    void *bytes = NULL;
    size_t size = 0;
    if (CHECK(cnn_network_to_bytes(network, &bytes, &size) == CNN_OK))
        try_changes(bytes, size, 0, all, tried);
    cnn_bytes_free(bytes);
}

/* The checkpoint after a step on gradients that differ from each other. */
static void try_checkpoint(cnn_network *network, int kind, int all, struct tried *tried)
{
    const cnn_optimizer optimizer = {.struct_size = sizeof optimizer,
                                     .kind = (cnn_optimizer_kind)kind,
                                     .momentum =
                                         kind == CNN_MOMENTUM || kind == CNN_NESTEROV ? 0.9 : 0,
                                     .beta1 = 0.9,
                                     .beta2 = 0.999,
                                     .alpha = 0.99,
                                     .eps = 1e-8,
                                     .weight_decay = kind == CNN_ADAMW ? 0.01 : 0,
                                     .clip_norm = 1};
    const size_t count = cnn_network_parameter_count(network);
    const int wide = cnn_network_dtype(network) == CNN_FLOAT64;
    cnn_trainer *trainer = NULL;
    double *doubles = check_memory(count * sizeof *doubles);
    float *floats = check_memory(count * sizeof *floats);
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        doubles[i] = (double)i / 16 - 0.25;
        floats[i] = (float)doubles[i];
    }
    CHECK(cnn_trainer_create(network, &optimizer, &trainer) == CNN_OK);
    CHECK(cnn_trainer_apply(trainer, wide ? (void *)doubles : (void *)floats, count, 1, 0.01) ==
          CNN_OK);
    CHECK(cnn_trainer_save(trainer, checks_path()) == CNN_OK);
    uint8_t *bytes = read_file(checks_path(), &size);
    try_changes(bytes, size, 1, all, tried);
    free(bytes);
    free(doubles);
    free(floats);
    cnn_trainer_destroy(trainer);
}

int main(int count, char **arguments)
{
    const int all = count > 1 && strcmp(arguments[1], "all") == 0;
    struct tried networks = {0}, checkpoints = {0};
    for (int activation = 0; activation < CNN_ACTIVATION_COUNT; activation++) {
        if (activation == CNN_SOFTMAX) /* which is the last one's below */
            continue;
        const cnn_dtype dtype = activation / 2 % 2 ? CNN_FLOAT64 : CNN_FLOAT32;
        cnn_network *network =
            make_network(dtype, activation, activation % 3 ? CNN_IDENTITY : CNN_SOFTMAX);
        try_network(network, all, &networks);
        if (activation < CNN_OPTIMIZER_COUNT)
            try_checkpoint(network, activation, all, &checkpoints);
        cnn_network_destroy(network);
    }
    (void)remove(checks_path());
    CHECK(networks.loaded > networks.files && checkpoints.loaded > checkpoints.files);
    printf("networks: %zu files, %zu changes, %zu loaded\n", networks.files, networks.changes,
           networks.loaded);
    printf("checkpoints: %zu files, %zu changes, %zu loaded\n", checkpoints.files,
           checkpoints.changes, checkpoints.loaded);
    return check_finish();
}

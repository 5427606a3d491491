/*
 * Loading a model takes at most six times the size of its file and 1 MiB, however many layers it
 * has: the smallest layers, whose lines in the file are the shortest, and the most metadata.
 */
#include "check.h"
#include "fuzz.h"
#include "models.h"

#define FILE_NAME "test_model_file_memory.safetensors"

/* A network of layers of one number, with a dropout between each two of them or without. */
static cnn_network *make_network(cnn_dtype dtype, size_t count, int dropouts)
{
    cnn_network *network = NULL;
    cnn_layer *layers = check_memory(count * sizeof *layers);
    for (size_t i = 0; i < count; i++) {
        const cnn_layer dense = {DENSE(1, 1, CNN_ELU)}, dropout = {DROPOUT(0)};
        layers[i] = dropouts && i % 2 == 1 && i + 1 < count ? dropout : dense;
    }
    CHECK(cnn_network_create(dtype, count, layers, 7, &network) == CNN_OK);
    free(layers);
    return network;
}

/* Save, load and measure; what beside six times the file was taken. */
static size_t measured(cnn_trainer *trainer, cnn_network *network)
{
    size_t size = 0;
    cnn_network *loaded = NULL;
    cnn_trainer *again = NULL;
    CHECK(trainer ? cnn_trainer_save(trainer, FILE_NAME) == CNN_OK
                  : cnn_network_save(network, FILE_NAME) == CNN_OK);
    free(read_file(FILE_NAME, &size));
    fuzz_measure();
    CHECK(trainer ? cnn_trainer_load(FILE_NAME, &loaded, &again) == CNN_OK
                  : cnn_network_load(FILE_NAME, &loaded) == CNN_OK);
    const size_t taken = fuzz_most_bytes();
    fuzz_check_memory(taken, size);
    CHECK(loaded && cnn_network_layer_count(loaded) == cnn_network_layer_count(network));
    cnn_trainer_destroy(again);
    cnn_network_destroy(loaded);
    return taken > 6 * size ? taken - 6 * size : 0;
}

static size_t measured_with(cnn_network *network, cnn_optimizer_kind kind)
{
    const cnn_optimizer optimizer = model_optimizer(kind);
    cnn_trainer *trainer = NULL;
    CHECK(cnn_trainer_create(network, &optimizer, &trainer) == CNN_OK);
    const size_t most = measured(trainer, network);
    cnn_trainer_destroy(trainer);
    return most;
}

static void add_metadata(cnn_network *network)
{
    char key[16];
    for (size_t i = 0; i < 10000; i++) {
        (void)snprintf(key, sizeof key, "%zx", i);
        CHECK(cnn_network_set_metadata(network, key, "") == CNN_OK);
    }
}

int main(void)
{
    static const size_t counts[] = {1, 30, 1000, 1025, 4097, 20000};
    size_t most = 0;
    for (size_t i = 0; i < COUNT(counts); i++)
        for (int how = 0; how < 4; how++) {
            cnn_network *network =
                make_network(how & 1 ? CNN_FLOAT64 : CNN_FLOAT32, counts[i], how & 2);
            const size_t taken[] = {measured(NULL, network), measured_with(network, CNN_MOMENTUM),
                                    measured_with(network, CNN_ADAM)};
            for (size_t j = 0; j < COUNT(taken); j++)
                most = taken[j] > most ? taken[j] : most;
            if (counts[i] == 1025)
                add_metadata(network);
            (void)measured(NULL, network);
            cnn_network_destroy(network);
        }
    remove(FILE_NAME);
    printf("at most %zu bytes beside six times the file, without metadata\n", most);
    return check_finish();
}

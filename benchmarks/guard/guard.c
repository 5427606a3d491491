/*
 * Fixed runs whose instructions are counted: `guard RUN [TIMES]` prepares one and calls measured()
 * so many times, or once; callgrind collects only inside of that. `guard` alone prints the
 * compiler, then the names of the runs. The exit code 77 means that the machine does not have the
 * instruction set that CNN_ISA names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cnn/cnn.h>

#define MAX_WIDTHS 4
#define OUTPUTS 10
#define STEPS 2
#define NO_ISA 77

#ifdef __clang__
#define COMPILER "clang"
#define COMPILER_MAJOR __clang_major__
#else
#define COMPILER "gcc"
#define COMPILER_MAJOR __GNUC__
#endif

typedef enum action { PREDICT, TRAIN, SOFTMAX } action;

typedef struct run {
    const char *name;
    action action;
    size_t rows;
    size_t widths[MAX_WIDTHS]; /* of the net, or columns first for softmax */
    cnn_activation hidden, output;
    cnn_optimizer_kind optimizer;
} run;

static const run runs[] = {
    {"predict 8-64-64-4 tanh, 1 row", PREDICT, 1, {8, 64, 64, 4}, CNN_TANH, CNN_IDENTITY, CNN_SGD},
    {"predict 784-50-100-10 sigmoid, 1 row",
     PREDICT,
     1,
     {784, 50, 100, 10},
     CNN_SIGMOID,
     CNN_SOFTMAX,
     CNN_SGD},
    {"predict 784-50-100-10 sigmoid, 100 rows",
     PREDICT,
     100,
     {784, 50, 100, 10},
     CNN_SIGMOID,
     CNN_SOFTMAX,
     CNN_SGD},
    {"train 784-50-100-10 sigmoid, SGD, batch 100",
     TRAIN,
     100,
     {784, 50, 100, 10},
     CNN_SIGMOID,
     CNN_SOFTMAX,
     CNN_SGD},
    {"train 784-50-100-10 sigmoid, Adam, batch 100",
     TRAIN,
     100,
     {784, 50, 100, 10},
     CNN_SIGMOID,
     CNN_SOFTMAX,
     CNN_ADAM},
    {"train 784-256-128-10 relu, SGD, batch 128",
     TRAIN,
     128,
     {784, 256, 128, 10},
     CNN_RELU,
     CNN_SOFTMAX,
     CNN_SGD},
    {"softmax 100x10", SOFTMAX, 100, {10, 0, 0, 0}, CNN_SOFTMAX, CNN_SOFTMAX, CNN_SGD},
    {"softmax 1024x1000", SOFTMAX, 1024, {1000, 0, 0, 0}, CNN_SOFTMAX, CNN_SOFTMAX, CNN_SGD},
};
#define RUNS (sizeof runs / sizeof runs[0])

/* What a run works on. */
typedef struct state {
    const run *run;
    cnn_network *network;
    cnn_trainer *trainer;
    float *x, *y;
    int64_t *labels;
} state;

static void check(cnn_status status)
{
    if (status != CNN_OK) {
        fprintf(stderr, "guard: %s\n", cnn_last_error());
        exit(1);
    }
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        fprintf(stderr, "guard: no memory\n");
        exit(1);
    }
    return memory;
}

static void train(const state *s)
{
    const run *r = s->run;
    cnn_loss loss = {
        .struct_size = sizeof loss, .kind = CNN_CROSS_ENTROPY, .target = CNN_TARGET_LABELS};
    cnn_data data = {.struct_size = sizeof data,
                     .x = {.struct_size = sizeof data.x,
                           .data = s->x,
                           .dtype = CNN_FLOAT32,
                           .rows = r->rows,
                           .cols = r->widths[0],
                           .row_stride = (ptrdiff_t)(r->widths[0] * sizeof *s->x),
                           .col_stride = sizeof *s->x},
                     .t = {.struct_size = sizeof data.t,
                           .data = s->labels,
                           .dtype = CNN_INT64,
                           .rows = r->rows,
                           .cols = 1,
                           .row_stride = sizeof *s->labels,
                           .col_stride = sizeof *s->labels},
                     .sample_weight = {.struct_size = sizeof data.sample_weight}};
    cnn_result result = {.struct_size = sizeof result};
    for (int step = 0; step < STEPS; step++)
        check(cnn_trainer_step(s->trainer, &loss, &data, 1e-3, &result));
}

static void perform(const state *s)
{
    const run *r = s->run;
    size_t inputs = r->widths[0], outputs = r->widths[MAX_WIDTHS - 1];
    switch (r->action) {
    case PREDICT:
        check(cnn_network_predict_f32(s->network, r->rows, s->x, inputs, s->y, outputs, NULL, 0));
        break;
    case TRAIN:
        train(s);
        break;
    case SOFTMAX:
        check(cnn_activation_forward_f32(CNN_SOFTMAX, r->rows, inputs, s->x, inputs, s->y, inputs));
        break;
    }
}

/* The name is given to callgrind, so the compiler must keep it as a function. */
void measured(const state *s);
__attribute__((noinline)) void measured(const state *s)
{
    perform(s);
}

static cnn_network *network_of(const run *r)
{
    cnn_layer layers[MAX_WIDTHS - 1];
    cnn_network *network;
    size_t count = MAX_WIDTHS - 1;
    for (size_t i = 0; i < count; i++)
        layers[i] = (cnn_layer){.struct_size = sizeof layers[i],
                                .kind = CNN_LAYER_DENSE,
                                .inputs = r->widths[i],
                                .outputs = r->widths[i + 1],
                                .activation = i + 1 < count ? r->hidden : r->output};
    check(cnn_network_create(CNN_FLOAT32, count, layers, 1, &network));
    for (size_t i = 0; i < count; i++)
        check(cnn_network_initialize(network, i, CNN_INIT_GLOROT_UNIFORM, 0));
    return network;
}

static state prepare(const run *r)
{
    state s = {.run = r};
    size_t width = r->widths[0];
    cnn_optimizer optimizer = {.struct_size = sizeof optimizer,
                               .kind = r->optimizer,
                               .beta1 = 0.9,
                               .beta2 = 0.999,
                               .eps = 1e-8};
    s.x = allocate(r->rows * width, sizeof *s.x);
    s.y = allocate(r->rows * width, sizeof *s.y);
    s.labels = allocate(r->rows, sizeof *s.labels);
    for (size_t i = 0; i < r->rows * width; i++)
        s.x[i] = (float)(i * 7919 % 1009) / 1009.0f;
    for (size_t i = 0; i < r->rows; i++)
        s.labels[i] = (int64_t)(i * 7 % OUTPUTS);
    if (r->action != SOFTMAX)
        s.network = network_of(r);
    if (r->action == TRAIN)
        check(cnn_trainer_create(s.network, &optimizer, &s.trainer));
    return s;
}

static void release(state *s)
{
    cnn_trainer_destroy(s->trainer);
    cnn_network_destroy(s->network);
    free(s->x);
    free(s->y);
    free(s->labels);
}

static int run_named(const char *name, int times)
{
    for (size_t i = 0; i < RUNS; i++) {
        state s;
        if (strcmp(name, runs[i].name) != 0)
            continue;
        s = prepare(&runs[i]);
        perform(&s); /* what only a first call does is not counted */
        for (int time = 0; time < times; time++)
            measured(&s);
        release(&s);
        return 0;
    }
    fprintf(stderr, "guard: there is no run \"%s\"\n", name);
    return 2;
}

int main(int argc, char **argv)
{
    const char *isa = getenv("CNN_ISA");
    if (argc > 1 && isa && strcmp(cnn_isa(), isa) != 0)
        return NO_ISA;
    if (argc > 1)
        return run_named(argv[1], argc > 2 ? atoi(argv[2]) : 1);
    printf("%s %d\n", COMPILER, COMPILER_MAJOR);
    for (size_t i = 0; i < RUNS; i++)
        puts(runs[i].name);
    return 0;
}

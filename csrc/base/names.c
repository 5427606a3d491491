/* The names and properties of the constants that cnn.h lists. */
#include "base/names.h"

#include "base/error.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct activation_facts {
    const char *name;
    int input;
    double bound;
    const char *number;
    double standard;
};

#define CNN_X(constant, value, name, input, bound, number, standard)                               \
    [value] = {#name, input, bound, number, standard},
static const struct activation_facts activations[] = {CNN_ACTIVATIONS(CNN_X)};
#undef CNN_X

#define CNN_X(constant, value, name, output, logits, accuracy) [value] = #name,
static const char *const loss_names[] = {CNN_LOSSES(CNN_X)};
#undef CNN_X

#define CNN_X(constant, value, name, output, logits, accuracy) [value] = {output, logits, accuracy},
static const struct {
    int output, logits, accuracy;
} loss_facts[] = {CNN_LOSSES(CNN_X)};
#undef CNN_X

#define CNN_X(constant, value, name) [value] = #name,
static const char *const initializer_names[] = {CNN_INITIALIZERS(CNN_X)};
#undef CNN_X

#define CNN_X(constant, value, name) [value] = #name,
static const char *const layer_kind_names[] = {CNN_LAYER_KINDS(CNN_X)};
static const char *const column_kind_names[] = {CNN_COLUMN_KINDS(CNN_X)};
static const char *const parametrization_names[] = {CNN_PARAMETRIZATIONS(CNN_X)};
#undef CNN_X

#define CNN_X(constant, value, name, matrix) [value] = #name,
static const char *const parameter_names[] = {CNN_PARAMETERS(CNN_X)};
#undef CNN_X

#define CNN_X(constant, value, name, matrix) [value] = matrix,
static const bool parameter_matrices[] = {CNN_PARAMETERS(CNN_X)};
#undef CNN_X

#define CNN_X(constant, value, name, slots, squares) [value] = #name,
static const char *const optimizer_names[] = {CNN_OPTIMIZERS(CNN_X)};
#undef CNN_X

#define CNN_X(constant, value, name, slots, squares) [value] = slots,
static const signed char optimizer_slots[] = {CNN_OPTIMIZERS(CNN_X)};
#undef CNN_X

/* A negative value becomes a size beyond every list. */
static const char *name_in(const char *const *names, size_t count, int value)
{
    return (size_t)value < count ? names[value] : NULL;
}

static const struct activation_facts *facts_of(int activation)
{
    static const struct activation_facts none;
    return (size_t)activation < COUNT(activations) ? &activations[activation] : &none;
}

const char *cnn_activation_name(int activation)
{
    return facts_of(activation)->name;
}

const char *cnn_loss_name(int loss)
{
    return name_in(loss_names, COUNT(loss_names), loss);
}

const char *cnn_optimizer_name(int optimizer)
{
    return name_in(optimizer_names, COUNT(optimizer_names), optimizer);
}

const char *cnn_initializer_name(int initializer)
{
    return name_in(initializer_names, COUNT(initializer_names), initializer);
}

const char *cnn_layer_kind_name(int kind)
{
    return name_in(layer_kind_names, COUNT(layer_kind_names), kind);
}

const char *cnn_column_kind_name(int kind)
{
    return name_in(column_kind_names, COUNT(column_kind_names), kind);
}

const char *cnn_parametrization_name(int parametrization)
{
    return name_in(parametrization_names, COUNT(parametrization_names), parametrization);
}

const char *cnn_parameter_name(int parameter)
{
    return name_in(parameter_names, COUNT(parameter_names), parameter);
}

bool cnn_parameter_is_matrix(cnn_parameter parameter)
{
    return parameter_matrices[parameter];
}

int cnn_activation_needs_input(int activation)
{
    return facts_of(activation)->input;
}

double cnn_activation_bound(int activation)
{
    return facts_of(activation)->bound;
}

const char *cnn_activation_alpha_name(int activation)
{
    return facts_of(activation)->number;
}

double cnn_activation_alpha_default(int activation)
{
    return facts_of(activation)->standard;
}

cnn_status cnn_activation_complete(const char *where, cnn_activation_spec *activation)
{
    const struct activation_facts *facts = &activations[activation->kind];
    const double alpha = activation->alpha;
    if (alpha == 0)
        activation->alpha = facts->standard;
    else if (!facts->number)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s has alpha %g, but %s has no number: should be 0",
                        where, alpha, facts->name);
    else if (!(alpha >= CNN_LEAST_ALPHA && alpha <= CNN_LARGEST))
        return cnn_fail(CNN_ERROR_ARGUMENT,
                        "%s has alpha %g, the %s of %s, should be from %g to %g, or 0 for %g",
                        where, alpha, facts->number, facts->name, CNN_LEAST_ALPHA, CNN_LARGEST,
                        facts->standard);
    return CNN_OK;
}

int cnn_optimizer_slots(int optimizer)
{
    return (size_t)optimizer < COUNT(optimizer_slots) ? optimizer_slots[optimizer] : -1;
}

int cnn_loss_output(int loss)
{
    return (size_t)loss < COUNT(loss_facts) ? loss_facts[loss].output : CNN_ANY_OUTPUT;
}

int cnn_loss_takes_logits(int loss)
{
    return (size_t)loss < COUNT(loss_facts) ? loss_facts[loss].logits : 0;
}

int cnn_loss_has_accuracy(int loss)
{
    return (size_t)loss < COUNT(loss_facts) ? loss_facts[loss].accuracy : 0;
}

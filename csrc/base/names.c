/* The names and properties of the constants that cnn.h lists. */
#include "cnn/cnn.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define CNN_X(constant, value, name, input) [value] = #name,
static const char *const activation_names[] = {CNN_ACTIVATIONS(CNN_X)};
#undef CNN_X

#define CNN_X(constant, value, name, input) [value] = input,
static const signed char activation_inputs[] = {CNN_ACTIVATIONS(CNN_X)};
#undef CNN_X

#define CNN_X(constant, value, name) [value] = #name,
static const char *const loss_names[] = {CNN_LOSSES(CNN_X)};
static const char *const initializer_names[] = {CNN_INITIALIZERS(CNN_X)};
#undef CNN_X

#define CNN_X(constant, value, name, slots) [value] = #name,
static const char *const optimizer_names[] = {CNN_OPTIMIZERS(CNN_X)};
#undef CNN_X

#define CNN_X(constant, value, name, slots) [value] = slots,
static const signed char optimizer_slots[] = {CNN_OPTIMIZERS(CNN_X)};
#undef CNN_X

/* A negative value becomes a size beyond every list. */
static const char *name_in(const char *const *names, size_t count, int value)
{
    return (size_t)value < count ? names[value] : NULL;
}

const char *cnn_activation_name(int activation)
{
    return name_in(activation_names, COUNT(activation_names), activation);
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

int cnn_activation_needs_input(int activation)
{
    return (size_t)activation < COUNT(activation_inputs) ? activation_inputs[activation] : 0;
}

int cnn_optimizer_slots(int optimizer)
{
    return (size_t)optimizer < COUNT(optimizer_slots) ? optimizer_slots[optimizer] : -1;
}

/* Metadata of networks: texts by keys, in the order in which the keys came. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "model/network.h"

static void free_entry(cnn_metadata *entry)
{
    free(entry->key);
    free(entry->value);
    free(entry);
}

void cnn_metadata_destroy(cnn_network *network)
{
    for (size_t i = 0; i < network->metadata_count; i++)
        free_entry(network->metadata[i]);
    free(network->metadata);
    free(network->sorted_metadata);
}

/*
 * The place of a key among the sorted ones, or where it belongs there. By bisection: keys may be
 * long and have a long beginning in common, so comparisons are few rather than cheap.
 */
static bool find_metadata(const cnn_network *network, const char *key, size_t *place)
{
    size_t low = 0, high = network->metadata_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(network->sorted_metadata[middle]->key, key);
        if (order == 0) {
            *place = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *place = low;
    return false;
}

/* A copy of a text; NULL without memory. */
static char *copy_text(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

/* Make room for one more entry in both lists. */
static bool reserve_metadata(cnn_network *network)
{
    const size_t count = network->metadata_count;
    const size_t capacity = cnn_max(4, 2 * count);
    if (count < network->metadata_capacity)
        return true;
    cnn_metadata **all = realloc(network->metadata, capacity * sizeof *all);
    if (all)
        network->metadata = all;
    cnn_metadata **sorted = all ? realloc(network->sorted_metadata, capacity * sizeof *all) : NULL;
    if (!sorted)
        return false;
    network->sorted_metadata = sorted;
    network->metadata_capacity = capacity;
    return true;
}

/* Add an entry of a new key, with a value that it then owns, at its place among the sorted. */
static bool add_metadata(cnn_network *network, const char *key, char *value, size_t place)
{
    cnn_metadata *made = malloc(sizeof *made);
    char *name = copy_text(key);
    if (!made || !name || !reserve_metadata(network)) {
        free(made);
        free(name);
        return false;
    }
    *made = (cnn_metadata){.key = name, .value = value};
    cnn_metadata **at = &network->sorted_metadata[place];
    memmove(at + 1, at, (network->metadata_count - place) * sizeof *at);
    *at = made;
    network->metadata[network->metadata_count++] = made;
    return true;
}

static void remove_metadata(cnn_network *network, size_t place)
{
    cnn_metadata **sorted = network->sorted_metadata, **all = network->metadata;
    cnn_metadata *gone = sorted[place];
    size_t i = 0;
    while (all[i] != gone)
        i++;
    network->metadata_count--;
    memmove(&sorted[place], &sorted[place + 1], (network->metadata_count - place) * sizeof *sorted);
    memmove(&all[i], &all[i + 1], (network->metadata_count - i) * sizeof *all);
    free_entry(gone);
}

cnn_status cnn_network_set_metadata(cnn_network *network, const char *key, const char *value)
{
    if (!network || !key)
        return cnn_fail(CNN_ERROR_ARGUMENT, "%s is NULL", network ? "key" : "network");
    size_t place = 0;
    const bool found = find_metadata(network, key, &place);
    if (!value) {
        if (found)
            remove_metadata(network, place);
        return CNN_OK;
    }
    if (!cnn_is_utf8(key) || !cnn_is_utf8(value))
        return cnn_fail(CNN_ERROR_ARGUMENT, "key and value of metadata must be UTF-8");
    char *present = found ? network->sorted_metadata[place]->value : NULL;
    if (present && strlen(value) <= strlen(present)) { /* may be a part of it */
        memmove(present, value, strlen(value) + 1);
        return CNN_OK;
    }
    char *text = copy_text(value);
    if (!text || (!found && !add_metadata(network, key, text, place))) {
        free(text);
        return cnn_fail(CNN_ERROR_MEMORY, "out of memory for metadata");
    }
    if (found) {
        free(present);
        network->sorted_metadata[place]->value = text;
    }
    return CNN_OK;
}

cnn_status cnn_metadata_add(cnn_network *network, const char *key, const char *value, bool foreign)
{
    cnn_status status = cnn_network_set_metadata(network, key, value);
    if (status == CNN_OK)
        network->metadata[network->metadata_count - 1]->foreign = foreign;
    return status;
}

const char *cnn_network_metadata(const cnn_network *network, const char *key)
{
    size_t place = 0;
    if (!network || !key || !find_metadata(network, key, &place))
        return NULL;
    return network->sorted_metadata[place]->value;
}

size_t cnn_network_metadata_count(const cnn_network *network)
{
    return network ? network->metadata_count : 0;
}

const char *cnn_network_metadata_key(const cnn_network *network, size_t index)
{
    return network && index < network->metadata_count ? network->metadata[index]->key : NULL;
}

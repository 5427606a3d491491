#include "digits.h"

#include <stdio.h>
#include <stdlib.h>

/* Return the next number of a line, which `end` must follow; -1 if it is not from 0 to 16. */
static int next_number(const char **at, char end)
{
    char *behind;
    const long value = strtol(*at, &behind, 10);
    if (behind == *at || value < 0 || value > 16 || (*behind != end && *behind != '\r'))
        return -1;
    *at = behind + 1;
    return (int)value;
}

static int read_line(const char *line, digits *made)
{
    float *pixels = made->pixels + made->rows * DIGITS_PIXELS;
    for (size_t j = 0; j < DIGITS_PIXELS; j++) {
        const int value = next_number(&line, ',');
        if (value < 0)
            return 1;
        pixels[j] = (float)value / 16;
    }
    const int label = next_number(&line, '\n');
    made->labels[made->rows++] = label;
    return label < 0 || label > 9;
}

/* Double the room for rows if it is full. Return 0, or 1 if there is no memory. */
static int grow(digits *made, size_t *room)
{
    if (made->rows < *room)
        return 0;
    const size_t rows = 2 * *room + 256;
    float *pixels = realloc(made->pixels, rows * DIGITS_PIXELS * sizeof *pixels);
    if (pixels)
        made->pixels = pixels;
    int64_t *labels = realloc(made->labels, rows * sizeof *labels);
    if (labels)
        made->labels = labels;
    *room = rows;
    return !pixels || !labels;
}

int digits_read(const char *path, digits *made)
{
    char line[1024];
    size_t room = 0;
    *made = (digits){0};
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return 1;
    }
    int failed = 0;
    while (!failed && fgets(line, sizeof line, file)) {
        failed = grow(made, &room);
        if (failed)
            fprintf(stderr, "%s: out of memory\n", path);
        else if ((failed = read_line(line, made)))
            fprintf(stderr, "%s: line %zu is not 64 pixels and a digit\n", path, made->rows + 1);
    }
    fclose(file);
    if (!failed && made->rows == 0) {
        fprintf(stderr, "%s: empty\n", path);
        failed = 1;
    }
    if (failed)
        digits_free(made);
    return failed;
}

void digits_free(digits *made)
{
    free(made->pixels);
    free(made->labels);
    *made = (digits){0};
}

/*
 * Model files made by hand, of headers with ' for " and ` for \", so that they can be read in C.
 */
#ifndef CNN_MADE_FILE_H
#define CNN_MADE_FILE_H

#include "check.h"
#include "fuzz.h"

typedef struct made_file {
    unsigned char *data;
    size_t size;
} made_file;

/* A file of a header, with `find` replaced by `replace` and quotes put in, and data_size bytes. */
static inline made_file make_file(const char *header, const char *find, const char *replace,
                                  size_t data_size)
{
    const char *found = find ? strstr(header, find) : NULL;
    const size_t room = 2 * (strlen(header) + (replace ? strlen(replace) : 0)) + 8 + data_size;
    made_file file = {.data = malloc(room), .size = 8};
    char *text = malloc(room), *next = text;
    CHECK(!find || found);
    if (found)
        snprintf(text, room, "%.*s%s%s", (int)(found - header), header, replace,
                 found + strlen(find));
    else
        snprintf(text, room, "%s", header);
    for (; *next; next++) {
        if (*next == '`')
            file.data[file.size++] = '\\';
        file.data[file.size++] = (unsigned char)(*next == '`' || *next == '\'' ? '"' : *next);
    }
    for (size_t i = 0; i < 8; i++)
        file.data[i] = (unsigned char)((uint64_t)(file.size - 8) >> (8 * i));
    for (size_t i = 0; i < data_size; i++)
        file.data[file.size++] = (unsigned char)(i % 4 == 3 ? 0x40 : i);
    free(text);
    return file;
}

/* A header of `count` copies of an entry, in which # becomes the number of the copy. */
static inline made_file make_many(const char *before, const char *entry, size_t count,
                                  const char *after)
{
    const size_t room = strlen(before) + count * (strlen(entry) + 8) + strlen(after) + 1;
    char *header = malloc(room), *next = header;
    next += sprintf(next, "%s", before);
    for (size_t i = 0; i < count; i++) {
        for (const char *c = entry; *c; c++) {
            if (*c == '#')
                next += sprintf(next, "%zu", i);
            else
                *next++ = *c;
        }
    }
    sprintf(next, "%s", after);
    made_file file = make_file(header, NULL, NULL, 0);
    free(header);
    return file;
}

#endif

/* ---- The table --------------------------------------------------------------------------- */

#define ${COLUMNS} ${columns}

${names}

typedef struct ${own}_column {
${numbers}    const char *const *categories; /* NULL for a number */
    int count;                     /* of categories */
${fields}} ${own}_column;

static const ${own}_column ${own}_table[${COLUMNS}] = {
${described}};

static inline int ${own}_is_same(const char *a, const char *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* The place of a category among those of a column, or -1. */
static inline int ${name}_category(size_t column, const char *text)
{
    if (column < ${COLUMNS}) {
        for (int i = 0; i < ${own}_table[column].count; i++)
            if (${own}_is_same(${own}_table[column].categories[i], text))
                return i;
    }
    return -1;
}

static inline double ${own}_nan(void)
{
    const union {
        uint64_t bits;
        double value;
    } nan = {0x7ff8000000000000};
    return nan.value;
}


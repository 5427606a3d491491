/* Sorting of pointers for readers of untrusted files. */
#ifndef CNN_SORT_H
#define CNN_SORT_H

#include <stddef.h>

/* Sift items[root] down until it is no smaller than its children in the heap of `count` items. */
static inline void cnn_sort_sink(const void **items, size_t root, size_t count,
                                 int (*compare)(const void *, const void *))
{
    const void *sinking = items[root];
    while (root < count / 2) {
        size_t child = 2 * root + 1;
        if (child + 1 < count && compare(items[child], items[child + 1]) < 0)
            child++;
        if (compare(sinking, items[child]) >= 0)
            break;
        items[root] = items[child];
        root = child;
    }
    items[root] = sinking;
}

/*
 * Sort pointers by what they point to, ascending. Heap sort takes O(count log count) time for any
 * order and no further memory. The standard qsort guarantees neither, and the order may be an
 * attacker's.
 */
static inline void cnn_sort(const void **items, size_t count,
                            int (*compare)(const void *, const void *))
{
    for (size_t root = count / 2; root-- > 0;)
        cnn_sort_sink(items, root, count, compare);
    for (size_t last = count; last-- > 1;) {
        const void *largest = items[0];
        items[0] = items[last];
        items[last] = largest;
        cnn_sort_sink(items, 0, last, compare);
    }
}

#endif

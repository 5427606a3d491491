/*
 * Public structs of other sizes: callers that were compiled with an older or a newer cnn.h.
 *
 * A field is added at the end of a struct of CNN_STRUCTS, with a default that is 0, and the size
 * before it to the struct's line in structs.c. It must not lie in padding at the end of the older
 * form, which older callers leave unset. cnn_matrix gets no fields: it is a part of cnn_data, whose
 * layout would change with it.
 */
#ifndef CNN_STRUCTS_H
#define CNN_STRUCTS_H

#include "base/error.h"

#define CNN_STRUCTS(X) X(loss) X(data) X(result) X(layer) X(column) X(optimizer) X(schedule)

/* The sizes that a public struct has had. */
typedef struct cnn_struct {
    size_t size;      /* in this cnn.h */
    size_t alignment; /* of which every size is a multiple */
    size_t older[4];  /* in older ones, from the first release on; the list ends with 0 */
} cnn_struct;

/*
 * Return `given` if it is as large as the present struct or larger, else `space`, a whole struct
 * with a copy of it and zeros for the fields that it lacks. Return NULL, with a message that calls
 * the struct `name`, if `given` is NULL, its size is none that the struct has had, or it is larger
 * and a byte behind the present struct is not 0: a field that this library does not know is set.
 */
const void *cnn_struct_read(const cnn_struct *type, const char *name, const void *given,
                            void *space);

/*
 * Copy `count` structs into `whole`, an array of present ones. They lie as far apart as the first
 * one's struct_size tells, which all must have; `name` is followed by the number of one in
 * messages.
 */
cnn_status cnn_struct_read_array(const cnn_struct *type, const char *name, size_t count,
                                 const void *given, void *whole);

/*
 * Copy the fields of a present struct to the caller's, as many as its struct_size, which stays, has
 * room for. Bytes behind the present struct are set to 0. Fails as cnn_struct_read does, but that
 * what the caller's struct holds beside struct_size does not matter.
 */
cnn_status cnn_struct_write(const cnn_struct *type, const char *name, const void *whole,
                            void *given);

/* Check that a struct which never grows has the size `size`, and is not NULL. */
cnn_status cnn_struct_check_fixed(const char *name, size_t size, const void *given);

/*
 * The same for each public struct: cnn_loss_read(given, name, space), cnn_loss_write(whole, name,
 * given), and so on. Reading a struct of the present size costs a comparison.
 */
#define CNN_X(struct_name)                                                                         \
    extern const cnn_struct cnn_struct_##struct_name;                                              \
    static inline const cnn_##struct_name *cnn_##struct_name##_read(                               \
        const cnn_##struct_name *given, const char *name, cnn_##struct_name *space)                \
    {                                                                                              \
        if (given && given->struct_size == sizeof *given)                                          \
            return given;                                                                          \
        return cnn_struct_read(&cnn_struct_##struct_name, name, given, space);                     \
    }                                                                                              \
    static inline cnn_status cnn_##struct_name##_write(const cnn_##struct_name *whole,             \
                                                       const char *name, cnn_##struct_name *given) \
    {                                                                                              \
        return cnn_struct_write(&cnn_struct_##struct_name, name, whole, given);                    \
    }
CNN_STRUCTS(CNN_X)
#undef CNN_X

#endif

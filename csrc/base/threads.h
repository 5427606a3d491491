/*
 * The pool of threads. A job is an index range. The caller and the workers claim its tasks one by
 * one, so a worker that is not scheduled delays only its own task.
 */
#ifndef CNN_THREADS_H
#define CNN_THREADS_H

#include <stddef.h>

/*
 * Do task `index`. `worker` is different for concurrent tasks, so that it can index scratch memory:
 * 0 is the caller, and it is less than cnn_threads_get() and than the `threads` given to
 * cnn_parallel.
 */
typedef void cnn_task(void *context, size_t index, size_t worker);

/*
 * Do tasks 0 to tasks - 1 on at most `threads` threads, and return when all are done. If the pool
 * is busy with a call of another thread, or if this is called by a task, the calling thread does
 * all of them.
 */
void cnn_parallel(size_t tasks, size_t threads, cnn_task *task, void *context);

#endif

/*
 * The pool of threads. Work is an index range that the caller and the workers claim task by task,
 * so a worker that is not scheduled delays only the task it holds.
 */
#ifndef CNN_THREADS_H
#define CNN_THREADS_H

#include <stddef.h>

/*
 * Do task `index`. `worker` tells concurrent calls apart: 0 is the caller, and it is always less
 * than cnn_threads_get() and than the `threads` given to cnn_parallel.
 */
typedef void cnn_task(void *context, size_t index, size_t worker);

/*
 * Do tasks 0 to tasks - 1 on at most `threads` threads and return when all are done. Where the
 * pool is busy with another thread's call, or is this thread itself, all are done here.
 */
void cnn_parallel(size_t tasks, size_t threads, cnn_task *task, void *context);

#endif

/* Threads that call libcnn, on systems that have threads. */
#ifndef CNN_CALLERS_H
#define CNN_CALLERS_H

#include "base/platform.h"
#include "check.h"

/* WebAssembly has none unless it is compiled with -pthread. */
#if defined(__EMSCRIPTEN__) && !defined(__EMSCRIPTEN_PTHREADS__)
#define HAS_THREADS 0
#else
#define HAS_THREADS 1
#endif

/* Start a caller, for caller_join. On a system without threads it runs at once, to its end. */
static inline cnn_thread *caller_start(void (*run)(void *), void *argument)
{
    cnn_thread *thread = cnn_platform_thread_start(run, argument);
    CHECK((thread != NULL) == HAS_THREADS);
    if (thread == NULL)
        run(argument);
    return thread;
}

static inline void caller_join(cnn_thread *thread)
{
    if (thread != NULL)
        cnn_platform_thread_join(thread);
}

#endif

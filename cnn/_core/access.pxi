# Who uses a network: any number of readers, or one thread that changes it. Needs no other part.
#
# A reader that finds a change running waits for its end, and a change waits for the readers before
# it. Each waits for one turn of the others at most: at the end of a change all waiting readers get
# in, before the next change; a reader that comes while a change waits for others is in the next
# turn. So a reader sees the weights of between two changes, and nobody starves. In the child of a
# fork, a change that another thread was making never ends: there all is refused.
#
# The functions are called in a critical section of the network, which is the GIL where there is
# one. Waiting is outside. A thread that runs inside needs no lock of another, so that no circle of
# waiting threads can form.

from cpython.pythread cimport (
    PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock,
    PyThread_type_lock, WAIT_LOCK,
)
from libc.stdint cimport uint64_t


# 1, and in the child of a fork 1 more than in its parent.
cdef uint64_t process = 1


def _count_fork():
    global process
    process += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


# A reader that waits, on its own stack.
cdef struct waiting_reader:
    PyThread_type_lock lock
    waiting_reader *next

cdef struct network_access:
    # The process in which a change is running or waits for readers, or 0.
    uint64_t busy
    # How many changes there were.
    uint64_t changes
    # What follows belongs to this process; in the child of a fork it has no meaning.
    uint64_t process
    size_t readers
    waiting_reader *waiting
    # What a change waits for, or NULL.
    PyThread_type_lock writer


cdef PyThread_type_lock closed_lock() except NULL:
    """A new lock that is held; the thread that acquires it waits until another releases it."""
    cdef PyThread_type_lock lock = PyThread_allocate_lock()
    if lock == NULL:
        raise MemoryError("no memory for a lock")
    PyThread_acquire_lock(lock, WAIT_LOCK)
    return lock


cdef inline void know_process(network_access *access) noexcept:
    """In the child of a fork: none of the parent's readers and waiting threads is here."""
    if access.process != process:
        access.process = process
        access.readers = 0
        access.waiting = NULL
        access.writer = NULL


cdef inline bint is_changing(network_access *access) noexcept:
    """Whether a reader would wait, and let other threads run meanwhile."""
    return access.busy == process


cdef int refuse_forked(str where) except -1:
    """Refuse a network that another thread was changing when this process was forked.

    Some of its weights may be those of before a step and others those of after it, for ever.
    """
    raise RuntimeError(
        f"{where}another thread was training the network when this process was forked, so that "
        f"its weights here may be partly those of another step; should be loaded from a file in "
        f"this process, or start the process by 'spawn' or while no thread trains"
    )


cdef inline bint enter_read(network_access *access, waiting_reader *own) except -1:
    """Count a reader; or return True, after which it waits for own.lock and is counted then."""
    know_process(access)
    if access.busy == 0:
        access.readers += 1
        return False
    if access.busy != process:
        refuse_forked("")
    own.lock = closed_lock()
    own.next = access.waiting
    access.waiting = own
    return True


cdef inline void leave_read(network_access *access) noexcept:
    access.readers -= 1
    if access.readers == 0 and access.writer != NULL:
        PyThread_release_lock(access.writer)
        access.writer = NULL


cdef PyThread_type_lock enter_change(network_access *access, str where) except? NULL:
    """Keep new readers out; return what to wait for until the last is gone, or NULL if none is.

    If another thread changes the network, this is a RuntimeError.
    """
    know_process(access)
    if access.busy == process:
        raise RuntimeError(f"{where}: the network is being trained by another thread")
    if access.busy != 0:
        refuse_forked(f"{where}: ")
    if access.readers > 0:
        access.writer = closed_lock()
    access.busy = process
    return access.writer


cdef void leave_change(network_access *access) noexcept:
    """Let all readers in that have waited."""
    cdef waiting_reader *reader = access.waiting
    cdef waiting_reader *following
    access.busy = 0
    access.changes += 1
    access.waiting = NULL
    while reader != NULL:
        following = reader.next
        access.readers += 1
        PyThread_release_lock(reader.lock)
        reader = following

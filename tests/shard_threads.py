"""Communicators between threads, for tests of `cnn.distributed`: each thread is a process."""

import hashlib
import threading

import numpy as np

# No test takes so long; a rank that waits for ever ends with an error.
TIMEOUT = 60


class Threads:
    """One of `size` threads; it counts the messages and bytes that it sends to others."""

    def __init__(self, barrier, slots, rank, size):
        self._barrier, self._slots = barrier, slots
        self.rank, self.size = rank, size
        self.messages = self.sent = 0

    def alltoallv(self, send, send_counts, recv, recv_counts):
        ends = np.cumsum(send_counts)
        assert send.dtype == recv.dtype == np.uint8
        assert send.flags.c_contiguous
        assert recv.flags.c_contiguous
        parts = [
            send[end - count : end].copy() for end, count in zip(ends, send_counts, strict=True)
        ]
        self.messages += sum(part.size > 0 for r, part in enumerate(parts) if r != self.rank)
        self.sent += sum(part.size for r, part in enumerate(parts) if r != self.rank)
        self._slots[self.rank] = parts
        self._barrier.wait(TIMEOUT)
        at = 0
        for rank, count in enumerate(recv_counts):
            part = self._slots[rank][self.rank]
            assert part.size == count
            recv[at : at + count] = part
            at += count
        self._barrier.wait(TIMEOUT)

    def allgatherv(self, send, recv, counts):
        assert send.size == counts[self.rank]
        self.alltoallv(np.tile(send, self.size), [send.size] * self.size, recv, counts)


def run_ranks(size, function):
    """Call function(comm) in a thread for each rank; return results, or the exceptions, by rank."""
    barrier, slots, found = threading.Barrier(size), [None] * size, [None] * size

    def run(rank):
        try:
            found[rank] = function(Threads(barrier, slots, rank, size))
        except BaseException as error:
            found[rank] = error
            if isinstance(error, threading.BrokenBarrierError):
                barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def good(found):
    """Return results of `run_ranks`, none of which may be an exception."""
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return found


def hashed(net, optimizer=None):
    """Return a hash of a network's weights, and of the optimizer's state."""
    made = hashlib.sha256()
    for array in net.get_weights():
        made.update(array.tobytes())
    if optimizer is not None:
        made.update(str(optimizer.steps).encode())
        for array in optimizer.__getstate__()["_waiting"].slots:
            made.update(array.tobytes())
    return made.hexdigest()

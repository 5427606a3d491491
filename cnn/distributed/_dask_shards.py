"""The shards of a run from collections of Dask: one partition is one shard."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cloudpickle
import dask
import distributed
import numpy as np
from dask.delayed import Delayed

from cnn.distributed._ranges import ranges


class Own(Sequence[Any]):
    """The shards of one rank, in the place of all shards.

    Parameters
    ----------
    bounds : list of int
        Where the shards of each rank begin, and their number at the end.
    rank : int
        The rank.
    sent : list or bytes
        Its x, t and weights, each a list, which is empty if there are none; or its shards, pickled.
    """

    def __init__(self, bounds: list[int], rank: int, sent: Sequence[Sequence[Any]] | bytes) -> None:
        self._count = bounds[-1]
        self._first = bounds[rank]
        columns = [cloudpickle.loads(sent)] if isinstance(sent, bytes) else sent
        # A rank may have no shard of validation data.
        given = [column for column in columns if column]
        self._own = (
            list(zip(*given, strict=True)) if len(given) > 1 else [*given[0]] if given else []
        )

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        return self._own[number - self._first]


class Parts:
    """Shards that each rank gets its own of.

    Parameters
    ----------
    where, name : str
        What begins messages, and the argument.
    shards, t, sample_weight : object
        A collection of Dask, with its targets and weights, or a list.
    """

    def __init__(self, where: str, name: str, shards: Any, t: Any, sample_weight: Any) -> None:
        self._where = where
        self._is_collection = is_collection(shards)
        self._columns: tuple[list[Any] | None, ...]
        if self._is_collection:
            self._columns = columns_of(where, name, shards, t, sample_weight)
        else:
            self._columns = (list(shards), None, None)
        self.count = len(shards) if self._columns[0] is None else len(self._columns[0])

    def bounds(self, size: int) -> list[int]:
        """Return where the shards of each of `size` ranks begin, and their number at the end."""
        return ranges(self.count, size)

    def workers(self, client: Any, workers: Sequence[str]) -> list[str]:
        """Return a worker for each rank: never more than shards."""
        size = min(len(workers), self.count)
        if not self._is_collection or self._columns[0] is None:
            return list(workers[:size])
        return placed(client, self._columns[0], _numbers(self.bounds(size)), workers)

    def sent(self, client: Any, workers: Sequence[str]) -> list[Any]:
        """Return for each rank what `Own` takes, as futures of its worker."""
        numbers = _numbers(self.bounds(len(workers)))
        if self._is_collection:
            return computed(self._where, client, self._columns, numbers, workers)
        whole = self._columns[0] or []
        sent = []
        for own, address in zip(numbers, workers, strict=True):
            pickled = cloudpickle.dumps([whole[i] for i in own])
            sent += client.scatter([pickled], workers=[address], hash=False)
        return sent


def _numbers(bounds: list[int]) -> list[range]:
    return [range(first, last) for first, last in pairwise(bounds)]


def is_collection(value: Any) -> bool:
    """Return whether shards are partitions of Dask: a collection, or a sequence of delayed ones."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(v, (Delayed, distributed.Future)) for v in value)
    # A Delayed has any attribute.
    is_one = dask.is_dask_collection(value) and not isinstance(value, Delayed)
    return is_one and hasattr(value, "to_delayed")


def columns_of(
    where: str, called: str, shards: Any, t: Any, sample_weight: Any
) -> tuple[list[Any], list[Any] | None, list[Any] | None]:
    """Return the partitions of x, t and weights, as delayed objects or futures.

    Parameters
    ----------
    where, called : str
        The function that the user called, and its argument.
    shards, t, sample_weight : object
        A dask.array, split by rows; a collection of dask.dataframe; or a list of delayed objects or
        futures. With a dask.dataframe, t and sample_weight may be names of its columns, which x is
        then without.

    Raises
    ------
    TypeError, ValueError
        If t or sample_weight are not split as shards are.
    """
    given = {"t": t, "sample_weight": sample_weight}
    for name, value in given.items():
        if isinstance(value, str):
            if not hasattr(shards, "columns"):
                raise TypeError(
                    f"{where}: {name} is {value!r}, but {called} is of type "
                    f"{type(shards).__name__}, should be a collection of Dask as {called} is"
                )
            if value not in shards.columns:
                raise ValueError(
                    f"{where}: {name} is {value!r}, should be a column of {called}: "
                    f"{', '.join(map(str, shards.columns))}"
                )
            given[name] = shards[value]
    taken = [value for value in (t, sample_weight) if isinstance(value, str)]
    if taken:
        shards = shards.drop(columns=taken)
    x = _parts(where, called, shards)
    others: list[list[Any] | None] = []
    for name, value in given.items():
        parts = None if value is None else _parts(where, name, value)
        if parts is not None and len(parts) != len(x):
            raise ValueError(
                f"{where}: {name} has {len(parts)} partitions, but {called} has {len(x)}"
            )
        others.append(parts)
    return x, others[0], others[1]


def _parts(where: str, name: str, value: Any) -> list[Any]:
    """Return the partitions of a collection."""
    if not is_collection(value):
        raise TypeError(
            f"{where}: {name} is of type {type(value).__name__}, should be a dask.array, a "
            f"collection of dask.dataframe, or a list of delayed objects or futures"
        )
    if isinstance(value, (list, tuple)):
        return list(value)
    chunks = getattr(value, "chunks", None)
    if chunks is None:
        return list(value.to_delayed())
    if any(len(sizes) > 1 for sizes in chunks[1:]):
        # A shard has whole rows.
        value = value.rechunk(dict.fromkeys(range(1, value.ndim), -1))
    return list(np.ravel(value.to_delayed()))


def placed(
    client: Any, x: Sequence[Any], ranges: Sequence[range], workers: Sequence[str]
) -> list[str]:
    """Return a worker for each rank: that one which has the most of its partitions, if it is free.

    Parameters
    ----------
    client : distributed.Client
        The client of the cluster.
    x : sequence of futures or delayed objects
        The partitions.
    ranges : sequence of range
        The numbers of each rank's partitions.
    workers : sequence of str
        The addresses to choose from, as many as ranks or more.
    """
    futures = {i: distributed.futures_of([part]) for i, part in enumerate(x)}
    holders = client.who_has([f for found in futures.values() for f in found])
    has = {
        i: {address for f in found for address in holders.get(f.key, ())}
        for i, found in futures.items()
    }
    counts = [
        (sum(address in has[i] for i in numbers), rank, address)
        for rank, numbers in enumerate(ranges)
        for address in workers
    ]
    chosen: dict[int, str] = {}
    for _, rank, address in sorted(counts, key=lambda entry: (-entry[0], entry[1], entry[2])):
        if rank not in chosen and address not in chosen.values():
            chosen[rank] = address
    return [chosen[rank] for rank in range(len(ranges))]


def computed(
    where: str,
    client: Any,
    parts: Sequence[Sequence[Any] | None],
    ranges: Sequence[range],
    workers: Sequence[str],
) -> list[list[list[Any]]]:
    """Compute partitions on the workers of their ranks, and wait for them.

    Parameters
    ----------
    where : str
        The function that the user called.
    client : distributed.Client
        The client of the cluster.
    parts : sequence
        The partitions of x, t and weights; None for what there is not.
    ranges : sequence of range
        The numbers of each rank's partitions.
    workers : sequence of str
        The workers of the ranks.

    Returns
    -------
    list
        For each rank the futures of x, t and weights.
    """
    of_ranks: list[list[list[Any]]] = []
    for numbers, address in zip(ranges, workers, strict=True):
        own = [[column[i] for i in numbers] for column in parts if column is not None]
        # One call for all of a rank, which computes once what they have in common. Partitions that
        # are in memory stay where they are, until the task of the rank fetches them.
        delayed = [part for column in own for part in column if isinstance(part, Delayed)]
        options = {"workers": [address], "allow_other_workers": True}
        kept = iter(client.persist(delayed, **options) if delayed else ())
        found = iter(
            [
                [_future(next(kept) if isinstance(p, Delayed) else p) for p in column]
                for column in own
            ]
        )
        of_ranks.append([[] if column is None else next(found) for column in parts])
    futures = [f for rank in of_ranks for column in rank for f in column]
    distributed.wait(futures)
    for numbers, rank in zip(ranges, of_ranks, strict=True):
        for column in rank:
            for number, future in zip(numbers, column, strict=False):
                if future.status == "error":
                    error = future.exception().with_traceback(future.traceback())
                    error.add_note(f"{where}: raised by the partition of shard {number}")
                    raise error
    return of_ranks


def _future(part: Any) -> Any:
    if isinstance(part, distributed.Future):
        return part
    [future] = distributed.futures_of(part)
    return future

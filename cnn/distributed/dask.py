"""Sharded training on the workers of a Dask cluster."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnn import distributed, optimizers
from cnn._base import checks, extras
from cnn._base.metadata import EPOCHS
from cnn.sequential import network_of

if TYPE_CHECKING:
    from cnn.distributed._communicator import Communicator
    from cnn.history import History
    from cnn.sequential import Sequential

__all__ = ["fit"]

_WHERE = "distributed.dask.fit"


def fit(
    client: Any,
    net: Sequential,
    shards: Any,
    t: Any = None,
    *,
    sample_weight: Any = None,
    workers: Sequence[str] | None = None,
    timeout: float = 300.0,
    **options: Any,
) -> History:
    """Train a network on the workers of a Dask cluster, which each read their own shards.

    It is `cnn.distributed.fit` with one task on each worker. The weights have the same bits as
    after `cnn.distributed.fit` in one process, whatever the number of workers and wherever the data
    are.

    Parameters
    ----------
    client : distributed.Client
        The client of the cluster. cnn is installed on all workers, in the same version.
    net : Sequential
        The network. It gets the trained weights; if the call fails, it stays as it was.
    shards : collection of Dask, sequence, or callable
        One of these:

        - a dask.array of shape (n, inputs), or a collection of dask.dataframe: a partition is a
          shard, and the first partition is shard 0. Each worker keeps its partitions in memory.
          What is not computed yet is computed on the worker that needs it; what is in memory is
          used where it lies as far as workers get the same number of shards. Partitions of columns
          are joined;
        - a list of delayed objects or of futures: each has the rows of one shard, or a tuple
          (x, t) or (x, t, sample_weight);
        - what `cnn.distributed.fit` takes: a sequence of sources, such as paths, or a callable of
          the shard's number. Each worker opens its own, so that paths must exist there.
    t : collection of Dask, str, or sequence, optional
        The targets, split as `shards` are. With a dask.dataframe, it may be the name of the column
        that has them.
    sample_weight : collection of Dask or str, optional
        The weights of rows, as `t`, for a collection of Dask. Other shards are tuples with them.
    workers : sequence of str, optional
        The addresses of the workers to use, such as "tcp://10.0.0.5:40331"; by default all that the
        cluster has at the start. There are never more ranks than shards.
    timeout : float, default 300.0
        The most seconds that a worker waits for the others: at the start, and in each step. A
        worker that dies is found at once; this is for one that hangs, or is busy with other tasks.
    **options
        The other arguments of `cnn.distributed.fit`, apart from `comm`. validation_data may be a
        tuple (x, t) or (x, t, sample_weight) of collections of Dask, or a list of delayed objects
        or futures. An optimizer that is an object gets its state
        after the training. Callbacks run on a copy, in the process of rank 0, where progress is
        shown and checkpoints are written too.

    Returns
    -------
    History
        As `cnn.distributed.fit` returns.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range.
    ConnectionError
        If a worker has died or cannot be reached; the message names it.
    TimeoutError
        If a worker did not start, or did not come to a step, in time; the message names it.
    RuntimeError
        If the task of a rank was cancelled.
    Exception
        What a rank has raised, such as an error of its source, with a note that names the rank. The
        other ranks end within seconds.

    Notes
    -----
    A worker runs one task of the training, which is not stolen, moved or repeated, with as many
    threads as the worker has. Calls that share workers run one after the other. Workers exchange
    sums and weights over the connections that Dask makes between workers, with its TLS if it has
    been set up; none passes through the scheduler.

    Examples
    --------
    A cluster of two processes on this machine:

    >>> import cnn
    >>> import dask.array as da
    >>> from cnn.distributed import dask as cnn_dask
    >>> from distributed import Client, LocalCluster
    >>> cluster = LocalCluster(
    ...     n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ... )
    >>> client = Client(cluster)
    >>> x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
    >>> net = cnn.Sequential([cnn.Dense(64, 50, "relu"), cnn.Dense(50, 10, "softmax")], rng=0)
    >>> history = cnn_dask.fit(
    ...     client,
    ...     net,
    ...     da.from_array(x, chunks=(200, 64)),
    ...     da.from_array(t, chunks=200),
    ...     epochs=10,
    ...     batch_size=100,
    ...     progress=False,
    ... )
    >>> net.evaluate(x_test, t_test)["accuracy"] > 0.9
    True
    >>> client.close()
    >>> cluster.close()
    """
    extras.require(_WHERE, "distributed", "dask")
    checks.positive(_WHERE, "timeout", timeout)
    if "comm" in options:
        raise TypeError(
            f"{_WHERE}: comm is given, but the workers of the cluster are the processes"
        )
    launching = importlib.import_module("cnn.distributed._dask_launch")
    sharding = importlib.import_module("cnn.distributed._dask_shards")
    addresses = launching.chosen(_WHERE, client, workers)
    network = network_of(net)
    optimizer = options.get("optimizer")
    trainer = None
    if isinstance(optimizer, optimizers.Optimizer):
        # Ranks get it as it was given: a checkpoint knows whether it had been used.
        options["optimizer"] = copy.deepcopy(optimizer)
        trainer = optimizers.bound(_WHERE, optimizer, network)
    options |= {"shards": shards, "t": t}
    ranks, bounds, parts = _distributed(sharding, client, options, sample_weight, addresses)
    trained: _Trained = launching.launch(
        _WHERE,
        client,
        _train,
        (net, options, bounds),
        parts=parts,
        workers=ranks,
        timeout=float(timeout),
    )
    before = network.get_metadata(EPOCHS)
    network.set_metadata(EPOCHS, trained.epochs)
    try:
        net.set_weights(trained.weights)
    except BaseException:
        network.set_metadata(EPOCHS, before)
        raise
    net.stop_training = trained.stop_training
    if trainer is not None and isinstance(optimizer, optimizers.Optimizer):
        optimizer.lr = trained.lr
        trainer.set_state(trained.slots)
        trainer.steps = trained.steps
    return trained.history


@dataclass
class _Trained:
    """What comes back from rank 0."""

    history: History
    weights: list[Any]
    epochs: str | None
    stop_training: bool
    lr: Any = None
    slots: Any = None
    steps: int = 0


def _distributed(
    sharding: Any,
    client: Any,
    options: dict[str, Any],
    sample_weight: Any,
    workers: list[str],
) -> tuple[list[str], dict[str, list[int]], list[dict[str, Any]]]:
    """Give each rank its own shards of those that are collections or lists, and take them out.

    Returns
    -------
    tuple
        The workers of the ranks; by argument where the shards of each rank begin; and for each rank
        its shards by argument.
    """
    shards, t = options["shards"], options["t"]
    own = {}
    if sharding.is_collection(shards) or (isinstance(shards, (list, tuple)) and t is None):
        own["shards"] = sharding.Parts(_WHERE, "shards", shards, t, sample_weight)
        options["t"] = None
    if sample_weight is not None and not sharding.is_collection(shards):
        raise TypeError(
            f"{_WHERE}: sample_weight is given, but shards is no collection of Dask; each shard "
            f"should be a tuple (x, t, sample_weight)"
        )
    validation = options.get("validation_data")
    if sharding.is_collection(validation):
        own["validation_data"] = sharding.Parts(_WHERE, "validation_data", validation, None, None)
    elif isinstance(validation, tuple) and validation and sharding.is_collection(validation[0]):
        columns = [*validation, None, None][:3]
        own["validation_data"] = sharding.Parts(_WHERE, "validation_data", *columns)
    if "shards" in own:
        ranks = own["shards"].workers(client, workers)
    else:
        count = len(shards) if hasattr(type(shards), "__len__") else options.get("n_shards")
        ranks = workers[: count if isinstance(count, int) and count > 0 else None]
    parts: list[dict[str, Any]] = [{} for _ in ranks]
    for name, of_name in own.items():
        options[name] = None
        for part, found in zip(parts, of_name.sent(client, ranks), strict=True):
            part[name] = found
    return ranks, {name: of_name.bounds(len(ranks)) for name, of_name in own.items()}, parts


def _train(
    comm: Communicator,
    part: dict[str, Any],
    net: Sequential,
    options: dict[str, Any],
    bounds: dict[str, list[int]],
) -> _Trained:
    """Train on one rank."""
    sharding = importlib.import_module("cnn.distributed._dask_shards")
    for name, columns in part.items():
        options[name] = sharding.Own(bounds[name], comm.rank, columns)
    history = distributed.fit(net, options.pop("shards"), options.pop("t"), comm=comm, **options)
    network = network_of(net)
    epochs = network.get_metadata(EPOCHS)
    trained = _Trained(history, net.get_weights(), epochs, net.stop_training)
    optimizer = options.get("optimizer")
    if isinstance(optimizer, optimizers.Optimizer):
        trainer = optimizers.bound(_WHERE, optimizer, network)
        trained.lr, trained.slots = optimizer.lr, trainer.get_state()
        trained.steps = trainer.steps
    return trained

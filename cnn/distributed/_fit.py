"""`fit`: its arguments, checked alone and then against those of the other processes."""

from __future__ import annotations

import errno
import os
import socket
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from cnn import losses, optimizers
from cnn._base import checks, formats
from cnn._base.log import LOGGER
from cnn._training.hooks import checked_callbacks
from cnn._training.loop import warn_of_step
from cnn._training.progress import wanted
from cnn._training.samples import loss_for
from cnn.distributed import _agreement
from cnn.distributed._communicator import checked
from cnn.distributed._exchange import Exchange
from cnn.distributed._ranges import ranges
from cnn.distributed._run import Run, Validation
from cnn.distributed._shards import Given, Shard, opened_shards
from cnn.distributed._team import Team
from cnn.sequential import Sequential, network_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cnn._base.choices import LossName, OptimizerName, Progress
    from cnn._training.hooks import Hooks
    from cnn._training.samples import ClassWeight
    from cnn.history import History

_WHERE = "distributed.fit"


def fit(
    net: Sequential,
    shards: Sequence[Any] | Callable[[int], Any],
    t: Sequence[Any] | Callable[[int], Any] | str | None = None,
    *,
    comm: Any = None,
    epochs: int = 1,
    batch_size: int = 32,
    optimizer: OptimizerName | optimizers.Optimizer | None = None,
    loss: LossName | losses.Loss | None = None,
    validation_data: Sequence[Any] | Callable[[int], Any] | None = None,
    class_weight: ClassWeight | None = None,
    shuffle: bool = True,
    callbacks: Hooks | Iterable[Hooks] = (),
    progress: Progress = "auto",
    verbose: Literal[0, 1, 2, "auto"] | None = None,
    n_shards: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int | None = None,
    resume: bool = True,
) -> History:
    """Train a network on shards of data, by one process or several.

    Each process calls this function with the same network and the same arguments, and has some of
    the shards. All of them end with the same weights, and so does a run with another number of
    processes: the result depends on the shards, and not on which process has them.

    Parameters
    ----------
    net : Sequential
        The network, the same in all processes: made with the same seed, or loaded from a file.
    shards : sequence or callable
        A row source for each shard, or a function that returns that of a shard's number. A process
        opens its own shards only. A row source is a tuple (x, t) or (x, t, weight), or anything
        that `cnn.Sequential.fit` takes as x: arrays and memory maps, paths of files, objects like
        `cnn.Rows`, and iterables of batches that can be read again for each epoch.
    t : sequence or callable or str, optional
        The targets of each shard, in the place of tuples; a text stands for the name of a column in
        each of them.
    comm : mpi4py.MPI.Intracomm or Communicator, optional
        The processes. By default this one trains on all shards.
    epochs : int, default 1
        How many times each row is used.
    batch_size : int, default 32
        How many rows of all shards together a step uses, about: an epoch of n rows has
        n / batch_size steps, rounded up, and each step uses the same share of each shard.
    optimizer : Optimizer or str, optional
        As for `cnn.Sequential.fit`.
    loss : Loss or str, optional
        As for `cnn.Sequential.fit`.
    validation_data : sequence or callable, optional
        Shards, in the same ways as `shards`, with tuples for targets; the network is evaluated on
        them after each epoch. A function gets the numbers of as many shards.
    class_weight : dict, array_like of shape (outputs,) or "balanced", optional
        As for `cnn.Sequential.fit`; "balanced" counts the classes of all shards.
    shuffle : bool, default True
        Whether each epoch uses the rows of each shard in a new random order.
    callbacks : Callback or iterable of Callback, optional
        Callbacks of the first process, rank 0; those of others are not used. If they change
        weights, ``optimizer.lr`` or ``net.stop_training``, they do it in all processes.
    progress, verbose
        As for `cnn.Sequential.fit`, in the first process.
    n_shards : int, optional
        The number of shards, if `shards` is a function.
    checkpoint : str or os.PathLike, optional
        A file that the first process writes after each epoch, and from which a run goes on that was
        ended early. `cnn.load` and `cnn.load_checkpoint` read it too.
    every : int, optional
        After how many steps the file is also written within an epoch.
    resume : bool, default True
        Whether to go on from `checkpoint` if the file exists. The network must be as it was when
        the run began, and the arguments too, but for `epochs`, which may be more.

    Returns
    -------
    History
        The metrics of each epoch.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range, arguments or networks differ between
        processes, or a checkpoint is of a run with others.
    FloatingPointError
        If the loss, the weights or the optimizer's state become NaN or infinite.
    OSError
        If a file cannot be read, or a checkpoint not written; the one before stays.
    RuntimeError
        If another process has raised an error of a type of its own, or was interrupted.
    KeyboardInterrupt
        On Ctrl-C, in the processes that got it.

    Notes
    -----
    If one process fails, all raise an error that names its rank, the shard and the cause. The
    network and the optimizer are then as they were at the end of the last finished epoch.

    A step takes its rows of each shard; the gradients of the shards are added in the order of a
    fixed binary tree, and divided by the sum of weights. Processes send one another the sums of
    whole subtrees, each the slice of parameters that the other one updates, and then the new
    parameters. With p parameters of b bytes and r processes, one of which has m subtrees, it sends
    2 (r - 1) messages in a step: m p b bytes but for its own slice, and p b / r bytes to each of
    the others, beside 8 bytes a message and 40 a subtree. With clip_norm, r - 1 messages more carry
    8 bytes for 4096 parameters.

    After each epoch the optimizer's state is exchanged too, if there are callbacks or a checkpoint.

    Examples
    --------
    >>> import cnn
    >>> x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
    >>> net = cnn.mlp([64, 50, 10], "relu", "softmax", rng=0)
    >>> shards = [(x[s::8], t[s::8]) for s in range(8)]
    >>> adam = cnn.Adam(1e-2)
    >>> history = cnn.distributed.fit(net, shards, epochs=10, batch_size=100, optimizer=adam)
    >>> net.evaluate(x_test, t_test)["accuracy"] > 0.9
    True

    With ``comm=MPI.COMM_WORLD`` of mpi4py and ``mpiexec -n 4 python program.py`` the same program
    has four processes, and ends with the same weights. As ``python -m mpi4py program.py``, an error
    outside of `fit` ends all processes too.
    """
    team = Team(_WHERE, checked(_WHERE, comm))
    arguments = {
        "epochs": epochs,
        "batch_size": batch_size,
        "class_weight": class_weight,
        "shuffle": shuffle,
        "every": every,
        "resume": resume,
    }
    with team.interruptible():
        call = team.attempt(
            _Call,
            *(net, shards, t, validation_data, n_shards, optimizer, loss),
            *(callbacks, progress, verbose, checkpoint, arguments),
        )
        _agreement.agree(team, None if call is None else call.settings)
        return cast(_Call, call).run(team).run()


class _Call:
    """The arguments of fit, checked without a look at other processes."""

    def __init__(
        self,
        net: object,
        shards: Any,
        t: Any,
        validation_data: Any,
        n_shards: int | None,
        optimizer: Any,
        loss: Any,
        callbacks: object,
        progress: object,
        verbose: object,
        checkpoint: Any,
        arguments: dict[str, Any],
    ) -> None:
        where = _WHERE
        if not isinstance(net, Sequential):
            raise TypeError(f"{where}: net is of type {type(net).__name__}, should be a Sequential")
        self.net, self.network = net, network_of(net)
        self.epochs = checks.integer(where, "epochs", arguments["epochs"], 1)
        self.batch_size = checks.integer(where, "batch_size", arguments["batch_size"], 1)
        self.shuffle = checks.flag(where, "shuffle", arguments["shuffle"])
        self.resume = checks.flag(where, "resume", arguments["resume"])
        self.every = arguments["every"]
        if self.every is not None:
            self.every = checks.integer(where, "every", self.every, 1)
        self.checkpoint = _checked_path(checkpoint)
        if self.every is not None and self.checkpoint is None:
            raise ValueError(f"{where}: every is {self.every}, but there is no checkpoint")
        self.loss = loss_for(where, loss, self.network)
        self.given = Given(where, "shards", shards, t, n_shards)
        self.validation = None
        if validation_data is not None:
            name, count = "validation_data", self.given.count
            self.validation = Given(where, name, validation_data, None, count)
        self.class_weight = arguments["class_weight"]
        if self.class_weight is not None and not _is_balanced(self.class_weight):
            labels = np.empty(0, np.intp) if self.loss.takes_labels else None
            self.class_weight = losses.checked_class_weight(
                where, self.class_weight, net.outputs, labels
            )
        self.callbacks = checked_callbacks(where, callbacks)
        self.show = wanted(where, progress, verbose)
        self.optimizer = optimizers.resolve(where, optimizer)
        warn_of_step(net.layers)
        weights = self.class_weight
        self.settings = _agreement.settings(
            self.network,
            self.optimizer,
            self.loss,
            {
                "epochs": self.epochs,
                "batch_size": self.batch_size,
                "shuffle": self.shuffle,
                "class_weight": weights.tolist() if isinstance(weights, np.ndarray) else weights,
                "the number of shards": self.given.count,
                "the number of shards of validation_data": _count(self.validation),
                "checkpoint": "None" if self.checkpoint is None else "a path",
                "every": self.every,
                "resume": self.resume,
            },
        )

    def run(self, team: Team) -> Run:
        """Return the run, whose shards are opened and counted."""
        trainer = team.attempt(optimizers.bound, team.where, self.optimizer, self.network)
        team.sync()
        clips = bool(trainer.options["clip_norm"])
        exchange = Exchange(team, trainer, self.given.count, clips=clips)
        first, last = exchange.bounds[team.rank : team.rank + 2]
        classes = self.network.outputs if _is_balanced(self.class_weight) else 0
        shards, found = self._counted(team, self.given, exchange.bounds, classes)
        if self.class_weight is not None:
            weights = self.class_weight
            if classes:
                weights = losses.balanced_of(found[:, 1:].sum(axis=0))
            for shard in shards:
                team.attempt(shard.weigh, weights, shard=shard.number)
            team.sync()
        rows = found[:, 0].astype(int).tolist()
        self.settings["the rows of each shard"] = rows
        validation = None
        if self.validation is not None:
            bounds = ranges(self.validation.count, team.size)
            tested, sizes = self._counted(team, self.validation, bounds, 0)
            validation = Validation(tested, bounds)
            self.settings["the rows of each shard of validation_data"] = sizes[:, 0].tolist()
        LOGGER.info(
            "%s: rank %d of %d is process %d on %s, with %d shards from %d on and %d rows",
            *(team.where, team.rank, team.size, os.getpid(), socket.gethostname()),
            *(last - first, first, sum(rows[first:last])),
        )
        has_callbacks = team.tell(np.array([len(self.callbacks)], float)[: team.rank == 0], 1)[0]
        return Run(
            team=team,
            net=self.net,
            network=self.network,
            optimizer=self.optimizer,
            trainer=trainer,
            loss=self.loss,
            exchange=exchange,
            shards=shards,
            validation=validation,
            rows=sum(rows),
            steps=-(-sum(rows) // self.batch_size),
            epochs=self.epochs,
            shuffle=self.shuffle,
            callbacks=self.callbacks if team.rank == 0 else [],
            has_callbacks=bool(has_callbacks),
            show=self.show,
            checkpoint=self.checkpoint,
            every=self.every,
            resume=self.resume,
            settings=self.settings,
        )

    def _counted(
        self, team: Team, given: Given, bounds: list[int], classes: int
    ) -> tuple[list[Shard], Any]:
        """Return the shards of this process, and the rows (and classes) of all shards."""
        where = team.where if given is self.given else f"{team.where}: validation_data"
        numbers = range(bounds[team.rank], bounds[team.rank + 1])
        shards = opened_shards(where, given, numbers, self.network, self.loss, team.attempt)

        def count(shard: Shard) -> Any:
            return shard.count(classes=bool(classes))

        found = [team.attempt(count, shard, shard=shard.number) for shard in shards]
        own = None
        if all(counts is not None for counts in found):
            own = np.concatenate([np.empty(0), *found])
        lengths = [(1 + classes) * (b - a) for a, b in pairwise(bounds)]
        parts = team.allgather(own, lengths)
        return shards, np.concatenate(parts).reshape(given.count, 1 + classes)


def _is_balanced(class_weight: object) -> bool:
    return isinstance(class_weight, str) and class_weight == "balanced"


def _count(given: Given | None) -> int:
    return 0 if given is None else given.count


def _checked_path(checkpoint: Any) -> str | None:
    """Return the path of the checkpoint, whose folder exists."""
    if checkpoint is None:
        return None
    where = f"{_WHERE}: checkpoint"
    given = checks.path(where, checkpoint)
    path = os.fsdecode(formats.destination(where, given, "a safetensors file"))
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        raise FileNotFoundError(
            errno.ENOENT, f"{_WHERE}: checkpoint is {path!r}, whose folder does not exist", folder
        )
    return path

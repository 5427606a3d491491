"""The loop of a sharded run: epochs, steps, callbacks, checkpoints, and what failures leave."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core, losses, optimizers, schedules
from cnn._base.log import LOGGER
from cnn._base.metadata import EPOCHS
from cnn._training.progress import Display, display, text_of
from cnn.distributed import _agreement, _checkpoint
from cnn.distributed._exchange import NormError
from cnn.history import History
from cnn.sequential import of_network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cnn._training.hooks import Hooks
    from cnn.distributed._exchange import Exchange
    from cnn.distributed._shards import Shard
    from cnn.distributed._team import Team
    from cnn.sequential import Sequential

# The display is told of steps after so many seconds.
_SHOWN = 0.03
# Gradients are divided by the sum of weights after they are added. In float32 they keep their
# precision until then if the mean of the weights is not less, and the sum of them not more.
_LEAST_MEAN, _MOST_SUM = 1e-30, 1e30


class _NotFiniteError(Exception):
    """A loss, a norm, the weights or the optimizer's state are no longer finite, on all ranks."""

    def __init__(self, what: str, step: int) -> None:
        super().__init__(what, step)
        self.what = what
        self.step = step


@dataclass
class Validation:
    """The shards of the validation data that a process has, and where those of each begin."""

    shards: list[Shard]
    bounds: list[int]


@dataclass
class Run:
    """A run, with checked arguments, in one of its processes."""

    team: Team
    net: Sequential
    network: _core.Network
    optimizer: optimizers.Optimizer
    trainer: _core.Trainer
    loss: losses.Loss
    exchange: Exchange
    shards: list[Shard]
    validation: Validation | None
    rows: int
    """The rows of all shards."""
    steps: int
    """The steps of an epoch."""
    epochs: int
    shuffle: bool
    callbacks: list[Hooks]
    """Of the first process; the others have none."""
    has_callbacks: bool
    show: bool
    checkpoint: str | None
    every: int | None
    resume: bool
    settings: dict[str, Any]

    history: History = field(default_factory=History)
    first: int = 1
    epoch: int = 0
    """The last finished epoch."""
    step: int = 0
    """How many steps of the next one are done."""
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(_core.SHARD_SUMS))
    """The sums of these, as History needs them."""
    last_lr: float = 0.0
    display: Display | None = None

    @property
    def last(self) -> int:
        """The last epoch."""
        return self.first + self.epochs - 1

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics of an epoch."""
        names = ["loss", "accuracy"] if self.loss.has_accuracy else ["loss"]
        if self.validation is not None:
            names += [f"val_{name}" for name in names]
        return (*names, "lr", "seconds")

    def run(self) -> History:
        """Train."""
        team = self.team
        self.epoch = int(self.network.get_metadata(EPOCHS) or 0)
        self.first = self.epoch + 1
        self.net.stop_training = False
        for callback in self.callbacks:
            callback.model = self.net
            callback.optimizer = self.optimizer
            callback.metrics = self.metrics
        self._call("on_train_begin")
        self._resume()
        self._log(
            "%s begins: %d rows in %d shards, epochs %d to %d, %d steps each, %r, %r",
            *(team.where, self.rows, self.exchange.bounds[-1], self.epoch + 1, self.last),
            *(self.steps, self.optimizer, self.loss),
        )
        try:
            if self.show and team.rank == 0:
                self.display = display(self.rows, self.epoch + 1, self.last)
            # As in Sequential.fit, a stop before the first epoch is one after it.
            while self.epoch < self.last and not (self.net.stop_training and self.history.epoch):
                self._next_epoch()
        finally:
            if self.display is not None:
                self.display.close()
        team.sync()
        logs = self.history[-1]
        stopped = ", stopped by a callback" if self.net.stop_training else ""
        self._log("%s ends after epoch %d%s: %s", team.where, self.epoch, stopped, text_of(logs))
        self.exchange.gather_state()
        self._call("on_train_end", logs)
        return self.history

    def _log(self, text: str, *values: object) -> None:
        """Log a line of the whole run, in the first process."""
        if self.team.rank == 0:
            LOGGER.info(text, *values)

    # ---- Callbacks -------------------------------------------------------------------------------

    def _call(self, name: str, *arguments: Any) -> None:
        """Call a method of the callbacks, and do in all processes what it did in the first."""
        if not self.has_callbacks:
            return
        told = self.team.tell(self.team.attempt(self._called, name, arguments), 3)
        stop, changed, has_lr = told.tolist()
        self.net.stop_training = bool(stop)
        if has_lr:
            text = json.dumps(schedules.to_json(self.optimizer.lr))
            lr = self.team.texts(text if self.team.rank == 0 else "")[0]
            if self.team.rank > 0:
                self.optimizer.lr = schedules.from_json(json.loads(lr))
        if changed:
            values = self.team.attempt(self._values) if self.team.rank == 0 else self._nothing()
            self.team.attempt(self._take_values, self.exchange.tell_values(values))

    def _called(self, name: str, arguments: Sequence[Any]) -> NDArray[np.float64]:
        """Call a method of the callbacks; return what there is to tell others."""
        if self.team.rank > 0:
            return np.empty(0)
        before, lr_before = self._values(), schedules.to_json(self.optimizer.lr)
        for callback in self.callbacks:
            getattr(callback, name)(*arguments)
        changed = before.tobytes() != self._values().tobytes()
        lr = schedules.to_json(self.optimizer.lr)
        # A function of the user's cannot be told; the rates that it returns are.
        return np.array([self.net.stop_training, changed, lr not in (None, lr_before)], float)

    def _values(self) -> NDArray[Any]:
        return _flat(self.net)

    def _nothing(self) -> NDArray[Any]:
        return np.empty(0, self.network.dtype)

    def _take_values(self, values: NDArray[Any]) -> None:
        """Set all weights."""
        arrays, at = [], 0
        for array in self.net.get_weights():
            arrays.append(values[at : at + array.size].reshape(array.shape))
            at += array.size
        self.net.set_weights(arrays)

    # ---- Epochs ----------------------------------------------------------------------------------

    def _next_epoch(self) -> None:
        """Train for an epoch, or for the rest of one; call the callbacks, and save."""
        epoch, begin = self.epoch + 1, time.perf_counter()
        self._call("on_epoch_begin", epoch)
        resumed = f" {self.step} steps later" if self.step else ""
        kept = f"those after epoch {self.epoch}{resumed}"
        if epoch == self.first and not self.step:
            kept = f"as they were before {self.team.where}"
        count = self.steps - self.step
        rates = self.team.attempt(self._rates, count)
        rates = self.team.tell(rates, count).copy()
        if self.display is not None:
            self.display.begin(epoch)
        before = self.network.get_metadata(EPOCHS)
        self.team.attempt(self.trainer.snapshot)
        self.team.sync()
        interrupted = False
        try:
            self._train(epoch, rates)
            logs = self._logs(epoch) | {"lr": self.last_lr, "seconds": time.perf_counter() - begin}
        except _NotFiniteError as error:
            self._restore(before)
            raise FloatingPointError(
                f"{self.team.where}: the {error.what} became NaN or infinite in epoch {epoch}, "
                f"step {error.step}; the weights are {kept}. A smaller lr or clip_norm may help"
            ) from None
        except BaseException as error:
            interrupted = not isinstance(error, Exception)
            # If another thread is training the network by now, its weights are not restored.
            with contextlib.suppress(RuntimeError):
                self._restore(before)
                error.add_note(f"{self.team.where} ended in epoch {epoch}; the weights are {kept}")
            raise
        finally:
            for shard in self.shards:
                shard.end(interrupted=interrupted)
        self.epoch, self.step, self.sums = epoch, 0, np.zeros(_core.SHARD_SUMS)
        self.history.append(epoch, logs)
        if self.team.rank == 0 and LOGGER.isEnabledFor(logging.DEBUG):
            LOGGER.debug("%s: epoch %d, %s", self.team.where, epoch, text_of(logs))
        if self.display is not None:
            self.display.finish(epoch, logs)
        if self.has_callbacks or self.checkpoint is not None:
            self.exchange.gather_state()
        self._call("on_epoch_end", epoch, logs)
        self._save()

    def _rates(self, count: int) -> NDArray[np.float64]:
        """Return the learning rates of the next steps, which the first process tells all."""
        if self.team.rank > 0:
            return np.empty(0)
        optimizers.check_plain(self.team.where, self.optimizer, "training in shards")
        return optimizers.rates(self.team.where, self.optimizer, count)

    def _restore(self, epochs: str | None) -> None:
        """Go back to the last finished epoch, in all processes if they have failed together."""
        self.trainer.restore(EPOCHS, epochs)
        if self.team.agrees:
            self.team.recover()
            self.exchange.gather_state()

    def _train(self, epoch: int, rates: NDArray[np.float64]) -> None:
        """Make the steps of an epoch that are missing."""
        team = self.team
        for shard in self.shards:
            first = shard.rows * self.step // self.steps
            team.attempt(self._begin_shard, shard, epoch, first, shard=shard.number)
        made, shown, rows = 0, time.monotonic(), 0.0
        for step in range(self.step, self.steps):
            self.exchange.tree.reset()
            for shard in self.shards:
                team.attempt(
                    shard.gradient,
                    *(self.trainer, self.exchange.tree, step, self.steps),
                    shard=shard.number,
                )
            sums, gradient = self.exchange.total()
            if sums[1] >= _core.LEAST_WEIGHT_SUM:
                self.last_lr = float(rates[made])
                self._update(step, sums, gradient)
                made += 1
            self.sums[2:] += sums[2:]
            self.step = step + 1
            rows += sums[2]
            if self.display is not None and time.monotonic() - shown > _SHOWN:
                self.display.advance(int(rows), self._means(self.sums))
                shown, rows = time.monotonic(), 0.0
            done = (epoch - self.first) * self.steps + self.step
            if self.every is not None and done % self.every == 0 and self.step < self.steps:
                self.exchange.gather_state()
                self._save()
        if not made and self.sums[1] > 0:
            # The steps with weight were made before a checkpoint; others count it themselves.
            team.attempt(self.network.set_metadata, EPOCHS, str(epoch))
        if self.display is not None:
            self.display.advance(int(rows), self._means(self.sums))

    def _begin_shard(self, shard: Shard, epoch: int, first: int) -> None:
        shard.begin(epoch, first, shuffle=self.shuffle)

    def _check_weights(self, step: int, sums: NDArray[np.float64]) -> None:
        """Refuse weights with which gradients of float32 overflow, or vanish."""
        if self.network.dtype != np.float32 or _LEAST_MEAN * sums[2] <= sums[1] <= _MOST_SUM:
            return
        self.team.agrees = True
        raise ValueError(
            f"{self.team.where}: the weights of the {sums[2]:g} rows of epoch {self.epoch + 1}, "
            f"step {step + 1}, add up to {sums[1]:g}; for a network of float32 their sum should be "
            f"at most {_MOST_SUM:g} and their mean at least {_LEAST_MEAN:g}: multiply all weights "
            f"by a number, which changes nothing else"
        )

    def _update(self, step: int, sums: NDArray[np.float64], gradient: NDArray[Any]) -> None:
        self._check_weights(step, sums)
        loss = self.exchange.loss(sums)
        if not math.isfinite(loss):
            self.team.agrees = True
            raise _NotFiniteError("loss", step + 1)
        try:
            # An interrupted epoch is not repeated: its order of rows has been used. So it is
            # counted with its first step.
            self.exchange.update(sums, gradient, self.last_lr, self.epoch + 1)
        except NormError:
            self.team.agrees = True
            raise _NotFiniteError("gradient's norm", step + 1) from None
        self.sums[0] += loss * sums[1]
        self.sums[1] += sums[1]

    def _logs(self, epoch: int) -> dict[str, float]:
        """Return the metrics of an epoch whose steps are done."""
        weights, state = self.exchange.finite()
        if not (weights and state):
            self.team.agrees = True
            raise _NotFiniteError("optimizer's state" if weights else "weights", self.steps)
        if self.sums[1] == 0:
            self.team.agrees = True
            raise ValueError(
                f"{self.team.where}: the weights of no step of epoch {epoch} add up to "
                f"{_core.LEAST_WEIGHT_SUM:g} or more, so that no step was made"
            )
        logs = self._means(self.sums)
        if self.validation is None:
            return logs
        nodes = self._evaluated(self.validation)
        sums = self.exchange.evaluated(nodes, self.validation.bounds)
        if not sums[1] >= _core.LEAST_WEIGHT_SUM:
            self.team.agrees = True
            losses.refuse_total(f"{self.team.where}: validation_data", "sample_weight", sums[1])
        sums[0] = _core.shard_loss(self.network, sums) * sums[1]
        return logs | {f"val_{name}": value for name, value in self._means(sums).items()}

    def _evaluated(self, validation: Validation) -> Any:
        """Return the nodes of the validation's sums of this process."""
        tree = _core.ShardTree(self.network.dtype, 0, validation.bounds[-1])
        for shard in validation.shards:
            sums = self.team.attempt(shard.evaluate, shard=shard.number)
            if sums is not None:
                tree.add(shard.number, shard.number + 1, self._nothing(), sums)
        return self.team.attempt(tree.nodes)

    def _means(self, sums: NDArray[np.float64]) -> dict[str, float]:
        loss, weight, _, correct, counted = sums.tolist()
        found = {"loss": loss / weight if weight > 0 else math.nan}
        if self.loss.has_accuracy:
            found["accuracy"] = correct / counted if counted else math.nan
        return found

    # ---- Checkpoints -----------------------------------------------------------------------------

    def _save(self) -> None:
        """Write a checkpoint, in the first process."""
        if self.checkpoint is not None and self.team.rank == 0:
            self.team.attempt(self._write, self.checkpoint)

    def _write(self, path: str) -> None:
        state = {
            "settings": self.settings,
            "first": self.first,
            "epoch": self.epoch,
            "step": self.step,
            "sums": self.sums.tolist(),
            "epochs": self.history.epoch,
            "history": self.history.history,
            "stopped": self.net.stop_training,
            "last_lr": self.last_lr,
            "made": self.trainer.steps,
            "lr": schedules.to_json(self.optimizer.lr),
        }
        _checkpoint.write(path, self.trainer, self.optimizer, state, self.callbacks)
        LOGGER.info(
            "%s: wrote checkpoint %r, epoch %d, step %d", self.team.where, path, *self.progress
        )

    @property
    def progress(self) -> tuple[int, int]:
        """The epoch that is trained next, or now, and its steps that are done."""
        return self.epoch + 1, self.step

    def _resume(self) -> None:
        """Go on from a checkpoint, if there is one."""
        if self.checkpoint is None or not self.resume:
            return
        team, found = self.team, None
        if team.rank == 0:
            found = team.attempt(self._read, self.checkpoint)
        state = _checkpoint.loaded(team.texts(found[1] if found else "")[0])
        if state is None:
            return
        parts = team.attempt(self._saved_arrays, found[0] if found else None)
        if team.rank == 0:
            team.attempt(_checkpoint.restore, team.where, self.checkpoint, state, self.callbacks)
        # If that fails, the network and the optimizer are left as they were.
        team.sync()
        values = [self.exchange.tell_values(part).copy() for part in parts]
        team.attempt(self._take, state, values)
        team.sync()
        self._log(
            "%s goes on from %r: epoch %d, step %d", team.where, self.checkpoint, *self.progress
        )

    def _read(self, path: str) -> tuple[_core.Trainer, str] | None:
        """Return a checkpoint's trainer and state, checked against this run."""
        found = _checkpoint.read(self.team.where, path)
        if found is None:
            return None
        trainer, text = found
        state = _checkpoint.loaded(text) or {}
        _agreement.check_resumed(self.team.where, path, state["settings"], self.settings)
        if max(state["epoch"], state["epoch"] + min(state["step"], 1)) > self.last:
            raise ValueError(
                f"{self.team.where}: epochs is {self.epochs}, but checkpoint {path!r} is in epoch "
                f"{state['epoch'] + min(state['step'], 1)}, the last would be {self.last}"
            )
        return trainer, text

    def _saved_arrays(self, trainer: _core.Trainer | None) -> list[NDArray[Any]]:
        """Return the weights and the optimizer's state of a checkpoint; others have none."""
        slots = _core.OPTIMIZER_SLOTS[self.trainer.kind]
        if trainer is None:
            return [self._nothing() for _ in range(1 + slots)]
        return [_flat(of_network(trainer.network)), *trainer.get_state()]

    def _take(self, state: dict[str, Any], values: list[NDArray[Any]]) -> None:
        """Take the state of a run."""
        self._take_values(values[0])
        self.trainer.set_state(values[1:])
        self.trainer.steps = state["made"]
        if state["lr"] is not None:
            self.optimizer.lr = schedules.from_json(state["lr"])
        self.epoch, self.step, self.last_lr = state["epoch"], state["step"], state["last_lr"]
        self.sums = np.array(state["sums"], np.float64)
        self.history.epoch, self.history.history = state["epochs"], state["history"]
        self.net.stop_training = state["stopped"]
        if self.epoch >= self.first:
            self.network.set_metadata(EPOCHS, str(self.epoch))


def _flat(net: Sequential) -> NDArray[Any]:
    """Return all weights in the order of gradients."""
    return np.concatenate([array.ravel() for array in net.get_weights()])

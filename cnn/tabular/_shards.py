"""A table in shards: each process reads its own files, and what is learnt of columns is of all.

Everything that is decided here is a function of the files and the number of shards. It does not
depend on how many processes there are: counts and sums are exact, and the files' order is fixed.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._base.exact_sums import added
from cnn._tables import content, merging, shards, statistics, table
from cnn._tables.content import ColumnOutline, check_classes
from cnn._tables.preprocessing import Preprocessing
from cnn._tables.shards import FilesProgress, Scratch, Shard
from cnn._tables.statistics import Facts, Means, Medians
from cnn._tables.table import Category
from cnn.tabular import _split

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from cnn._tables.dialect import Dialect
    from cnn._tables.table import Column, Survey
    from cnn.tabular._peers import Peers


READINGS = 2
"""How often each file is read."""


@dataclass(frozen=True)
class Reading:
    """How the files of a table are read; the fields as the arguments of `content.read`."""

    target: str
    dialect: Dialect
    task: str = "auto"
    drop: Collection[str] = ()
    categories: Collection[str] = ()
    missing: str = "error"
    """What is done about missing values."""


@dataclass
class Outline:
    """What the table holds, as all processes know it."""

    source: str
    """What begins messages: the first file, and how many others there are."""
    rows: int
    columns: dict[str, ColumnOutline]
    """The columns by their names, in the order of the table; the target too."""
    hint: str
    rows_of: list[int]
    """The rows of each shard."""


def outline(
    files: list[list[str]], reading: Reading, peers: Peers, progress: FilesProgress
) -> Outline:
    """Read the own files once, and decide from all what the columns are.

    `files` has those of each shard.
    """
    own = [files[shard] for shard in peers.own]
    forced = content.forced_categories(
        reading.target, reading.task, reading.drop, reading.categories
    )
    paths = [path for each in own for path in each]

    def header() -> list[Any]:
        return [paths[0], merging.headers(paths, reading.dialect)] if paths else []

    (first, names), *others = filter(None, peers.together(header))
    for path, other in others:
        merging.check_names(first, names, path, other)
    source = shards.named([path for each in files for path in each])

    parts = [
        part
        for part in peers.together(lambda: _surveyed(own, source, forced, reading, progress))
        if part[0]
    ]
    surveys = {
        name: merging.merged(
            source,
            [
                merging.of_text(texts[name], reading.dialect, forced=name in forced)
                for _, texts in parts
            ],
        )
        for name in parts[0][1]
    }
    for each in surveys.values():
        each.check(source)
    rows_of = [count for counts, _ in parts for count in counts]
    columns, hint = content.decided(source, sum(rows_of), reading.task, reading.target, surveys)
    goal = surveys[reading.target]
    if goal.missing and reading.missing != "drop":
        raise content.missing_target(source, reading.target, goal.first_missing)
    facts = {
        name: ColumnOutline(columns[name], each.missing, each.first_missing, each.inexact)
        for name, each in surveys.items()
    }
    return Outline(source, sum(rows_of), facts, hint, rows_of)


def _surveyed(
    files: list[list[str]],
    source: str,
    forced: Collection[str],
    reading: Reading,
    progress: FilesProgress,
) -> list[Any]:
    """Read the files of shards; return the rows of each shard, and what the columns hold, as JSON.

    `source` begins messages; `forced` are the columns that are categories in any case.
    """
    counts: list[int] = []
    found: dict[str, Survey] = {}
    for each in files:
        counts.append(0)
        for path in each:
            rows, surveys = table.survey(
                path,
                needed=[reading.target],
                drop=reading.drop,
                categories=forced,
                dialect=reading.dialect,
                keep_missing=reading.missing != "error",
                whole=False,
                progress=progress.of(path),
            )
            counts[-1] += rows
            found = {
                name: merging.merged(source, [found[name], new] if found else [new])
                for name, new in surveys.items()
            }
    return [counts, {name: merging.text_of(each) for name, each in found.items()}]


class Part:
    """A shard of this process: its rows, and which of them are held out."""

    def __init__(self, number: int, rows: Shard) -> None:
        self.number = number
        self.rows = rows
        self.held = np.zeros(0, bool)

    def split(self, seed: int, share: float, *, is_class: bool) -> None:
        """Choose the rows that are held out, by the shard's seed, in the classes' shares."""
        order = _split.shuffled(_core.shard_seed(seed, self.number), self.rows.rows)
        # A copy: the file's pages need not stay in memory.
        goal = np.array(self.rows.values[:, -1])
        held, _ = _split.split(order, goal, share, stratified=is_class, source=self.rows.source)
        self.held = np.zeros(self.rows.rows, bool)
        self.held[held] = True


class Shards:
    """The shards of a table; methods are called by all processes together.

    Parameters
    ----------
    files : list of list of str
        The files of each shard.
    reading : Reading
        How they are read.
    peers : Peers
        The processes.
    found : Outline
        What `outline` returned for them.
    progress : FilesProgress
        Told how far the own files are read.
    """

    def __init__(
        self,
        files: list[list[str]],
        reading: Reading,
        peers: Peers,
        found: Outline,
        progress: FilesProgress,
    ) -> None:
        self._files_name = self.source = found.source
        self._peers = peers
        self._reading = reading
        names = [name for name in found.columns if name != reading.target]
        before = [found.columns[name].column for name in (*names, reading.target)]
        drop = reading.missing == "drop"
        self.parts: list[Part] = []

        def read() -> list[Any]:
            told: list[Any] = []
            for shard in peers.own:
                rows = shards.read(
                    files[shard],
                    before,
                    reading.dialect,
                    found.rows_of[shard],
                    keep_missing=reading.missing != "error",
                    drop=drop,
                    progress=progress,
                )
                if not rows.rows:
                    raise ValueError(
                        f"{rows.source}: each row has a missing value, so that none is left"
                    )
                self.parts.append(Part(shard, rows))
                facts = statistics.facts(before, rows.blocks(np.ones(rows.rows, bool)))
                told.append([rows.left_out, [asdict(each) for each in facts]])
            return told

        told = [each for rank in peers.together(read) for each in rank]
        self.left_out = sum(left_out for left_out, _ in told)
        if self.left_out:
            self.source += ": of the rows without missing values"
        facts = _merged(facts for _, facts in told)
        self._read = before
        self.columns: list[Column] = before
        if drop:
            self.columns = [
                shards.restricted(column, each.counts)
                for column, each in zip(before, facts, strict=True)
            ]
        self.rows = facts[-1].there
        if isinstance(self.goal, Category):
            check_classes(self.source, self.goal)
        kept = [count for count in facts[-1].counts if count or not drop]
        self.class_counts = np.array(kept, np.int64)

    @property
    def goal(self) -> Column:
        """The target, without statistics."""
        return self.columns[-1]

    def split(self, seed: int, share: float) -> tuple[int, int]:
        """Choose the held-out rows of each shard; return their number, and that of the others."""

        def choose() -> list[int]:
            held = 0
            for part in self.parts:
                part.split(seed, share, is_class=isinstance(self.goal, Category))
                held += int(np.count_nonzero(part.held))
            return [held, sum(part.rows.rows for part in self.parts)]

        told = self._peers.together(choose)
        held = sum(each[0] for each in told)
        return held, sum(each[1] for each in told) - held

    def _blocks(self, *, held: bool = False) -> Iterator[NDArray[np.float64]]:
        """Yield the rows of the own shards that are held out, or those that are not."""
        for part in self.parts:
            for block in part.rows.blocks(part.held == held):
                yield shards.recoded(self._read, self.columns, block)

    def plan(self, decimal: str, missing: frozenset[str]) -> Preprocessing:
        """Return the preprocessing that the training rows of all shards give."""
        policy = self._reading.missing
        found = self._facts(held=False)
        self.kept_counts = np.array(found[-1].counts)
        at = statistics.means(found)
        sums = self._squares(at)
        columns = statistics.standardised(self.columns, found, at, sums, self.source)
        fillings = None
        if policy not in ("error", "drop"):
            medians = self._medians(found) if policy == "median" else []
            fillings = statistics.fillings(policy, columns[:-1], found[:-1], medians, self.source)
        gone = frozenset() if fillings is None else missing
        return Preprocessing(columns[:-1], columns[-1], decimal, fillings, gone)

    def _facts(self, *, held: bool) -> list[Facts]:
        told = self._peers.together(
            lambda: [
                asdict(each) for each in statistics.facts(self.columns, self._blocks(held=held))
            ]
        )
        return _merged(told)

    def _squares(self, at: Means) -> list[int | None]:
        told = self._peers.together(lambda: statistics.squares(self.columns, at, self._blocks()))
        return [added(sums) for sums in zip(*told, strict=True)]

    def _medians(self, found: Sequence[Facts]) -> list[float]:
        search = Medians(self.columns, found)
        while not search.done:
            told = self._peers.together(lambda: search.digits(self._blocks()).tolist())
            search.narrow(np.sum(told, axis=0))
        return search.values(len(self.columns))

    def encoded(self, plan: Preprocessing) -> dict[int, Encoded]:
        """Return the own shards, by number, as a network takes them; `parts` are no longer kept."""
        found: dict[int, Encoded] = {}

        def encode() -> None:
            while self.parts:
                part = self.parts.pop(0)
                found[part.number] = self._encoded(part, plan)

        self._peers.together(encode)
        return found

    def _encoded(self, part: Part, plan: Preprocessing) -> Encoded:
        wants_numbers = not isinstance(self.goal, Category)
        t_type = np.float32 if wants_numbers else np.int64
        suffix = self.source[len(self._files_name) :]
        with contextlib.ExitStack() as stack:
            scratch = [
                stack.enter_context(Scratch(dtype, *shape))
                for dtype, *shape in (
                    (np.float32, plan.inputs),
                    (t_type,),
                    (np.float32, plan.inputs),
                    (t_type,),
                    (np.float64,),
                )
            ]
            x, t, held_x, held_t, goal = scratch
            for path, before, rows in part.rows.file_blocks():
                block = shards.recoded(self._read, self.columns, part.rows.values[rows])
                inputs = plan.x(block[:, :-1], path + suffix, before)
                targets = plan.t(block[:, -1], path + suffix, before)
                held = part.held[rows]
                x.append(inputs[~held])
                t.append(targets[~held])
                held_x.append(inputs[held])
                held_t.append(targets[held])
                goal.append(block[held, -1])
            return Encoded(*(each.array() for each in scratch))


@dataclass
class Encoded:
    """A shard as a network takes it, in files that are mapped into memory."""

    x: NDArray[np.float32]
    t: NDArray[Any]
    """The training rows: inputs (rows, inputs), and classes or standardised numbers (rows,)."""
    held_x: NDArray[np.float32]
    held_t: NDArray[Any]
    """The held-out rows."""
    goal: NDArray[np.float64]
    """The classes or numbers of the held-out rows, as the table has them."""


def _merged(told: Iterable[list[dict[str, Any]]]) -> list[Facts]:
    """Return the facts of columns in all shards, of which JSON was made."""
    found: list[Facts] = []
    for each in told:
        new = [Facts(**facts | {"counts": tuple(facts["counts"])}) for facts in each]
        found = [a + b for a, b in zip(found, new, strict=True)] if found else new
    return found

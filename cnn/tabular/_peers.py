"""The processes that train on the shards of one table together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Team(Protocol):
    """What is needed of the processes of a run of `cnn.distributed`."""

    rank: int
    size: int

    def attempt(self, function: Callable[[], str], /) -> str | Any:
        """Call a function; if it raises, all processes do in the next exchange."""

    def texts(self, text: str | None) -> list[str]:
        """Send a text to all, and return those of all."""


class Peers:
    """All processes that train together, and which shards this one has.

    Parameters
    ----------
    team : Team
        The processes.
    bounds : list of int
        Where the shards of each process begin, and their number at the end.
    """

    def __init__(self, team: Team, bounds: list[int]) -> None:
        self._team = team
        self.size = team.size
        self.is_first = team.rank == 0
        self.own = range(bounds[team.rank], bounds[team.rank + 1])
        """The shards of this process."""

    def together(self, work: Callable[[], Any]) -> list[Any]:
        """Do some work in each process; return the results of all, as JSON has them, by rank.

        Raises
        ------
        Exception
            If the work failed in some process: that of the first such one, in all processes.
        """
        text = self._team.attempt(lambda: json.dumps(work()))
        return [json.loads(each) for each in self._team.texts(text)]

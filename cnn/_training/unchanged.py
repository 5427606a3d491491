"""A network that should not change during several calls, such as the slices of an evaluation.

A single call of `_core` sees the weights of one time. The sums of several calls would mix the
weights of several times if another thread trains the network meanwhile.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from cnn import _core

    T = TypeVar("T")


@contextlib.contextmanager
def unchanged(where: str, network: _core.Network) -> Iterator[None]:
    """Raise RuntimeError if another thread changes the network meanwhile."""
    changes = network.changes
    yield
    if network.changes != changes:
        raise RuntimeError(
            f"{where}: another thread changed the network meanwhile; use a copy of it "
            f"(copy.deepcopy)"
        )


def steady(network: _core.Network, function: Callable[[_core.Network], T]) -> T:
    """Return function(network), or that of a copy if another thread changed the network within."""
    changes = network.changes
    found = function(network)
    return found if network.changes == changes else function(network.copy())

"""The commands that need no file of the user: ``cnn info`` and ``cnn demo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnn import versions
from cnn.cli.terminal import say

if TYPE_CHECKING:
    from argparse import Namespace


def info(_: Namespace) -> int:
    """Print the version of cnn, and how it runs on this machine."""
    say(*versions.lines())
    return 0


def demo(_: Namespace) -> int:
    """Train on handwritten digits, and show the results."""
    from cnn import demo as module  # noqa: PLC0415  # the other commands need not wait for it

    return module.main()

"""The types of the arguments of the command line: from a text to a value, or an error."""

from __future__ import annotations

import argparse
import csv
from typing import TYPE_CHECKING, Any

from cnn import _core, activations
from cnn._tables.preprocessing import POLICIES
from cnn._tables.source import STDIN

if TYPE_CHECKING:
    from collections.abc import Callable


def _is_whole(text: str) -> bool:
    # int refuses texts of thousands of digits.
    return text.isascii() and text.isdigit() and len(text) < 30


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a function that reads a whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not (_is_whole(text) and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(
                f"{text!r} should be a whole number from {low} to {high}"
            )
        return int(text)

    return read


def rate(text: str) -> float:
    """Read a learning rate."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} should be a number above 0")
    return value


def penalty(text: str) -> float:
    """Read the strength of an L2 penalty."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} should be a number of at least 0")
    return value


def share(text: str) -> float:
    """Read a share, at least 0 and below 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} should be a number from 0 to below 1")
    return value


def hidden(text: str) -> tuple[int, ...]:
    """Read the numbers of neurons of hidden layers."""
    if text == "none":
        return ()
    sizes = text.split(",")
    if not all(_is_whole(size) and 0 < int(size) < 2**31 for size in sizes):
        raise argparse.ArgumentTypeError(
            f"{text!r} should be numbers of neurons such as 50,100, or none"
        )
    return tuple(int(size) for size in sizes)


def activation(text: str) -> activations.Unchecked:
    """Read the name of an activation, with a number after a colon or without."""
    name, colon, number = text.partition(":")
    # softmax is for outputs, and the layers before a step cannot learn.
    names = [name for name in _core.ACTIVATIONS if name not in ("softmax", "step")]
    numbered = ", ".join(_core.ALPHAS)
    if name not in names:
        raise argparse.ArgumentTypeError(f"{text!r} should be one of {', '.join(names)}")
    if not colon:
        return name
    if name not in _core.ALPHAS:
        raise argparse.ArgumentTypeError(f"{text!r} has a number, which only {numbered} have")
    try:
        return activations.spelled(name, activations.number(name, float(number)))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} should be a name, a colon and a number such as leaky_relu:0.2: {error}"
        ) from error


def names(text: str) -> list[str]:
    """Return names separated by commas; a name with a comma is quoted, as in a CSV file."""
    try:
        (names,) = csv.reader([text], strict=True, skipinitialspace=True)
    except (csv.Error, ValueError) as error:
        raise argparse.ArgumentTypeError(
            f'{text!r} should be names between commas, such as id,"a, b"'
        ) from error
    return [name.strip() for name in names] or [""]


def file(text: str) -> str:
    """Read the name of a file to write, which stdout does not replace."""
    if text == STDIN:
        raise argparse.ArgumentTypeError("'-' should be a file; ./- is one of this name")
    return text


def file_or_stdout(text: str) -> str | None:
    """Read the name of a file to write, or - for stdout, which is None."""
    return None if text == STDIN else text


def texts_of_missing(text: str) -> frozenset[str]:
    """Read the texts that stand for missing values; an empty one always does."""
    found = names(text)
    words = sorted(_POLICIES.intersection(found))
    if words:
        raise argparse.ArgumentTypeError(
            f"{text!r} should be the texts that stand for missing values, such as 'NA,?'; what is "
            f"done about them is learnt by 'train', from --missing {words[0]} alone"
        )
    return frozenset(["", *found])


class Missing(argparse.Action):
    """The option --missing of ``train``: a policy, or texts; given twice, both.

    The result is a pair of them; the policy is None if it is not given.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Replace one of the pair."""
        policy, texts = getattr(namespace, self.dest)
        try:
            if values in POLICIES:
                policy = values
            elif _POLICIES.isdisjoint(names(values)):
                texts = texts_of_missing(values)
            else:
                raise argparse.ArgumentTypeError(
                    f"{values!r} should be one of {', '.join(POLICIES)}, or the texts that stand "
                    f"for missing values, such as 'NA,?'; --missing may be given twice, for both"
                )
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from error
        setattr(namespace, self.dest, (policy, texts))


# Words that are no texts of a table: the policies, and what other programs call theirs.
_POLICIES = {*POLICIES, "mode", "most_frequent"}

# Names for delimiters that are hard to write in a shell.
_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " "}


def delimiter(text: str) -> str:
    """Read a character between fields, or its name."""
    found = _DELIMITERS.get(text, text)
    if len(found) != 1 or found in "\"'\r\n\0." or found.isalnum():
        raise argparse.ArgumentTypeError(
            f"{text!r} should be one character that is neither letter, digit, point nor quote, or "
            f"'tab'"
        )
    return found

"""Texts that a network keeps: metadata, and the names of its inputs and outputs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from cnn import _core
from cnn._base.metadata import CLASS_NAMES, FEATURE_NAMES, OWN
from cnn._base.texts import listed, shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

# What a file has room for, cnn's own keys included.
_MOST_KEYS = 10_000
# How much of a text a summary shows.
_SHOWN = 200


class Metadata(MutableMapping[str, str]):
    """Texts by keys that a network keeps, in its files, copies and pickles too.

    It is a view of a network's: `cnn.Sequential.metadata`. Keys and values are strings. Keys that
    other programs have written into the file are there too, and are saved again as they were.
    """

    def __init__(self, network: _core.Network) -> None:
        self._network = network

    def __getitem__(self, key: str) -> str:
        value = None if not _is_text(key) or key in OWN else self._network.get_metadata(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: str) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        self[key]
        self._network.set_metadata(key, None)

    def __iter__(self) -> Iterator[str]:
        return iter([key for key in self._network.metadata if key not in OWN])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def update(self, other: Any = (), /, **texts: str) -> None:
        """Set several texts, as `dict.update`; none if one is bad.

        Parameters
        ----------
        other : mapping or iterable of pairs, optional
            Texts by keys.
        **texts : str
            More of them.

        Raises
        ------
        TypeError
            If a key or a value is no string.
        ValueError
            If a text has a NUL character or cannot be encoded in UTF-8, a key is one of cnn's own,
            such as "epochs", or there would be more than 10,000 keys.
        """
        self._set(dict(other, **texts), gone=())

    def replace(self, texts: Mapping[str, str]) -> None:
        """Set texts and remove all others; leave all as they are if one is bad."""
        self._set(dict(texts), gone=[key for key in self if key not in texts])

    def _set(self, given: dict[str, str], gone: Collection[str]) -> None:
        for key, value in given.items():
            _check(f"metadata: key {key!r}", key)
            _check(f"metadata: the value of {key!r}", value)
            if key in OWN:
                raise ValueError(f"metadata: key {key!r} is one of cnn's own, should be another")
        count = len(self._network.metadata.keys() | given.keys()) - len(gone)
        if count > _MOST_KEYS:
            raise ValueError(
                f"metadata: there would be {count:,} keys, should be at most {_MOST_KEYS:,}"
            )
        for key in gone:
            self._network.set_metadata(key, None)
        for key, value in given.items():
            self._network.set_metadata(key, value)

    def copy(self) -> dict[str, str]:
        """Return the texts as a dict, as copies and pickles of a view are too."""
        return dict(self)

    def __reduce__(self) -> tuple[type, tuple[dict[str, str]]]:
        return dict, (self.copy(),)

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def __repr__(self) -> str:
        return repr(dict(self))


def _is_text(text: object) -> bool:
    """Whether a text can be a key or a value."""
    return isinstance(text, str) and "\0" not in text and _encodes(text)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a half of a surrogate pair
        return False
    return True


def _check(what: str, text: object) -> None:
    """Refuse what is no text; `what` names it in messages."""
    if not isinstance(text, str):
        raise TypeError(f"{what} is of type {type(text).__name__}, should be a string")
    if "\0" in text:
        raise ValueError(f"{what} has a NUL character, should have none")
    if not _encodes(text):
        raise ValueError(f"{what} cannot be encoded in UTF-8, should be text")


class Names:
    """The part of `Sequential` that keeps texts."""

    _network: _core.Network

    @property
    def metadata(self) -> Metadata:
        """Texts that are kept with the network, in its files too: a mapping of str to str.

        Assign a mapping to replace all of them. Files keep them in the ``__metadata__`` of
        safetensors, with "user." before the key. What another program has added there without it,
        is here too and is saved as it was.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.mlp([4, 3], "relu", "softmax", rng=0)
        >>> net.metadata["licence"] = "CC-BY-4.0"
        >>> net.metadata.update(author="R. A. Fisher", data="iris")
        >>> net.metadata
        {'licence': 'CC-BY-4.0', 'author': 'R. A. Fisher', 'data': 'iris'}
        """
        return Metadata(self._network)

    @metadata.setter
    def metadata(self, texts: Mapping[str, str]) -> None:
        if not isinstance(texts, Mapping):
            raise TypeError(
                f"metadata is of type {type(texts).__name__}, should be a mapping of str to str"
            )
        Metadata(self._network).replace(texts)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the outputs, such as classes; None if they have not been set.

        There is one for each output; for a single output there may be two instead, those of the
        classes 0 and 1. Assign strings, or None for no names. Files keep them.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.mlp([4, 3], "relu", "softmax", rng=0)
        >>> net.class_names = ["setosa", "versicolor", "virginica"]
        >>> net.class_names[net.predict([5.1, 3.5, 1.4, 0.2]).argmax()] in net.class_names
        True
        """
        return _names(self._network, CLASS_NAMES)

    @class_names.setter
    def class_names(self, names: Sequence[str] | None) -> None:
        _set_names(self._network, "class_names", CLASS_NAMES, names)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the inputs, one for each; None if they have not been set.

        `fit` sets those of a frame's or an Arrow table's columns, if they are strings and there are
        none yet.
        Assign strings, or None for no names. Files keep them.

        Examples
        --------
        >>> import cnn
        >>> net = cnn.mlp([2, 3], "relu", "softmax", rng=0)
        >>> net.feature_names = ["length", "width"]
        >>> net.feature_names
        ('length', 'width')
        """
        return _names(self._network, FEATURE_NAMES)

    @feature_names.setter
    def feature_names(self, names: Sequence[str] | None) -> None:
        _set_names(self._network, "feature_names", FEATURE_NAMES, names)

    def _name_features(self, x: object) -> None:
        """Take the names of a frame's columns, if there are no names yet."""
        # The columns of an Arrow table are arrays.
        attribute = "column_names" if hasattr(type(x), "itercolumns") else "columns"
        columns = getattr(x, attribute, None)
        if isinstance(columns, Iterable):
            take_names(self._network, FEATURE_NAMES, list(columns))


def _sizes(network: _core.Network, key: str) -> tuple[int, ...]:
    """Return how many names of this kind there may be."""
    if key == FEATURE_NAMES:
        return (network.inputs,)
    return (1, 2) if network.outputs == 1 else (network.outputs,)


def _set_names(network: _core.Network, name: str, key: str, names: object) -> None:
    """Check and set names, which are kept as JSON; remove them for None."""
    if names is None:
        network.set_metadata(key, None)
        return
    if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
        raise TypeError(f"{name} is of type {type(names).__name__}, should be a list of strings")
    given = list(names)
    for i, text in enumerate(given):
        _check(f"{name}[{i}]", text)
    sizes = _sizes(network, key)
    if len(given) not in sizes:
        kind = "inputs" if key == FEATURE_NAMES else "outputs"
        raise ValueError(
            f"{name} has {len(given)} names, should have {' or '.join(map(str, sizes))}: the "
            f"network has {sizes[0]} {kind}"
        )
    network.set_metadata(key, json.dumps([str(text) for text in given], ensure_ascii=False))


def take_names(network: _core.Network, key: str, names: Sequence[object]) -> None:
    """Give inputs or outputs names, if these suit and they have none yet."""
    suit = len(names) in _sizes(network, key) and all(map(_is_text, names))
    if suit and _names(network, key) is None:
        _set_names(network, key, key, names)


def _names(network: _core.Network, key: str) -> tuple[str, ...] | None:
    """Return names from the metadata, which may be those of a file and are not trusted."""
    text = network.get_metadata(key)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if (
        not isinstance(found, list)
        or len(found) not in _sizes(network, key)
        or not all(_is_text(name) for name in found)
    ):
        raise _core.ModelFileError(
            f"the metadata {key!r} are {shown(text[:_SHOWN])!r}, should be a JSON list of as many "
            f"texts as the network has {'inputs' if key == FEATURE_NAMES else 'outputs'}"
        )
    return tuple(found)


def check_names(network: _core.Network) -> None:
    """Refuse the network of a file whose names are no names."""
    for key in (CLASS_NAMES, FEATURE_NAMES):
        _names(network, key)


def described(network: _core.Network) -> list[str]:
    """Return the lines on names and metadata of a summary."""
    lines = []
    for title, key in (("Features", FEATURE_NAMES), ("Classes", CLASS_NAMES)):
        names = _names(network, key)
        if names is not None:
            lines.append(f"{title}: {shown(listed(names))}")
    for key, text in Metadata(network).items():
        cut = text[:_SHOWN] + ("..." if len(text) > _SHOWN else "")
        lines.append(shown(f"{key}: {cut}"))
    return lines

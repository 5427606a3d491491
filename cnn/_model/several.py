"""Files of several networks: safetensors files whose tensors are the files of the networks.

The header's ``__metadata__`` has "format", "format_version" and the metadata of all networks
together, by the keys that a file of one network has for them. The tensor ``network.I`` of type U8
has the bytes of network I's own file. libcnn refuses such a file by its format.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from cnn import _core

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FORMAT, _VERSION = "cnn_networks", "1"
_PREFIX = "network."
# Of a user's metadata, as in csrc/file/model_file.h.
_USER = "user."
_ALIGNMENT = 64
_LARGEST_HEADER = 100_000_000
_SIZE = 8


def to_bytes(where: str, networks: Sequence[_core.Network], metadata: Mapping[str, str]) -> bytes:
    """Return the content of a file of several networks."""
    parts = [network.to_bytes() for network in networks]
    header: dict[str, Any] = {
        "__metadata__": {
            "format": _FORMAT,
            "format_version": _VERSION,
            **{_USER + key: value for key, value in metadata.items()},
        }
    }
    at = 0
    for i, part in enumerate(parts):
        header[f"{_PREFIX}{i}"] = {
            "dtype": "U8",
            "shape": [len(part)],
            "data_offsets": [at, at + len(part)],
        }
        at += len(part)
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(_SIZE + len(text)) % _ALIGNMENT)
    if len(text) > _LARGEST_HEADER:
        raise ValueError(
            f"{where}: the header has {len(text)} bytes, should have at most {_LARGEST_HEADER}: "
            f"the categories have too many or too long texts"
        )
    return b"".join([len(text).to_bytes(_SIZE, "little"), text, *parts])


def is_several(data: bytes) -> bool:
    """Whether the content of a file is, by its format, that of several networks."""
    try:
        return _header(data) is not None
    except _core.ModelFileError:
        return True  # but a damaged one


def of_file(where: str, path: str | os.PathLike[str]) -> bytes | None:
    """Return the content of a file if, by its format, it has several networks, or None."""
    with open(path, "rb") as file:
        head = file.read(_SIZE)
        size = int.from_bytes(head, "little")
        there = os.fstat(file.fileno()).st_size - _SIZE
        if len(head) < _SIZE or size > min(there, _LARGEST_HEADER):
            return None
        data = head + file.read(size)
        try:
            if _header(data) is None:
                return None
        except _core.ModelFileError as error:
            raise _core.ModelFileError(f"{where}: {error}") from error
        return data + file.read()


def of_bytes(where: str, data: bytes) -> tuple[list[_core.Network], dict[str, str]]:
    """Return the networks of a file and their metadata; nothing in it is trusted.

    Raises
    ------
    ModelFileError
        If it is not a well-formed file of two networks or more.
    """
    try:
        header = _header(data)
        if header is None:
            raise _core.ModelFileError("the file does not have several networks")
        metadata = {
            key.removeprefix(_USER): value
            for key, value in header.pop("__metadata__").items()
            if key.startswith(_USER)
        }
        begin = _SIZE + int.from_bytes(data[:_SIZE], "little")
        places = _places(header, len(data) - begin)
        networks = []
        for i, (first, last) in enumerate(places):
            try:
                networks.append(_core.Network.from_bytes(data[begin + first : begin + last]))
            except _core.ModelFileError as error:
                raise _core.ModelFileError(
                    f"{_PREFIX}{i}: {str(error).removeprefix('from_bytes: ')}"
                ) from error
        _check_alike(networks)
    except _core.ModelFileError as error:
        raise _core.ModelFileError(f"{where}: {error}") from error
    return networks, metadata


def _header(data: bytes) -> dict[str, Any] | None:
    """Return the header of a file of several networks; None if the file's format is another.

    Its ``__metadata__`` is an object of texts. Of the tensors nothing is checked.
    """
    size = int.from_bytes(data[:_SIZE], "little")
    text = data[_SIZE : _SIZE + size]
    if len(text) < size or size > _LARGEST_HEADER or f'"{_FORMAT}"'.encode() not in text:
        return None
    try:
        header = json.loads(text, object_pairs_hook=_object)
        metadata = header["__metadata__"]
        if metadata["format"] != _FORMAT:
            return None
    except (KeyError, TypeError):
        return None
    except (ValueError, RecursionError) as error:
        raise _core.ModelFileError(f"header: {error}") from error
    if metadata.get("format_version") != _VERSION:
        raise _core.ModelFileError(
            f'__metadata__: "format_version" is {metadata.get("format_version")!r}, not '
            f"{_VERSION!r}"
        )
    if not all(isinstance(value, str) for value in metadata.values()):
        raise _core.ModelFileError("__metadata__ has values that are no texts")
    found: dict[str, Any] = header
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, whose keys should differ."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _places(tensors: Mapping[str, Any], size: int) -> list[tuple[int, int]]:
    """Return where the bytes of each network are, which should fill the data without gaps."""
    if len(tensors) < 2:
        raise _core.ModelFileError(f"the file has {len(tensors)} networks, should have at least 2")
    places: list[tuple[int, int]] = []
    at = 0
    for i in range(len(tensors)):
        name = f"{_PREFIX}{i}"
        tensor = tensors.get(name)
        if not isinstance(tensor, dict):
            raise _core.ModelFileError(f'the tensor "{name}" is missing')
        offsets = tensor.get("data_offsets")
        last = _end(offsets, at)
        if last is None or last > size:
            raise _core.ModelFileError(
                f'the tensor "{name}" has data_offsets {_shown(offsets)}, should begin at {at} and '
                f"end within the {size} bytes of data"
            )
        if tensor != {"dtype": "U8", "shape": [last - at], "data_offsets": offsets}:
            raise _core.ModelFileError(
                f'the tensor "{name}" should have dtype U8 and shape [{last - at}]'
            )
        places.append((at, last))
        at = last
    if at != size:
        raise _core.ModelFileError(f"{size - at} bytes at the end belong to no tensor")
    return places


def _end(offsets: object, begin: int) -> int | None:
    """Return the end of a pair of offsets; None if it is no pair that begins at `begin`."""
    if not isinstance(offsets, list) or len(offsets) != 2:
        return None
    first, last = offsets
    if type(first) is not int or type(last) is not int or first != begin or last < begin:
        return None
    return last


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:80]}..."


def _check_alike(networks: Sequence[_core.Network]) -> None:
    """Refuse networks that do not take and return the same as the first one."""
    first = networks[0]
    for i, other in enumerate(networks):
        for what in ("dtype", "inputs", "outputs", "activation"):
            one, two = getattr(first, what), getattr(other, what)
            if one != two:
                raise _core.ModelFileError(f"network 0 has {what} {one}, but network {i} has {two}")

"""Formats of other programs' files: their endings, and how their contents are recognised.

A path that ends like the files of another program is refused before anything is written, since that
program could not read the file. If a file is no model, its first bytes are compared with known
formats, so that the message names the likely format and a remedy.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from cnn import _core
from cnn._base import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# ---- Names of files to write ---------------------------------------------------------------------

# The endings of the files that cnn writes, the usual one first.
_OWN = {
    "a safetensors file": (".safetensors",),
    "an ONNX model": (".onnx", ".pb"),
    "a C header": (".h", ".hpp", ".hh", ".hxx"),
}
_WRITERS = {
    "a safetensors file": "net.save",
    "an ONNX model": "net.to_onnx",
    "a C header": "net.to_c",
}
# The endings of other formats, and how to make such a file of a network, if that is possible.
_FOREIGN = {
    ".h5": "",
    ".hdf5": "",
    ".keras": "",
    ".pt": "torch.save(net.to_torch(), path)",
    ".pth": "torch.save(net.to_torch(), path)",
    ".pkl": "pickle.dump(net, file)",
    ".pickle": "pickle.dump(net, file)",
    ".joblib": "joblib.dump(net, path)",
    ".skops": "skops.io.dump(net, path)",
    ".npz": "numpy.savez(path, ...) of the layers' weight and bias",
    ".npy": "",
    ".tflite": "",
    ".mlmodel": "",
    ".pmml": "",
    ".gguf": "",
    ".json": "",
    ".csv": "",
    ".zip": "",
    ".gz": "",
}


def destination(where: str, path: str | os.PathLike[str], what: str) -> str | os.PathLike[str]:
    """Return a path to write `what`, a key of `_OWN`, to; refuse the endings of other formats.

    All other endings, and none, are the user's to choose.
    """
    ending = os.path.splitext(os.fsdecode(path))[1].lower()
    own = _OWN[what]
    cures = dict(_FOREIGN)
    for other, endings in _OWN.items():
        cures |= dict.fromkeys(endings, _WRITERS[other])
    if ending in own or ending not in cures:
        return path
    cure = f"; {cures[ending]} writes {ending} files" if cures[ending] else ""
    raise ValueError(
        f"{where}: path is {os.fsdecode(path)!r}, whose ending is that of another format, but "
        f"{where} writes {what}, whose name should end in {own[0]}{cure}"
    )


# ---- Contents of files to read -------------------------------------------------------------------

# How many bytes of a file are read to find its format.
_HEAD = 1 << 16

_BY_ONNX = "export the model as ONNX for cnn.from_onnx"
_KERAS = f"{_BY_ONNX} (Keras 3: model.export(path, format='onnx'))"
_TENSORFLOW = f"{_BY_ONNX} (tf2onnx)"
_TORCH = "load it with PyTorch for cnn.from_torch, or export the model as ONNX for cnn.from_onnx"
_OURS = "a model of cnn is a safetensors file, as net.save and 'cnn train' write it"
_PICKLE = (
    "if you trust it, load it with what wrote it; cnn.from_sklearn takes an MLPClassifier or "
    "MLPRegressor, cnn.from_torch a PyTorch module"
)

_MODEL_OF_CNN = "a model of cnn"
_ONNX_MODEL = "an ONNX model"
_NAMES = {"load": _MODEL_OF_CNN, "from_onnx": _ONNX_MODEL}

# The likely format of a file, and a remedy.
_CURES = {
    _MODEL_OF_CNN: "cnn.load reads it",
    _ONNX_MODEL: "cnn.from_onnx reads it",
    "a safetensors file of another library, without an architecture": (
        "make the network with cnn.Sequential and set the weight and bias of its layers, or "
        + _BY_ONNX
    ),
    "an HDF5 file, as Keras writes it": _KERAS,
    "a Keras file": _KERAS,
    "a PyTorch file": _TORCH,
    "a TorchScript file": _TORCH,
    "a skops file": "load it with skops.io.load; " + _PICKLE.split("; ", 1)[1],
    "a NumPy file of arrays": (
        "read it with numpy.load, and set the weight and bias of the layers of a cnn.Sequential"
    ),
    "a zip archive": "unpack it first",
    "a pickle": _PICKLE,
    "a compressed file": "unpack it first, or load it with what wrote it, such as joblib",
    "a TensorFlow Lite model": _TENSORFLOW,
    "a GGUF file": "it holds a language model, which is no stack of dense layers",
    "a Parquet file": f"it holds a table; {_OURS}",
    "a pointer of Git LFS": "fetch the file itself with 'git lfs pull'",
    "a web page": "the download has failed",
    "XML": _OURS,
    "JSON": _OURS,
    "text, such as CSV": _OURS,
    "an empty file": "what wrote it may have been stopped",
    "zeros alone": "a copy or a download may not have been finished",
}

_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes it"),
    (b"\x93NUMPY", "a NumPy file of arrays"),
    (b"GGUF", "a GGUF file"),
    (b"PAR1", "a Parquet file"),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch file"),  # before PyTorch 1.6
    (b"\x1f\x8b", "a compressed file"),  # gzip
    (b"BZh", "a compressed file"),
    (b"\xfd7zXZ\x00", "a compressed file"),
    (b"\x28\xb5\x2f\xfd", "a compressed file"),  # zstd
    (b"\x04\x22\x4d\x18", "a compressed file"),  # lz4
    (b"7z\xbc\xaf\x27\x1c", "a compressed file"),
)
# Names of members; the first one in this list that is present decides.
_MEMBERS = (
    (b"model.weights.h5", "a Keras file"),
    (b"constants.pkl", "a TorchScript file"),
    (b"data.pkl", "a PyTorch file"),
    (b"schema.json", "a skops file"),
    (b".npy", "a NumPy file of arrays"),
    (b"metadata.json", "a Keras file"),
)
_PICKLES = rb"\x80[\x02-\x05]|[(\]}][dlpq][p\x00]?|c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n"
_ZLIB = rb"\x78[\x01\x5e\x9c\xda]"
# Fields of an ONNX model: 0 for numbers, 2 for all that has a size.
_ONNX_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2}


@contextlib.contextmanager
def explained(reader: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Add the likely format of a file, and a remedy, to the error that refuses it.

    `reader` is "load" or "from_onnx", whose own files need no other name.
    """
    try:
        yield
    except _core.ModelFileError as error:
        with files.named(path), open(path, "rb") as file:
            found = _kind(file.read(_HEAD))
        if found is None or found == _NAMES[reader]:
            raise
        raise _core.ModelFileError(
            f"{error}; the file looks like {found}: {_CURES[found]}"
        ) from error
    except IsADirectoryError as error:
        if not os.path.exists(os.path.join(os.fsdecode(path), "saved_model.pb")):
            raise
        raise IsADirectoryError(
            error.errno,
            f"{error.strerror}, which looks like a TensorFlow SavedModel: {_TENSORFLOW}",
            path,
        ) from error


def _kind(head: bytes) -> str | None:
    if not head:
        return "an empty file"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    tests: tuple[tuple[Callable[[bytes], bool], str], ...] = (
        (_is_torch_tar, "a PyTorch file"),
        (lambda h: h[4:8] == b"TFL3", "a TensorFlow Lite model"),
        (lambda h: not any(h), "zeros alone"),
        (lambda h: _is_safetensors(h) and b'"architecture"' in h, _MODEL_OF_CNN),
        # Of several networks, whose architectures are further on.
        (lambda h: _is_safetensors(h) and b'"cnn_networks"' in h, _MODEL_OF_CNN),
        (_is_safetensors, "a safetensors file of another library, without an architecture"),
        (_is_onnx, _ONNX_MODEL),
    )
    for test, kind in tests:
        if test(head):
            return kind
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return next((kind for name, kind in _MEMBERS if name in head), "a zip archive")
    if re.match(_PICKLES, head):
        return "a pickle"
    if re.match(_ZLIB, head):
        return "a compressed file"
    return _text_kind(head)


def _is_torch_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar" and b"pickle" in head


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") <= 100_000_000


def _is_onnx(head: bytes) -> bool:
    """Whether the beginning has the fields of an ONNX model: ONNX files have no magic number."""
    at, seen = 0, set()
    while at < len(head):
        field, kind = head[at] >> 3, head[at] & 7
        if _ONNX_FIELDS.get(field) != kind:
            break
        value, at = _varint(head, at + 1)
        if field == 1 and not 3 <= value <= 100:  # the version of the format
            return False
        if field == 2 and not head[at : at + value].isascii():  # the name of the producer
            return False
        seen.add(field)
        at += value if kind == 2 else 0
    return 1 in seen and (7 in seen or 8 in seen)


def _varint(head: bytes, at: int) -> tuple[int, int]:
    """Return a varint of protobuf and the offset behind it."""
    value = shift = 0
    while at < len(head) and shift < 64:
        value |= (head[at] & 0x7F) << shift
        shift += 7
        at += 1
        if head[at - 1] < 0x80:
            break
    return value, at


def _text_kind(head: bytes) -> str | None:
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = head.decode(encoding, "replace")
    if len(head) == _HEAD:
        text = text[:-4]  # a character that is cut off
    if "\ufffd" in text or any(ord(c) < 32 and c not in "\t\n\f\r" for c in text):
        return None
    start = text.lstrip()[:100].lower()
    if start.startswith("version https://git-lfs"):
        return "a pointer of Git LFS"
    if start.startswith(("<!doctype html", "<html")):
        return "a web page"
    if start.startswith("<"):
        return "XML"
    return "JSON" if start.startswith(("{", "[")) else "text, such as CSV"

"""Make the seeds of fuzzing: `python tests/fuzz/corpus.py` writes tests/fuzz/corpus again.

A folder for each target of Python (`python_targets.py`) and of C (tests/c/**/fuzz_*.c).
"""

import gzip
import io
import json
import shutil
import struct
import tempfile
from pathlib import Path

import numpy as np

import cnn
from cnn import _core

CORPUS = Path(__file__).parent / "corpus"


def models():
    """Yield small models that together have every activation and type, for exports, too."""
    names = [name for name in _core.ACTIVATIONS if name != "softmax"]
    for i, name in enumerate(names):
        stages = [cnn.Standardize(2)] if i % 3 == 0 else []
        stages += [cnn.Dense(2, 3, name)]
        stages += [cnn.Dropout(0.25)] if i % 2 else []
        stages += [cnn.Dense(3, 2, "softmax" if i % 4 == 0 else "identity", l2=0.5 * (i % 3))]
        yield name, cnn.Sequential(stages, rng=i, dtype="float64" if i % 5 == 1 else "float32")


def of_columns():
    """Return a model with the stages for tables and each kind of columns."""
    kinds = cnn.columns
    first = cnn.Columns(
        [
            *(kinds.Number(), kinds.Periodic(missing=True), kinds.OneHot(3)),
            *(kinds.Embedding(4), kinds.Ignored()),
        ],
        frequencies=2,
        periodic_size=3,
        embedding_size=2,
    )
    width = first.outputs
    stages = [cnn.Scale(width), cnn.Dense(width, 3, parametrization="ntk")]
    stages += [cnn.ParametricActivation(3, "mish"), cnn.Dropout(0.5)]
    return cnn.Sequential([first, *stages, cnn.Dense(3, 2)], rng=0)


OPTIMIZERS = {
    "sgd": cnn.SGD(),
    "momentum": cnn.SGD(momentum=0.9),
    "nesterov": cnn.SGD(momentum=0.9, nesterov=True),
    "adam": cnn.Adam(),
    "adamw": cnn.AdamW(),
    "rmsprop": cnn.RMSprop(),
    "adagrad": cnn.Adagrad(),
}


def saved(net, optimizer=None):
    """Return the bytes of a model file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net"
        net.save(path, optimizer=optimizer)
        return path.read_bytes()


def model_files():
    for name, net in models():
        yield name, saved(net)
    yield "columns", saved(of_columns())
    net = cnn.Sequential([cnn.Dense(1, 1)], rng=0)
    net._network.set_metadata("note", '\u00e9\U0001f600\n"\\')
    yield "metadata", net._network.to_bytes()


def checkpoints():
    for name, optimizer in OPTIMIZERS.items():
        net = cnn.Sequential([cnn.Dense(2, 3, "tanh"), cnn.Dense(3, 1)], rng=0)
        net.train_step(np.ones((2, 2)), np.ones((2, 1)), optimizer=optimizer)
        yield name, saved(net, optimizer)
    net, groups = of_columns(), [cnn.optimizers.Group("embedding", lr=0.5, weight_decay=0.0)]
    optimizer = cnn.AdamW(groups=groups)
    net.fit(np.ones((2, 5)), np.ones((2, 2)), optimizer=optimizer, epochs=1)
    yield "groups", saved(net, optimizer)


def texts():
    """Yield texts of JSON, behind the byte that says how they are read."""
    samples = [
        {"a": [1, -2.5, "x"], "b": {}},
        [[], [[]], 12345678901234567, 1e300],
        "\u00e9\U0001f600\n",
        {"architecture": json.dumps({"layers": [{"kind": "dense"}]})},
    ]
    for i, sample in enumerate(samples):
        yield f"ascii{i}", b"\0" + json.dumps(sample).encode()
        yield f"odd{i}", bytes([37 * i + 1]) + json.dumps(sample, ensure_ascii=False).encode()


def calls():
    """Yield sequences of calls, which bytes of any value are."""
    rng = np.random.default_rng(0)
    for i in range(24):
        data = bytearray(rng.bytes(64 + 16 * i))
        data[1] = 16 + 8 * i % 200
        data[3:12] = bytes([17, 5, 0, 4, 33, 6, 0, 5, 1])
        if i % 2:  # the first layer is one of columns
            data[3:6] = bytes([160, 0, 0])
        yield f"{i:02}", bytes(data)


def onnx_files():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        for name, net in models():
            net.to_onnx(path)
            yield name, path.read_bytes()


def idx_files():
    images = struct.pack(">4BIII", 0, 0, 8, 3, 2, 28, 28) + bytes(range(196)) * 8
    labels = struct.pack(">4BI", 0, 0, 8, 1, 2) + b"\3\7"
    for which, content in enumerate((images[: 16 + 784], labels[:9], images, labels)):
        counted = bytearray(content)
        counted[7] = 1 if which < 2 else 2
        yield str(which), bytes([which]) + bytes(counted)
        yield f"{which}-gz", bytes([which | 4]) + gzip.compress(bytes(counted), mtime=0)


def tables():
    rows = [["1", "a", "0"], ["2.5", "b", "1"], ["-3e-7", "c d", "0"], ["007", '"q,""x"', "1"]] * 3
    for name, delimiter in (("csv", ","), ("tsv", "\t"), ("semicolon", ";")):
        text = "\n".join(delimiter.join(row) for row in [["x", "k", "t"], *rows]) + "\n"
        yield name, text.encode()
        yield f"{name}-gz", gzip.compress(text.encode(), mtime=0)
    yield "missing", b"x,k,t\n1,a,0\n,NA,1\n?,,0\n4,b,1\n"
    yield "lines", b'\xef\xbb\xbfx,t\r\n1,0\r\n"2",1\r\n\r\n3,0'
    yield "marks", b"\xef\xbb\xbfx,t\r\n1,0\r\xef\xbb\xbfx,t\r\n1,0\n\xef\xbb\xbf2,1\n"
    yield "wide", b"t," + b",".join(b"c%d" % i for i in range(30)) + b"\n" + b"1," * 30 + b"2\n"
    import pyarrow  # cnn's extra, which only this needs
    import pyarrow.parquet

    for name, codec in (("plain", "none"), ("snappy", "snappy"), ("gzip", "gzip")):
        table = pyarrow.table({"x": [1.5, None, 2.5], "k": ["a", "b", None], "t": [0, 1, 0]})
        file = io.BytesIO()
        pyarrow.parquet.write_table(table, file, compression=codec)
        yield f"parquet-{name}", file.getvalue()


def array_files():
    for dtype in ("<f4", ">f8", "u1", "?", "<i2", "<f2"):
        file = io.BytesIO()
        np.save(file, np.arange(12).reshape(4, 3).astype(dtype))
        yield f"npy-{dtype.strip('<>?')}{'-big' * dtype.startswith('>')}", file.getvalue()
    file = io.BytesIO()
    np.save(file, np.asfortranarray(np.arange(12.0).reshape(4, 3)))
    yield "npy-fortran", file.getvalue()
    for name, write in (("npz", np.savez), ("npz-packed", np.savez_compressed)):
        file = io.BytesIO()
        write(file, x=np.arange(12.0).reshape(4, 3), t=np.arange(4), sample_weight=np.ones(4))
        yield name, file.getvalue()


def states():
    for i in range(33):
        yield f"{i:02}", bytes([i, i % 5, 128 * (i % 2) + i, 0, 40 + i, 255, 1, i, 3])


def headers():
    """Yield flags, and texts between bytes of 255: a name, a column, the target, categories."""
    names = ["net", "Net_1", "", "1a", "int", "a-b", "_x", "a b", "\u00fc", "x" * 300, "template"]
    texts = [
        'quo"te',
        "back\\slash",
        "tri??/graph??)",
        "\u00fc\U0001f427",
        "new\nline\ttab\r",
        "\x7f\x01\u00e912",
        "*/ // /*",
        "$name ${own} $identity $$ %s %n",
        "",
        "\0",
    ]
    for i, name in enumerate(names):
        chosen = [name, *(texts[(i + k) % len(texts)] for k in range(2 + i % 4))]
        data = b"\xff".join(text.encode() for text in chosen)
        yield f"{i:02}", bytes([(37 * i + 4) % 256]) + data
    for flags in (4, 12, 28, 44, 61, 7):
        data = b"\xff".join(text.encode() for text in ["net", *texts[: 3 + flags % 5]])
        yield f"table-{flags}", bytes([flags]) + data


SEEDS = {
    "model": model_files,
    "checkpoint": checkpoints,
    "fuzz_json": texts,
    "fuzz_calls": calls,
    "onnx": onnx_files,
    "idx": idx_files,
    "table": tables,
    "arrays": array_files,
    "state": states,
    "header": headers,
}
"""The folders of the corpus."""

# The fuzzers of model files in C share the seeds of those in Python.
SHARED = {"fuzz_model_file": ("model", "checkpoint"), "fuzz_model_bytes": ("model", "checkpoint")}


def folders(target):
    """Return the folders with the seeds of a target."""
    return [CORPUS / name for name in SHARED.get(target, (target,))]


def main():
    """Write the corpus again."""
    shutil.rmtree(CORPUS, ignore_errors=True)
    for target, seeds in SEEDS.items():
        (CORPUS / target).mkdir(parents=True)
        for name, content in seeds():
            (CORPUS / target / name).write_bytes(content)
    size = sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file())
    print(f"{size} bytes in {CORPUS}")


if __name__ == "__main__":
    main()

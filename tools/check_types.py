"""Checks the types that users of cnn see, with pyright and mypy.

Run as `python tools/check_types.py`. The installed package should have types for (nearly) all of
its public names. The code in the documents and the examples should be free of errors in pyright's
and mypy's strict modes, the lines in `USES` should have the types that they say, and those in
`MISTAKES` should be found. It fails if one of these is not so.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from doc_blocks import DOCUMENTS, blocks_of  # noqa: E402

# Estimators have bases of scikit-learn, which has no types.
COMPLETE = 0.99

# What editors show most often.
USES = """
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import cnn

net = cnn.mlp([4, 3, 2], "relu", "softmax", rng=0)
assert_type(net, cnn.Sequential)
assert_type(net.layers[0].weight, NDArray[Any])
assert_type(net.layers[0].inputs, int)
assert_type(net.layers[0].activation, cnn.activations.Activation)
net.layers[0].bias = [0.0, 0.1, 0.2]
same = cnn.Dense(4, 3, net.layers[0].activation, init=cnn.Dense(4, 3).init)
x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
loss, gradients = net.gradients(x, t)
assert_type(loss, float)
print(gradients[0].weight.shape, gradients[-1].bias.sum())
history = net.fit(x, t, loss="cross_entropy", optimizer="adam", progress="auto")
assert_type(history.loss, list[float])
assert_type(net.predict(x), NDArray[Any])
assert_type(net.evaluate(x, t)["loss"], float)
other = cnn.Sequential([cnn.Dense(4, 1)], rng=np.random.default_rng(0), dtype=net.dtype)
other = cnn.Sequential([cnn.Dense(4, 1)], dtype=np.float64)
stop = cnn.EarlyStopping("val_loss", mode="min")
scaled = cnn.Sequential([cnn.Standardize().adapt(x), cnn.Dense(64, 10, "softmax")], rng=0)
assert_type(scaled[0].mean, NDArray[Any])
assert_type(scaled(x), NDArray[Any])
assert_type(scaled.activations(x), list[NDArray[Any]])


def error(t: NDArray[Any], y: NDArray[Any]) -> float:
    return float((t != y.argmax(axis=1)).mean())


history = scaled.fit(
    x, t, validation_split=0.1, metrics=["auc", error], class_weight="balanced", callbacks=[stop]
)
assert_type(history[-1], dict[str, float])
assert_type(history[-2:], cnn.History)
gradients, dx = scaled.backward(scaled.forward(x))
scaled.apply_gradients(gradients, cnn.SGD())
print(gradients[1].weight.shape, dx.shape)
cnn.plot.learning_curves(history)
cnn.show_versions()
"""

# Lines with mistakes that both should find.
MISTAKES = """
import cnn

cnn.Dense(4, 3, "rellu")
cnn.Dense(4, 3, init="he")
cnn.mlp([4, 3], "relu", "softmax").layers[0].wait
cnn.mlp([4, 3], "relu", "softmax").fit([[0.0]], [0], loss="squared")
cnn.mlp([4, 3], "relu", "softmax").fit([[0.0]], [0], optimizer="adan")
cnn.EarlyStopping(mode="smallest")
cnn.mlp([4, 3], "relu", "softmax").fit([[0.0]], [0], metrics=["acc"])
cnn.mlp([4, 3], "relu", "softmax").fit([[0.0]], [0], class_weight="equal")
cnn.Sequential([cnn.Dense(4, 3)], dtype="float16")
cnn.Denze(4, 3)
"""

# Both are strict but for what other packages do not say.
PYRIGHT = {
    "typeCheckingMode": "strict",
    "reportMissingImports": False,
    "reportMissingModuleSource": False,
    "reportMissingTypeStubs": False,
    "reportUnknownArgumentType": False,
    "reportUnknownMemberType": False,
    "reportUnknownVariableType": False,
    "reportUnknownParameterType": False,
    "reportUnknownLambdaType": False,
    "reportUntypedFunctionDecorator": False,
    # Documents show what an expression is worth, import in each block, and leave out the types of
    # parameters, which Numba finds by itself.
    "reportUnusedExpression": False,
    "reportUnusedImport": False,
    "reportDuplicateImport": False,
    "reportMissingParameterType": False,
    "reportPrivateUsage": False,
}
MYPY = [
    *("--strict", "--ignore-missing-imports", "--allow-untyped-defs", "--allow-untyped-calls"),
    *("--no-error-summary", "--no-pretty", f"--cache-dir={ROOT / '.mypy_cache' / 'users'}"),
]
# What other packages declare too narrowly: cffi's functions of a library, and its buffers before
# Python 3.12; the figure of matplotlib's Axes; the results of SciPy's nquad.
OTHERS = re.compile(r'"Lib"|"SubFigure"|from_buffer|ReadableBuffer|Tuple size mismatch')


def programs() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each program: the blocks of a document are one."""
    for document in DOCUMENTS:
        blocks = [block.text for block in blocks_of(document) if block.language == "python"]
        if blocks:
            yield document, "\n".join(blocks)
    for path in sorted((ROOT / "examples").rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def run(*command: str, folder: Path) -> str:
    """Return what a program prints, whatever its exit code."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def pyright(*arguments: str, folder: Path) -> dict[str, object]:
    """Return pyright's report."""
    report = run("pyright", "--outputjson", *arguments, folder=folder)
    return json.loads(report)  # type: ignore[no-any-return]


def faults_of(folder: Path) -> Iterator[tuple[str, int, str]]:
    """Yield file, line and text of each error that pyright and mypy find in a folder."""
    (folder / "pyrightconfig.json").write_text(json.dumps(PYRIGHT))
    for found in pyright(".", folder=folder)["generalDiagnostics"]:  # type: ignore[attr-defined]
        if found["severity"] == "error":
            line = found["range"]["start"]["line"] + 1
            text = f"pyright: {found['message']} [{found.get('rule')}]"
            yield Path(found["file"]).name, line, text
    for text in run("mypy", *MYPY, ".", folder=folder).splitlines():
        if match := re.match(r"(\w+\.py):(\d+): error: (.*)", text):
            yield match[1], int(match[2]), f"mypy: {match[3]}"


def faults() -> Iterator[str]:
    """Yield what is wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = pyright("--verifytypes", "cnn", "--ignoreexternal", folder=folder)
        score = report["typeCompleteness"]["completenessScore"]  # type: ignore[index]
        print(f"public names with complete types: {score:.1%}")
        if score < COMPLETE:
            yield f"should be {COMPLETE:.0%}: see pyright --verifytypes cnn --ignoreexternal"
        names = {}
        for i, (where, text) in enumerate(programs()):
            names[f"program_{i}.py"] = where
            (folder / f"program_{i}.py").write_text(text, encoding="utf-8")
        (folder / "uses.py").write_text(USES)
        (folder / "mistakes.py").write_text(MISTAKES)
        wrong = {
            (checker, line + 1)
            for line, text in enumerate(MISTAKES.splitlines())
            for checker in ("pyright", "mypy")
            if text.startswith("cnn.")
        }
        for file, line, text in faults_of(folder):
            if OTHERS.search(text):
                continue
            if file == "mistakes.py":
                wrong.discard((text.partition(":")[0], line))
            else:
                shown = (folder / file).read_text(encoding="utf-8").splitlines()[line - 1]
                yield f"{names.get(file, file)}: {text}\n    {shown.strip()}"
        for checker, line in sorted(wrong):
            yield f"{checker} does not find {MISTAKES.splitlines()[line - 1]}"


def main() -> int:
    """Print what is wrong, and return the exit code."""
    found = list(faults())
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""The targets of fuzzing in Python, on the seeds and on simple changes of them.

`make fuzz` runs them under atheris for as long as is asked for.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

FUZZ = Path(__file__).parent / "fuzz"
sys.path.insert(0, str(FUZZ))

pytest.importorskip("onnx")
pytest.importorskip("pyarrow")

import corpus  # noqa: E402  # from the folder
import python_targets  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")
TARGETS = list(python_targets.TARGETS)


def changed(seed, rng):
    """Return a seed with some changes."""
    data = bytearray(seed)
    for _ in range(rng.integers(1, 4)):
        at, end = sorted(rng.integers(0, len(data) + 1, 2))
        how = rng.integers(0, 4)
        if how == 0 and at < len(data):
            data[at] ^= 1 << int(rng.integers(0, 8))
        elif how == 1:
            del data[at : min(end, at + 8)]
        elif how == 2:
            data[at:at] = data[end : end + 12]
        else:
            data[at:at] = rng.bytes(2)
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_changes(name):
    target, rng = python_targets.TARGETS[name], np.random.default_rng(0)
    seeds = [path.read_bytes() for path in sorted((FUZZ / "corpus" / name).iterdir())]
    assert seeds
    for seed in seeds:
        target(seed)
    for _ in range(60):
        target(changed(seeds[rng.integers(len(seeds))], rng))


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_every_truncation_and_changed_bytes(name):
    target, rng = python_targets.TARGETS[name], np.random.default_rng(1)
    for path in sorted((FUZZ / "corpus" / name).iterdir())[:4]:
        seed = path.read_bytes()
        for at in range(len(seed)):
            target(seed[:at])
            data = bytearray(seed)
            data[at] ^= 1 << int(rng.integers(0, 8))
            target(bytes(data))


def test_seeds_of_models_load():
    """A corpus of files that are all refused would find little."""
    import cnn

    for path in (FUZZ / "corpus" / "model").iterdir():
        assert cnn.load(path).inputs > 0
    for path in (FUZZ / "corpus" / "checkpoint").iterdir():
        assert cnn.load_checkpoint(path)[1].steps == 1


def test_corpus_is_small_and_complete():
    files = [path for path in (FUZZ / "corpus").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 300_000
    assert {path.name for path in (FUZZ / "corpus").iterdir()} == set(corpus.SEEDS)

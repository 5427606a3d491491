"""The figures of docs/accuracy.md: those that can be measured again, and the limits of the tests.

cnn has the same bits on every machine, so a part of the inputs that the page was measured with
cannot have a larger error than the page has.
"""

import re

import numpy as np
import pytest
from doc_blocks import ROOT
from elementary import LIMITS

import cnn
from cnn import _core

pytest.importorskip("scipy")

import measure_accuracy  # needs it

PAGE = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
VMATH = (ROOT / "csrc" / "kernels" / "vmath.h").read_text(encoding="utf-8")


def rows_below(heading):
    """Return the rows of the first table below a heading, by their first cells."""
    section = PAGE.split(heading, 1)[1]
    table = re.search(r"\| ---.*\n((?:\|.*\n)+)", section)
    assert table is not None
    lines = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table[1].splitlines()]
    return {line[0]: line[1:] for line in lines}


ELEMENTARY = rows_below("## Elementary functions")
NEAR = rows_below("### Activations: largest error")
FAR = rows_below("### Activations: far inputs")
WALKED = rows_below("## Activations: every float32")


@pytest.mark.parametrize("name", ELEMENTARY)
def test_elementary_functions(name):
    """Errors are those beside the formulas in vmath.h, limits those of the C tests."""
    single, limit, double, limit_double, _ = ELEMENTARY[name]
    comment = VMATH.split(f"INLINE v_real v_{name}(v_real x)")[0]
    measured = re.findall(r"ULP\s+(?:\*\s+)?(\d\.\d+)\s+and\s+(?:\*\s+)?(\d\.\d+)", comment)[-1]
    assert measured == (single, double)
    assert LIMITS[name] == (int(limit), int(limit_double))


def test_all_elementary_functions_are_there():
    functions = re.findall(r"INLINE v_real v_(\w+)\(v_real x\)", VMATH)
    assert set(ELEMENTARY) == set(functions) - {"exp_nonpositive"}


@pytest.mark.parametrize("name", WALKED)
def test_walked_activations(name):
    """No part of the inputs has a larger error than all; limits are those of the C tests."""
    error, _, limit = WALKED[name]
    assert LIMITS[name][0] == int(limit)
    if name != "gelu_tanh":  # whose limit grows with its exponent
        assert float(NEAR[name][0]) <= float(error) <= int(limit)


def test_all_curved_activations_are_there():
    rounded_once_or_never = {"identity", "step", "relu", "relu6", "softmax"}
    assert set(NEAR) == set(FAR) == set(_core.ACTIVATIONS) - rounded_once_or_never


@pytest.mark.parametrize("name", measure_accuracy.ACTIVATIONS)
def test_activations(name):
    blocks = measure_accuracy.all_float32(31)
    (near, allowed), (far, _) = measure_accuracy.worst(name, [getattr(cnn, name)], blocks)
    assert 0 < near <= float(NEAR[name][0]) < allowed
    assert allowed <= float(NEAR[name][1])
    assert far <= float(FAR[name][0])


def test_errors_are_counted():
    """The next number is 1 ULP away, half of it 0.5; infinity is right if the value overflows."""
    one = np.ones(1)
    y = np.nextafter(np.ones(1, np.float32), np.float32(2))
    assert measure_accuracy.in_ulp(y, one).tolist() == [1]
    assert measure_accuracy.in_ulp(y, one + 2.0**-24).tolist() == [0.5]
    infinite = np.full(1, np.inf, np.float32)
    assert measure_accuracy.in_ulp(infinite, one * 2.0**128).tolist() == [0]
    assert measure_accuracy.in_ulp(infinite, one).tolist() == [np.inf]
    assert measure_accuracy.in_ulp(np.full(1, np.nan, np.float32), one).tolist() == [np.inf]
    tiny = np.full(1, 2.0**-149, np.float32)
    assert measure_accuracy.in_ulp(tiny, one * 2.0**-150).tolist() == [0.5]

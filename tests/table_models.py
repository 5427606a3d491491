"""Models of tables with hostile texts, and programs in C that run their headers."""

import ctypes
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnn
from cnn._base import metadata
from cnn._tables.preprocessing import Preprocessing
from cnn._tables.table import Category, Number
from cnn.tabular import TableModel

COMPILER = shlex.split(os.environ.get("CC", "cc"))
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
OPTIONS = {
    "portable": ["-std=c99", "-O2"],
    "native": ["-std=gnu99", "-O3", "-march=native", "-ffp-contract=fast"],
    "unoptimized": ["-std=c99", "-O0"],
    "trigraphs": ["-std=c99", "-trigraphs", "-O1"],
    "C++": ["-x", "c++", "-std=c++17", "-O2"],
}
needs_compiler = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which(COMPILER[0]) is None, reason="there is no C compiler"
)

# Texts that a C string, a comment or a template might make something else of.
TEXTS = (
    "Adelie",
    'quo"te',
    "back\\slash",
    "tri??/graph??)",
    "Gentoo \u00fc\U0001f427",
    "new\nline\ttab",
    "\x7f\x01\u00e912",
    "*/ // /*",
    "$name ${own} $identity $$ %s %n",
    " spaces ",
    "",
    "1",
)
COLUMNS = (
    Number("t", 1.7e12 + 0.25, 10.0),
    Category('isl"and\\??/', TEXTS),
    Number("\u00fcber\nalles */", -1 / 3, 1e-3),
    Number("scale of 1e300", 0.0, 1e300),
    Category("x", ("a", "b")),
)
SPECIES = Category("spe\\cies", TEXTS)
PRICE = Number('pri"ce', 1.7e12 + 0.123, 1 / 3)


def made(target, dtype="float32", columns=COLUMNS, hidden="tanh"):
    plan = Preprocessing(columns, target)
    output = "softmax" if isinstance(target, Category) else "identity"
    net = cnn.mlp([plan.inputs, 20, target.width], hidden, output, rng=0, dtype=dtype)
    net._network.set_metadata(metadata.COLUMNS, plan.to_json())
    return TableModel(net)


def rows(n=200):
    rng = np.random.default_rng(0)
    return [
        [
            1.7e12 + 10 * rng.standard_normal(),
            TEXTS[rng.integers(len(TEXTS))],
            rng.standard_normal() * 1e-3,
            rng.standard_normal() * 1e300,
            "ab"[rng.integers(2)],
        ]
        for _ in range(n)
    ]


# ---- C -----------------------------------------------------------------------------------------


def compiled(folder, source, options=OPTIONS["portable"]):
    # Of a path that was loaded before, the library of then would be had again.
    path, library = folder / "all.c", folder / f"all{len(list(folder.iterdir()))}.so"
    path.write_text(source)
    command = [*COMPILER, *options, *WARNINGS, "-shared", "-fPIC", str(path), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


PROGRAM = """
#define M_SELF_TEST
#include "m.h"
#ifdef __cplusplus
extern "C" {
#endif
int run(size_t rows, const double *row, RESULT *y);
int run(size_t rows, const double *row, RESULT *y)
{
    int wrong = 0;
    for (size_t i = 0; i < rows; i++)
        wrong += m_predict(row + i * M_COLUMNS, y + i * WIDTH) != 0;
    return wrong;
}
int status(const double *row, RESULT *y);
int status(const double *row, RESULT *y) { return m_predict(row, y); }
int test(void);
int test(void) { return m_self_test(); }
int category(size_t column, const char *text);
int category(size_t column, const char *text) { return m_category(column, text); }
const char *column_name(size_t i);
const char *column_name(size_t i) { return m_column_names[i]; }
const char *target_name(void);
const char *target_name(void) { return m_target_name; }
MORE
#ifdef __cplusplus
}
#endif
"""
CLASSES = """
const char *class_name(const RESULT *y);
const char *class_name(const RESULT *y) { return m_class_names[m_class(y)]; }
"""


def header(folder, model, options, **settings):
    """Return the library of a model's header."""
    model.to_c(folder / "m.h", **settings)
    is_class = model.classes is not None
    small = "float32" in (settings.get("dtype"), model.net.dtype.name)
    result = "float" if is_class and small else "double"
    source = PROGRAM.replace("MORE", CLASSES if is_class else "")
    width = model.net.outputs
    library = compiled(
        folder, source.replace("RESULT", result).replace("WIDTH", str(width)), options
    )
    for name in ("column_name", "target_name", "class_name")[: 3 if is_class else 2]:
        getattr(library, name).restype = ctypes.c_char_p
    library.column_name.argtypes = [ctypes.c_size_t]
    library.category.argtypes = [ctypes.c_size_t, ctypes.c_char_p]
    library.run.argtypes = [ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]
    library.status.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    return library, np.dtype("float32" if result == "float" else "float64")


def encoded(library, model, table):
    """Return rows as a C program makes them."""
    found = []
    for row in table:
        cells = []
        for i, (name, value) in enumerate(zip(model.columns, row, strict=True)):
            is_text = name in model.categories
            cells.append(library.category(i, value.encode()) if is_text else value)
        found.append(cells)
    return np.array(found, np.float64)


def results(library, dtype, values, width):
    y = np.empty((len(values), width), dtype)
    assert library.run(len(values), values.ctypes.data, y.ctypes.data) == 0
    return y


FRUIT = "weight,skin,fruit\n" + "150,smooth,apple\n10,rough,lychee\n140,rough,avocado\n" * 20


def blocks(page, language):
    """Return the blocks of code of a page of the documentation."""
    text = (Path(__file__).parent.parent / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


# ---- Real tables --------------------------------------------------------------------------------


def iris():
    datasets = pytest.importorskip("sklearn.datasets")
    data = datasets.load_iris()
    names = [name.replace(" (cm)", "") for name in data.feature_names]
    species = data.target_names[data.target].tolist()
    return [*names, "species"], [[*x, t] for x, t in zip(data.data.tolist(), species, strict=True)]


def penguins():
    rng = np.random.default_rng(0)
    table = []
    for _ in range(300):
        kind = rng.integers(3)
        island = rng.choice(
            [["Torgersen", "Biscoe"], ["Dream", "Dream"], ["Biscoe", "Dream"]][kind]
        )
        when = 1.7e12 + 10 * rng.standard_normal() + 8 * kind
        table.append([float(rng.normal(38 + 5 * kind, 1)), str(island), float(when),
                      ["Ad\u00e9lie", "Chinstrap", 'Gen"too'][kind]])  # fmt: skip
    return ["bill", "island", "time", "species"], table

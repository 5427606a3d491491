"""docs/_extensions/c_pages.py makes pages of all that cnn.h declares, or tells what is wrong."""

import re
from pathlib import Path

import c_pages
import pytest

ROOT = Path(__file__).parents[1]
SYMBOLS = (ROOT / "csrc" / "symbols.txt").read_text().split()


@pytest.fixture(scope="module")
def entries():
    """Return the signatures of each directive of the C domain on all pages."""
    found = {}
    for text in c_pages.pages().values():
        for directive, first, others in re.findall(
            r"\.\. c:(\w+):: (.*)((?:\n {12,}[^ :].*)*)", text
        ):
            lines = [first, *(line.strip() for line in others.splitlines())]
            found.setdefault(directive, []).extend(filter(None, lines))
    return found


def test_every_function_is_there_once(entries):
    names = [re.search(r"(\w+)\(", signature)[1] for signature in entries["function"]]
    assert sorted(names) == SYMBOLS


def test_all_other_names_are_there(entries):
    """Each word of the header that has a prefix of its own is declared on a page or is an alias."""
    text = (ROOT / "csrc" / "include" / "cnn" / "cnn.h").read_text()
    declared = set(re.findall(r"^typedef (?:enum|struct) (\w+)", text, re.MULTILINE))
    there = {name for kind in ("enum", "struct", "type") for name in entries[kind]}
    assert declared == there
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    macros = set(re.findall(r"^#define (CNN_\w+)", code, re.MULTILINE))
    macros -= {"CNN_API", "CNN_X", "CNN_CNN_H"}
    assert macros == {signature.removesuffix("(X)") for signature in entries["macro"]}
    used = set(re.findall(r"\bCNN_[A-Z]\w*", code)) - {"CNN_API", "CNN_X", "CNN_CNN_H", "CNN_BUILD"}
    used -= {"CNN_COLUMN_", "CNN_INIT_", "CNN_LAYER_", "CNN_PARAMETRIZATION_"}  # of lists
    assert used <= {*macros, *entries["enumerator"]}
    assert {"CNN_GELU_TANH", "CNN_INIT_TORCH", "CNN_LAYER_DENSE"} <= set(entries["enumerator"])
    assert {"double beta1", "double beta2", "double loss_lanes[16]"} <= set(entries["member"])


def test_comments_become_text():
    pages = c_pages.pages()
    losses = pages["losses.rst"]
    assert "   huber\n" not in losses
    assert "``sum_j r^2/2 for |r| <= delta, else delta (|r| - delta/2); r = z_j - t_j``" in losses
    assert "of weight 0 adds nothing to it, nor to its gradient, whatever" in losses
    names = pages["names.rst"]
    assert ".. c:enumerator:: CNN_LEAKY_RELU\n" in names
    assert ":c:enumerator:`CNN_SOFTMAX <CNN_SOFTMAX>`" in names
    assert "U(-a, a), a = sqrt(6 / (inputs + outputs))" in names
    networks = pages["networks.rst"]
    assert (
        ":c:func:`cnn_network_workspace_size(network, rows) <cnn_network_workspace_size>`"
        in networks
    )
    assert "cnn_network_load(" in pages["start-here.inc"]
    assert "   Aliasing\n      Inputs and outputs must not overlap" in pages["conventions.inc"]


HEADER = """/*
 * A header.
 *
 * Start here
 *   Call cnn_one.
 */
#ifndef H
#define H

#include <stddef.h>

/* ---- Functions ---- */

/* One. */
CNN_API int cnn_one(int a,
                    int b);
CNN_API int cnn_two(void);

{}
#endif
"""


def test_declarations_share_a_comment():
    first, (section,) = c_pages.read(HEADER.format(""))
    assert c_pages.parts_of(first) == {"": ["A header.", ""], "Start here": ["  Call cnn_one."]}
    (group,) = section.groups
    assert group.names == ["cnn_one", "cnn_two"]
    assert group.signatures == ["int cnn_one(int a, int b)", "int cnn_two(void)"]
    assert group.comment == ["One."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CNN_API int cnn_three(void);\n", "there is no comment for"),
        ("/* Three. */\n\nCNN_API int cnn_three(void);\n", "there is no comment for"),
        ("/* Three. */\nint three;\n", "cannot read 'int three"),
        ("/* Three. */ int three; /* It. */\n", r"cannot read '/\* Three"),
        (
            "/* T. */\ntypedef struct cnn_t {\n    /* A. */\n    int (*f)(int);\n"
            "    int b; /* B. */\n} cnn_t;\n",
            r"cannot read '.* int \(\*f",
        ),
        (
            "/* E. */\ntypedef enum cnn_e {\n    CNN_A = 0,\n    CNN_B = CNN_A + 1\n} cnn_e;\n",
            "cannot read 'CNN_B",
        ),
        (
            "/* T. */\ntypedef struct cnn_t cnn_t;\nCNN_API int cnn_three(cnn_t *t);\n",
            "cnn_three needs a comment of its own",
        ),
    ],
)
def test_what_cannot_be_read_is_an_error(text, message):
    with pytest.raises(ValueError, match=message):
        c_pages.read(HEADER.format(text))

"""Draws the drawings of "How it works": `python docs/internals/drawings/draw.py` writes all."""

from itertools import pairwise

from canvas import WIDTH, Canvas

PYTHON = [
    ("cli", "the commands of python -m cnn"),
    ("sklearn, plot, tabular, onnx, …", "optional parts and other formats"),
    ("sequential, _model", "the network of users"),
    ("exchange, _training", "formats; samples, the loop of fit"),
    ("layers, optimizers, losses, …", "settings and array functions"),
    ("_base", "checks of arguments, texts, files"),
    ("_core", "Cython: holds all C pointers"),
]
C = [
    ("ops.c", "the array functions of cnn.h"),
    ("file/", "JSON and safetensors"),
    ("train/", "steps, epochs, the optimizer"),
    ("run/", "the plan; forward, back, predict"),
    ("model/", "network, stages, tensors, weights"),
    ("kernels/", "arithmetic, for each ISA and type"),
    ("kernels/simd/", "the only intrinsics"),
    ("base/", "threads, platform, random, errors"),
    ("include/cnn/cnn.h", "the only public header"),
]


def floors():
    """The house: Python above, C below."""
    names = ", ".join(name for name, _ in PYTHON + C)
    d = Canvas(
        "floors",
        "The floors of the house",
        f"Floors from the roof to the ground, first of Python, then of C: {names}. Each floor uses "
        "only floors below it.",
        70 + 32 * (len(PYTHON) + len(C)) + 34,
    )
    d.path([(30, 62), (WIDTH / 2, 8), (610, 62)], "a", close=True)
    d.text(WIDTH / 2, 50, "import cnn", "bold", "middle")
    y = 62
    for kind, rows in (("a", PYTHON), ("b", C)):
        for name, job in rows:
            d.rect(40, y, 560, 32, kind, 0)
            d.text(54, y + 21, name, "mono")
            d.text(326, y + 21, job, "small")
            y += 32
    middle = 62 + 32 * len(PYTHON)
    for top, bottom, label in ((62, middle, "Python"), (middle, y, "C11")):
        half = (top + bottom) / 2
        d.parts.append(
            f'<text class="bold" text-anchor="middle" transform="translate(28 {half:g}) '
            f'rotate(-90)">{label}</text>'
        )
    d.arrow((620, 74), (620, y - 8))
    d.text(
        WIDTH / 2,
        y + 26,
        "each floor imports or includes from floors below it, never above",
        "small quiet",
        "middle",
    )
    d.save()


def plan():
    """The inputs and the outputs of a plan."""
    given = [
        ("shape of the network", "widths, type, tile, panel"),
        ("rows of the call", "or of a batch"),
        ("threads", "that the call may use"),
        ("sizes of caches", "of this machine"),
        ("workspace", "bytes of scratch, at most"),
        ("optimizer", "slots, clipping by norm"),
    ]
    decided = [
        ("block, blocks", "rows that go together"),
        ("threads, split", "by rows or by columns"),
        ("form", "weights row-major or in panels"),
        ("zeros", "look for zeros of inputs"),
        ("gradient", "fused, outer or whole"),
        ("tasks, prefetch", "parts of weights, fetched ahead"),
    ]
    d = Canvas(
        "plan",
        "What a plan is made of, and what it decides",
        "From the shape of the network, the rows, the threads, the sizes of caches, the workspace "
        "and the optimizer, the plan decides blocks of rows, threads and their split, the form of "
        "weights, whether to look for zeros, the kind of gradient, tasks and prefetch.",
        380,
    )
    for x, rows, kind, title in ((8, given, "plain", "given"), (402, decided, "a", "decided")):
        d.text(x + 115, 20, title, "bold", "middle")
        for i, (name, what) in enumerate(rows):
            y = 32 + 58 * i
            d.rect(x, y, 230, 48, kind)
            d.text(x + 115, y + 20, name, "", "middle")
            d.text(x + 115, y + 38, what, "small quiet", "middle")
    d.rect(272, 130, 96, 140, "b")
    for i, (line, kind) in enumerate(
        [
            ("cnn_plan", "mono"),
            ("pure", "small"),
            ("functions;", "small"),
            ("all thresholds", "small"),
            ("run/plan.c", "mono"),
        ]
    ):
        d.text(320, 160 + 24 * i, line, kind, "middle")
    for i in range(6):
        y, at = 56 + 58 * i, 145 + 22 * i
        d.arrow((238, y), (270, at))
        d.arrow((368, at), (400, y))
    d.save()


def weight_forms():
    """A (3, 6) weight in both forms, as a matrix and in memory; panels of 4 columns."""
    d = Canvas(
        "weight_forms",
        "A weight of 3 rows and 6 columns, row-major and in panels of 4 columns",
        "Row-major memory holds 00 to 05, then 10 to 15, then 20 to 25. In panels, memory holds "
        "the first four columns row after row, 00 01 02 03, 10 11 12 13, 20 21 22 23, then the "
        "last two columns with two zeros behind each row: 04 05 0 0, 14 15 0 0, 24 25 0 0.",
        330,
    )
    size = 30
    d.text(20, 22, "the matrix", "bold")
    for i in range(3):
        for j in range(6):
            x, y = 20 + j * size, 34 + i * size
            d.box(x, y, size, size, f"{i}{j}", "ab"[j // 4], "small mono")
    d.text(232, 54, "element (k, j) of a (K, N) weight", "small")
    for y, form, place in (
        (80, "row-major", "k · N + j"),
        (104, "panels", "(j / P) · K · P + k · P + j mod P"),
    ):
        d.text(232, y, form, "small bold")
        d.text(322, y, place, "mono")
    d.text(232, 126, "here K = 3, N = 6, P = 4", "small quiet")

    def strip(y, title, cells, marks):
        d.text(20, y, title, "bold")
        width = 600 / 24
        for at, (text, kind) in enumerate(cells):
            d.box(20 + at * width, y + 10, width, 30, text, kind, "small mono")
        for at, text in marks:
            d.text(20 + at * width, y + 58, text, "small quiet")

    rows = [(f"{i}{j}", "ab"[j // 4]) for i in range(3) for j in range(6)]
    strip(160, "in memory, row-major", rows, [(0, "row 0"), (6, "row 1"), (12, "row 2")])
    panels = [
        (f"{i}{j}", "ab"[p]) if j < 6 else ("0", "plain")
        for p in range(2)
        for i in range(3)
        for j in range(4 * p, 4 * p + 4)
    ]
    strip(
        250,
        "in memory, panels",
        panels,
        [(0, "panel 0: 3 rows of 4"), (12, "panel 1: padded with zeros")],
    )
    d.save()


def tile():
    """The tile on its way over the product."""
    d = Canvas(
        "tile",
        "The tile on its way over the product c = a · b",
        "a has M rows and K columns, b K rows and N columns, c M rows and N columns. The tile "
        "takes some rows of a, one panel of columns of b, and a chunk of 256 of k; its sums are "
        "in registers. The chunk of the panel stays in the L1 or L2 cache while the tile moves "
        "down the rows; the next chunk is prefetched into L2; a block of 8 tiles of rows of a "
        "stays in L2.",
        578,
    )
    ax, ay, k, m = 40, 262, 240, 200  # where a is, and the lengths of K and M
    bx, by, n = 330, 30, 270
    cut = 100  # a chunk of 256
    d.rect(ax, ay, k, m, "plain", 0)
    d.rect(bx, by, n, k - 30, "plain", 0)
    d.rect(bx, ay, n, m, "plain", 0)
    for x, y, label in (
        (ax + k / 2, ay - 10, "a (M \N{MULTIPLICATION SIGN} K)"),
        (bx + n / 2, by - 10, "b (K \N{MULTIPLICATION SIGN} N)"),
    ):
        d.text(x, y, label, "bold", "middle")
    d.text(bx + n / 2, ay + m + 20, "c (M \N{MULTIPLICATION SIGN} N)", "bold", "middle")
    d.text(ax + k / 2, ay + m + 20, "k in chunks of 256", "small quiet", "middle")
    for at in (cut, 2 * cut - 16):
        d.path([(ax + at, ay), (ax + at, ay + m)], "line dashed")
        d.path([(bx, by + at), (bx + n, by + at)], "line dashed")
    # The block of rows, the tile's rows, the panel, and the chunk.
    d.rect(ax, ay + 20, k, 112, "b", 0)
    d.rect(ax, ay + 62, cut, 14, "c", 0)
    d.rect(bx + 90, by, 36, k - 30, "a", 0)
    d.rect(bx + 90, by, 36, cut, "c", 0)
    d.rect(bx + 90, by + cut, 36, 84, "d", 0)
    d.rect(bx + 90, ay + 20, 36, 112, "a", 0)
    d.rect(bx + 90, ay + 62, 36, 14, "c", 0)
    d.arrow((bx + 108, ay + 78), (bx + 108, ay + 128))
    d.text(bx + 136, by + 44, "256 \N{MULTIPLICATION SIGN} a panel:", "small")
    d.text(bx + 136, by + 62, "in L1 or L2", "small bold")
    d.text(bx + 136, by + cut + 34, "next chunk:", "small")
    d.text(bx + 136, by + cut + 52, "prefetched to L2", "small bold")
    d.text(bx + 136, ay + 66, "tile: its sums are", "small")
    d.text(bx + 136, ay + 84, "in registers", "small bold")
    d.text(ax + 110, ay + 44, "8 tiles of rows:", "small")
    d.text(ax + 110, ay + 60, "in L2", "small bold")
    d.text(ax + 4, ay + 92, "rows of a tile \N{MULTIPLICATION SIGN} 256", "small")
    d.code(
        40,
        510,
        [
            "for each rectangle of c (a task of a thread)",
            "  for each panel of b",
            "    for each chunk of 256 of k",
            "      for each tile of rows, down the rectangle",
        ],
    )
    d.save()


def chunks():
    """The order of a sum over k."""
    d = Canvas(
        "chunks",
        "The order of a sum over k, here 600 products",
        "The products are cut into chunks: k from 0 to 255, from 256 to 511, and from 512 to 599."
        " In each chunk a chain of fused multiply-adds starts from +0 and goes on in order of k. "
        "The three sums are added from left to right, then the bias is added, then comes the "
        "activation.",
        300,
    )
    x, ends = 10, (0, 256, 512, 600)
    sums = []
    for first, end in pairwise(ends):
        whole = end - first == 256
        width = 250 if whole else 104
        d.rect(x, 30, width, 80, "a")
        d.text(x + width / 2, 22, f"k = {first} … {end - 1}", "small quiet", "middle")
        d.text(x + 8, 60, "+0", "mono")
        at = x + 28
        for label in ("fma", "fma", "…", "fma") if whole else ("…",):
            d.arrow((at, 56), (at + 16, 56))
            width_of = 38 if label == "fma" else 26
            d.box(at + 18, 44, width_of, 24, label, "plain", "small mono")
            at += 18 + width_of
        d.text(
            x + width / 2,
            96,
            "one chain, in order of k" if whole else "the rest",
            "small",
            "middle",
        )
        sums.append(x + width / 2)
        x += width + 8
    marks = ("s0", "s1", "s2")
    for at, mark in zip(sums, marks, strict=True):
        d.arrow((at, 110), (at, 156))
        d.box(at - 22, 158, 44, 28, mark, "b", "mono")
    d.arrow((sums[0] + 22, 172), (sums[1] - 24, 172))
    d.arrow((sums[1] + 22, 172), (sums[2] - 24, 172))
    d.text((sums[0] + sums[1]) / 2, 164, "s0 + s1", "small", "middle")
    d.text((sums[1] + sums[2]) / 2, 164, "(s0 + s1) + s2", "small", "middle")
    d.arrow((sums[2], 186), (sums[2], 226))
    for i, (label, kind) in enumerate((("+ bias", "c"), ("h( · )", "c"), ("y", "d"))):
        right = sums[2] + 30 - i * 130
        d.box(right - 80, 228, 80, 32, label, kind, "mono")
        if i < 2:
            d.arrow((right - 80, 244), (right - 128, 244))
    d.text(10, 250, "last: the bias, then the activation", "small quiet")
    d.text(10, 284, "y = h(((s0 + s1) + s2) + bias)", "mono")
    d.save()


def lanes():
    """Row sums in 16 virtual lanes."""
    d = Canvas(
        "lanes",
        "A sum along a row: 16 virtual lanes and their fold",
        "Lane l adds the elements l, l + 16, l + 32 and so on, in order. Then the 16 lanes are "
        "folded: lane l adds lane l + 8, then l + 4, then l + 2, then l + 1.",
        384,
    )
    width, left = 33, 104
    d.text(8, 26, "lane", "small quiet")
    for lane in range(16):
        d.text(left + (lane + 0.5) * width, 26, str(lane), "small quiet", "middle")
    for row in range(3):
        y = 36 + 30 * row
        d.text(8, y + 20, ("elements", "then", "then, in order")[row], "small")
        for lane in range(16):
            d.box(left + lane * width, y, width, 30, str(lane + 16 * row), "a", "small")
    y = 140
    for count in (16, 8, 4, 2, 1):
        d.text(8, y + 19, "16 sums" if count == 16 else f"l + (l + {count})", "small")
        for lane in range(count):
            kind = "d" if count == 1 else "b" if lane < count // 2 else "c"
            d.box(left + lane * width, y, width, 28, str(lane), kind, "small")
        if count > 1:
            half = left + count * width / 2
            d.arrow((half + count * width / 4, y + 28), (half - count * width / 4, y + 42))
        y += 44
    d.text(left + width + 12, y - 25, "the sum", "bold")
    for i, line in enumerate(
        (
            "AVX-512, float32: 1 vector of 16 lanes",
            "AVX2: 2 vectors of 8",
            "NEON: 4 vectors of 4",
            "portable C: 16 numbers",
        )
    ):
        d.text(360, y - 92 + 20 * i, line, "small quiet")
    d.text(
        8,
        y + 14,
        "Fewer than 16 elements left: the lanes behind the end add nothing.",
        "small quiet",
    )
    d.save()


def threads():
    """The slices of the pool over time."""
    d = Canvas(
        "threads",
        "Slices of a job over time",
        "The caller opens a job of seven slices and takes slice 0 at once. Worker 1 takes slices "
        "as they come. Worker 2 is late and takes one slice, in which the system interrupts it; "
        "the others take all other slices, and the call returns when that one slice is done. "
        "Worker 3 arrives when no slice is left and finds the gate closed. A call of another "
        "thread meanwhile finds the pool busy and does all its slices itself.",
        346,
    )
    names = ("caller", "worker 1", "worker 2", "worker 3", "another thread")
    left = 118
    slices = {
        0: [(0, 78, 0), (78, 82, 2), (160, 80, 4)],
        1: [(22, 84, 1), (106, 84, 3), (190, 78, 6)],
        2: [(166, 50, 5), (296, 44, 5)],
    }
    for row, name in enumerate(names):
        y = 40 + 48 * row
        d.text(8, y + 22, name, "small" if row < 4 else "small bold")
        d.path([(left, y + 34), (630, y + 34)], "line dashed")
        for x, width, number in slices.get(row, []):
            d.box(left + x, y, width, 32, str(number), "a" if row == 0 else "b", "mono")
    d.box(left + 216, 136, 80, 32, "interrupted", "c", "small")
    d.text(left + 246, 61, "waits", "small quiet")
    d.text(left + 240, 28, "gate closes", "small", "middle")
    d.path([(left + 240, 32), (left + 240, 40)])
    d.text(left + 340, 28, "the call returns", "small")
    d.text(left + 292, 205, "finds the gate closed", "small quiet")
    d.arrow((left + 270, 184), (left + 288, 200))
    d.path([(left + 340, 36), (left + 340, 172)])
    for i in range(4):
        d.box(left + 60 + 86 * i, 40 + 192, 86, 32, str(i), "d", "mono")
    d.text(left + 410, 40 + 192 + 14, "pool busy:", "small quiet")
    d.text(left + 410, 40 + 192 + 31, "alone", "small quiet")
    d.text(left, 28, "gate opens", "small")
    d.path([(left, 32), (left, 40)])
    d.arrow((left, 300), (620, 300))
    d.text(620, 318, "time", "small quiet", "end")
    d.text(
        8,
        338,
        "Numbers are slices. Which thread takes a slice changes no bit of its result.",
        "small quiet",
    )
    d.save()


def step():
    """The data flow of a training step."""
    d = Canvas(
        "step",
        "The data flow of a training step",
        "Rows of the batch are gathered into x with a nonzero index. A block of rows goes forward"
        " through a dense stage, dropout and another dense stage to the loss, and back as deltas."
        " After all blocks, each weight is taken in tasks: the product of the transposed inputs "
        "and delta gives some columns of the gradient, which go through the L1 cache into the "
        "optimizer. Meanwhile the next batch is gathered.",
        470,
        22,
    )
    d.rect(8, 30, 624, 236, "frame", 6)
    d.text(20, 50, "1: blocks of at most 132 rows, forward and back", "small bold")
    top, back = 64, 190
    stages = ((124, "dense\nh(x·W₀ + b₀)"), (256, "dropout\nmask"), (388, "dense\nh(·W₁ + b₁)"))
    d.box(20, top, 76, 56, "x\ngathered", "plain", "small")
    for x, text in stages:
        d.box(x, top, 108, 56, text, "a", "small")
    d.box(520, top, 100, 56, "loss\nof each row", "c", "small")
    for a, b in ((96, 124), (232, 256), (364, 388), (496, 520)):
        d.arrow((a, top + 28), (b - 2, top + 28))
    for x, text in ((124, "δ₀"), (256, "δ · mask"), (388, "δ₁")):
        d.box(x, back, 108, 40, text, "b", "small")
    d.arrow((570, top + 56), (570, back + 20), (498, back + 20))
    d.arrow((388, back + 20), (366, back + 20))
    d.arrow((256, back + 20), (234, back + 20))
    d.text(442, 180, "its activation's derivative", "small quiet", "middle")
    for x in (178, 442):
        d.path([(x, top + 56), (x, top + 68)], "line dashed")
    d.text(178, top + 84, "output kept", "small quiet", "middle")
    d.text(442, top + 84, "output kept", "small quiet", "middle")
    d.text(58, 140, "+ nonzero", "small quiet", "middle")
    d.text(58, 156, "index", "small quiet", "middle")
    d.text(310, 256, "outputs and deltas: in L2", "small quiet", "middle")
    d.rect(8, 282, 624, 180, "frame", 6)
    d.text(20, 302, "2: parts of weights", "small bold")
    for x, text, gradient in ((108, "W₀", "xᵀ · δ₀"), (372, "W₁", "outputᵀ · δ₁")):
        d.box(x - 15, 318, 170, 42, f"some columns of\ndW = {gradient}", "b", "small")
        d.arrow((x + 70, 360), (x + 70, 386))
        d.text(x + 80, 378, "through L1", "small quiet")
        d.box(x - 15, 388, 170, 34, f"optimizer, slots → {text}", "d", "small")
    d.arrow((178, 230), (178, 316))
    d.arrow((442, 230), (442, 316))
    d.text(
        20,
        446,
        "meanwhile: prefetch the next task, gather the rows of the next batch into x",
        "small quiet",
    )
    d.save()


def nonzero():
    """The nonzero index of a group of rows."""
    d = Canvas(
        "nonzero",
        "From inputs with zeros to a list of columns",
        "Four rows of inputs have numbers in a few of 16 columns. A bit for each number tells that "
        "it is not 0. The bits of the four rows are joined by or: columns 2, 3, 6, 7, 8 and 12 are "
        "needed. The tile takes these six steps of k instead of 16.",
        268,
    )
    rows = ["..11..1.........", "..1...11........", "...1...1....1...", "......1.1......."]
    width, left = 33, 104
    d.text(8, 24, "k", "small quiet")
    for k in range(16):
        d.text(left + (k + 0.5) * width, 24, str(k), "small quiet", "middle")
    for i, row in enumerate(rows):
        d.text(8, 52 + 28 * i, f"row {i}", "small")
        for k, bit in enumerate(row):
            d.box(
                left + k * width,
                32 + 28 * i,
                width,
                28,
                "0" if bit == "." else "x",
                "plain" if bit == "." else "a",
                "small quiet" if bit == "." else "small bold",
            )
    union = [any(row[k] == "1" for row in rows) for k in range(16)]
    d.text(8, 182, "or of bits", "small")
    for k, bit in enumerate(union):
        d.box(
            left + k * width, 162, width, 28, str(int(bit)), "b" if bit else "plain", "small mono"
        )
    needed = [k for k in range(16) if union[k]]
    d.text(8, 240, "the list", "small")
    for at, k in enumerate(needed):
        x = left + at * width
        d.box(x, 220, width, 28, str(k), "d", "small mono")
        d.arrow((left + (k + 0.5) * width, 190), (x + width / 2, 218))
    d.text(
        left + (len(needed) + 0.4) * width,
        240,
        f"the tile takes {len(needed)} steps of k, not 16",
        "small",
    )
    d.save()


def model_file():
    """The layout of a model file."""
    d = Canvas(
        "model_file",
        "The layout of a model file",
        "First 8 bytes with the size N of the header, then N bytes of JSON: an entry for each "
        "tensor with its type, shape and place, and metadata with the architecture; then the data"
        " of all tensors, one after the other, which begin at a multiple of 64 bytes.",
        230,
    )
    parts = (
        (8, 66, "8 bytes", "plain", "N"),
        (74, 226, "N bytes", "a", "header: JSON"),
        (300, 130, "multiple of 64", "b", "layers.0.weight"),
        (430, 90, "", "b", "layers.0.bias"),
        (520, 112, "", "b", "…"),
    )
    for x, width, above, kind, text in parts:
        d.text(x + 4, 24, above, "small quiet")
        d.box(x, 34, width, 44, text, kind, "small mono" if kind != "b" else "small")
    d.path([(74, 78), (20, 108)], "line dashed")
    d.path([(300, 78), (620, 108)], "line dashed")
    d.rect(20, 108, 600, 112, "a")
    d.code(
        36,
        134,
        [
            '"layers.0.weight": {"dtype": "F32", "shape": [784, 50],',
            '                    "data_offsets": [0, 156800]},',
            '"__metadata__": {"format": "cnn", "format_version": "1",',
            '                 "architecture": "…", "optimizer": "…"}',
        ],
        24,
    )
    d.save()


if __name__ == "__main__":
    for draw in (
        floors,
        plan,
        weight_forms,
        tile,
        chunks,
        lanes,
        threads,
        step,
        nonzero,
        model_file,
    ):
        draw()

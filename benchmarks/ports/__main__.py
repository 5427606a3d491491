"""Cycles of innermost loops by llvm-mca's models of CPUs: `python benchmarks/ports [--table FILE]`.

Compiles kernels to assembly for x86-64 and AArch64 with the options of the build, cuts out the
innermost loop of each function below, and lets llvm-mca run it on models of several CPUs. A model
knows ports, latencies and the width of the front end. It does not know caches and branches, so
these are the cycles of data in L1.

Needs llvm-mca 16 or later and GCC for AArch64 (Debian: llvm-19 gcc-aarch64-linux-gnu).
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KERNELS = ROOT / "csrc" / "kernels"
BUILD = ROOT / "build" / "ports"
LEAST_VERSION = 16
AARCH64_COMPILER = "aarch64-linux-gnu-gcc"
ITERATIONS = 200
STREAMS = 4  # vectors that a loop computes side by side, V_STREAMS

# A label, and a jump to one.
LABEL = re.compile(r"^([.\w$]+):")
JUMP = re.compile(r"^\t(?:j\w+|b|b\.?\w\w|cbn?z|tbn?z)\t(?:.*,\s*)?(\.L\w+)$")
# The multiply-adds of vectors.
MULTIPLY_ADD = re.compile(r"^\t(?:vfn?madd\w+p[sd]|fml[as])\t")


@dataclass(frozen=True)
class Target:
    """Kernels to compile, and the CPUs whose models run them."""

    isa: str
    triple: str
    lanes: int  # of float32
    tile: str  # the largest tile: rows_vectors_width, and its function
    function: str
    cpus: dict[str, str]  # by the name for llvm-mca
    configure: tuple[str, ...] = ()


X86 = {
    "skylake": "Skylake",
    "icelake-server": "Ice Lake",
    "znver1": "Zen 1",
    "znver2": "Zen 2",
    "znver3": "Zen 3",
}
TARGETS = (
    Target("avx2", "x86_64", 8, "6_2_0", "whole_by_k", X86),
    Target(
        "avx512",
        "x86_64",
        16,
        "12_2_0",
        "tile_12_2_0",
        {"skylake-avx512": "Skylake-X", "icelake-server": "Ice Lake", "znver4": "Zen 4"},
    ),
    Target(
        "neon",
        "aarch64",
        4,
        "12_2_0",
        "tile_12_2_0",
        {
            "neoverse-n1": "Neoverse N1",
            "neoverse-n2": "Neoverse N2",
            "neoverse-v1": "Neoverse V1",
            "neoverse-v2": "Neoverse V2",
            "apple-a14": "Apple (A7 model)",
        },
        (
            "-DCMAKE_SYSTEM_NAME=Linux",
            "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
            f"-DCMAKE_C_COMPILER={AARCH64_COMPILER}",
        ),
    ),
)
FUNCTIONS = ("relu", "exp", "log", "sigmoid", "tanh", "softplus", "gelu", "erf")


def llvm_mca() -> str:
    """Return the newest llvm-mca that is there."""
    found = {}
    for folder in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/opt/llvm/bin"):
        for path in Path(folder).glob("llvm-mca*"):
            text = subprocess.check_output([path, "--version"], text=True)
            found[int(re.search(r"version (\d+)", text)[1])] = str(path)  # type: ignore[index]
    if not found or max(found) < LEAST_VERSION:
        sys.exit(f"llvm-mca {LEAST_VERSION} or later is needed: apt-get install llvm-19")
    return found[max(found)]


def commands(target: Target) -> dict[str, list[str]]:
    """Configure a build, and return the command that compiles each kernel in float32."""
    build = BUILD / target.isa
    subprocess.run(
        [
            *("cmake", "-S", str(ROOT), "-B", str(build), "-G", "Ninja"),
            *("-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DCMAKE_C_COMPILER_LAUNCHER="),
            *target.configure,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    entries = json.loads((build / "compile_commands.json").read_text())
    kernels = f"cnn_kernels_{target.isa}_32.dir"
    return {
        Path(entry["file"]).name: shlex.split(entry["command"])
        for entry in entries
        if kernels in entry["command"]
    }


def assembly(command: list[str], source: Path) -> list[str]:
    """Return the lines of a source as the command's options compile it."""
    options = command[: command.index("-o")]
    done = subprocess.run(
        [*options, "-S", "-o", "-", str(source)], check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def innermost_loop(lines: list[str], function: str, having: str = "") -> list[str]:
    """Return the innermost loop of a function that has the most multiply-adds, and `having`."""
    begin = lines.index(f"{function}:")
    end = next(i for i in range(begin, len(lines)) if lines[i].startswith("\t.size"))
    labels = {m[1]: i for i in range(begin, end) if (m := LABEL.match(lines[i]))}
    loops = []
    for i in range(begin, end):
        jump = JUMP.match(lines[i])
        if jump and labels.get(jump[1], end) < i:
            loops.append((labels[jump[1]], i + 1))
    inner = [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    bodies = [[line for line in lines[a:b] if line.startswith("\t")] for a, b in inner]
    bodies = [[line for line in body if not line.startswith("\t.")] for body in bodies]
    bodies = [body for body in bodies if re.search(having, "\n".join(body))]
    return max(bodies, key=lambda body: (count_of(body), -len(body)))


def count_of(body: list[str]) -> int:
    """Return how many multiply-adds of vectors there are."""
    return sum(bool(MULTIPLY_ADD.match(line)) for line in body)


def cycles(mca: str, target: Target, cpu: str, body: list[str]) -> tuple[float, float]:
    """Return the cycles of one pass of a loop, and the bound of its ports and of the front end."""
    text = "\n".join(line for line in body if not JUMP.match(line)) + "\n"
    done = subprocess.run(
        [mca, f"-mtriple={target.triple}", f"-mcpu={cpu}", "-json", f"-iterations={ITERATIONS}"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    summary = json.loads(done.stdout)["CodeRegions"][0]["SummaryView"]
    return summary["TotalCycles"] / ITERATIONS, summary["BlockRThroughput"]


def tile_rows(mca: str, target: Target, body: list[str]) -> list[str]:
    """Return the table's rows of the matrix product's tile, for one step of k."""
    rows = []
    fused = [line for line in body if MULTIPLY_ADD.match(line)]
    sums = math.prod(int(n) for n in target.tile.split("_")[:2])
    steps = len(fused) / sums
    for cpu, name in target.cpus.items():
        taken, bound = cycles(mca, target, cpu, body)
        least = cycles(mca, target, cpu, fused)[1]
        rows.append(
            f"| {target.isa} {target.tile} | {name} | {len(body) / steps:.1f} | {sums} "
            f"| {least / steps:.1f} | {bound / steps:.1f} | {taken / steps:.1f} "
            f"| {least / taken:.0%} |"
        )
    return rows


def function_rows(mca: str, target: Target, bodies: dict[str, list[str]]) -> list[str]:
    """Return the table's rows of functions: cycles of 16 numbers, and of the bound."""
    rows = []
    scale = 16 / (target.lanes * STREAMS)
    for function, body in bodies.items():
        cells = []
        for cpu in target.cpus:
            taken, bound = cycles(mca, target, cpu, body)
            cells.append(f"{taken * scale:.1f} ({bound * scale:.1f})")
        rows.append(f"| {function} | {len(body) * scale:.1f} | " + " | ".join(cells) + " |")
    return rows


def main() -> None:
    """Print the tables, and write them if asked."""
    parser = argparse.ArgumentParser(prog="ports", description=__doc__)
    parser.add_argument("--table", type=Path, help="write the tables to this file too")
    given = parser.parse_args()
    mca = llvm_mca()
    if shutil.which(AARCH64_COMPILER) is None:
        sys.exit(f"{AARCH64_COMPILER} is needed: apt-get install gcc-aarch64-linux-gnu")
    tiles = [
        "| tile | CPU | instructions | multiply-adds | their bound | bound of all ports | "
        "cycles | of the peak |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    tables = []
    for target in TARGETS:
        of = commands(target)
        gemm = assembly(of["gemm.c"], KERNELS / "gemm.c")
        tiles += tile_rows(mca, target, innermost_loop(gemm, target.function))
        loops = assembly(of["activation.c"], HERE / "loops.c")
        bodies = {name: innermost_loop(loops, f"loop_{name}") for name in FUNCTIONS}
        softmax = assembly(of["softmax.c"], KERNELS / "softmax.c")
        bodies["softmax"] = innermost_loop(
            softmax, f"cnn_softmax_forward_{target.isa}_32", r"(?s)(?=.*(prefetch|prfm))(.*div){4}"
        )
        tables += [
            "",
            f"| {target.isa} | instructions | " + " | ".join(target.cpus.values()) + " |",
            "| --- | ---: |" + " ---: |" * len(target.cpus),
            *function_rows(mca, target, bodies),
        ]
    text = "\n".join(tiles + tables) + "\n"
    print(text, end="")
    if given.table:
        given.table.write_text(text)


if __name__ == "__main__":
    main()

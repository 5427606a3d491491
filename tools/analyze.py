"""Look for defects in csrc without running it: `python tools/analyze.py BUILD [TOOL ...]`.

BUILD is a folder in which CMake has written compile_commands.json. The tools are gcc (-fanalyzer),
clang-tidy and cppcheck; all of them by default. Each file is compiled as the build does it, and
kernels, which are compiled for each instruction set and type, in VARIANTS. What each tool leaves
out, and why, stands in .clang-tidy and below. Any finding is an error.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Each of simd's headers, and each type, at least once.
VARIANTS = ("scalar_32", "avx2_64", "avx512_32", "neon_32")

GCC = (
    "-fanalyzer",
    "-Werror",
    # -O3 makes paths longer, and with them the search.
    "-O1",
    # As clang-tidy defines it: base/error.h tells analyzers more about cnn_fail.
    "-D__clang_analyzer__",
)

# What gcc does not follow, by the folder or file; others look for the same there.
GCC_EXCEPT = {
    # That a loop over a constant count sets all numbers of an array: clang-tidy, valgrind.
    "csrc/kernels/": "-Wno-analyzer-use-of-uninitialized-value",
    # Texts that are stored in an entry that a list holds: LeakSanitizer, valgrind.
    "csrc/model/metadata.c": "-Wno-analyzer-malloc-leak",
}

CPPCHECK = [
    "--std=c11",
    "--enable=warning,portability,performance,missingInclude",
    "--inline-suppr",
    "--error-exitcode=1",
    "--quiet",
    "--template={file}:{line}: {severity}: {message} [{id}]",
    # The headers of the system are not read: the types that they define are in the list below.
    "--suppress=missingIncludeSystem",
    "--library=posix",
    "-D__clang_analyzer__",
    "-D__linux__",
    "-D__GNUC__=12",
    "-D__x86_64__",
]


def write_computed_includes(folder: Path) -> None:
    """Write the headers that simd.h includes by a macro, by the names that cppcheck makes of it."""
    folder.mkdir(exist_ok=True)
    for variant in VARIANTS:
        isa = variant.partition("_")[0]
        header = f'#include "kernels/simd/{isa}.h"\n'
        (folder / f"{isa} .h").write_text(header, encoding="utf-8")


def commands(build: Path) -> list[tuple[str, list[str]]]:
    """Return the files of csrc, each with the flags by which it is compiled."""
    found: dict[tuple[str, str], list[str]] = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        file = os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
        words = shlex.split(entry["command"])
        target = next((w for w in words if "CMakeFiles/" in w and w.endswith(".o")), "")
        variant = target.partition("cnn_kernels_")[2].partition(".")[0]
        if file.startswith("csrc" + os.sep) and (not variant or variant in VARIANTS):
            flags = [w for w in words if w.startswith(("-I", "-D", "-std=", "-march=", "-m"))]
            found.setdefault((file, variant), flags)
    return [(file, flags) for (file, _), flags in sorted(found.items())]


def command_of(tool: str, file: str, flags: list[str]) -> list[str]:
    """Return the command by which a tool looks at a file."""
    if tool == "gcc":
        without = [flag for where, flag in GCC_EXCEPT.items() if file.startswith(where)]
        return [os.environ.get("CC", "gcc"), *flags, *GCC, *without, "-c", "-o", os.devnull, file]
    if tool == "clang-tidy":
        return [tool, "--quiet", "--warnings-as-errors=*", file, "--", *flags]
    seen = [flag for flag in flags if flag.startswith(("-I", "-D"))]
    return [tool, *CPPCHECK, *seen, file]


def look(tool: str, file: str, flags: list[str]) -> str:
    """Return what a tool finds in a file; nothing if it finds nothing."""
    run = subprocess.run(
        command_of(tool, file, flags), cwd=ROOT, capture_output=True, text=True, check=False
    )
    return "" if run.returncode == 0 else run.stdout + run.stderr


def main() -> int:
    """Run the tools, and return 1 if one has found something."""
    build, *tools = sys.argv[1:]
    files = commands(Path(build))
    computed = Path(build, "cppcheck").absolute()
    write_computed_includes(computed)
    CPPCHECK.append(f"-I{computed}")
    failed = 0
    for tool in tools or ("gcc", "clang-tidy", "cppcheck"):
        begin = time.monotonic()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            findings = 0
            for text in pool.map(lambda f, tool=tool: look(tool, *f), files):
                findings += text != ""
                print(text, end="", flush=True)
        seconds = time.monotonic() - begin
        print(f"{tool}: {len(files)} compilations, {findings} with findings, {seconds:.0f} s")
        failed |= findings > 0
    return failed


if __name__ == "__main__":
    sys.exit(main())

"""Builds libcnn and its C tests for many platforms, and runs them there or in an emulator.

    python tools/run_platforms.py [--list] [--quick] [--tests REGEX] [--table FILE] [NAME]...

Prints a line for each platform: whether it was built, how many tests passed, whether `reproduce`
has the hash that is checked in; or why it could not be done, such as a package that is missing.
Logs are in build/platforms/NAME. Exits with 1 if a platform that could be tried failed, with 2 if
all that were named lack a package. --table writes the lines into a file as a table of Markdown too:
a page with marks around a table keeps its text, and the rows of other platforms.

Cross compilers and emulators are packages of Debian, which the line of a platform names. Zig is the
PyPI package ziglang; wasmtime is one too.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "platforms"

PYPI = ("ziglang",)

# What --quick builds and runs.
QUICK = ("cnn_static", "reproduce", "test_fma_scalar_32", "test_fma_scalar_64", "test_platform")

# What an emulator needs more time for than the machine itself.
TEST_TIMEOUT = 3600

# In an emulator that is slow the longest tests try each so manyth case: check_every in check.h.
EVERY = 41

# Around the table of a page.
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


@dataclass
class Platform:
    """A system, a compiler for it, and what runs its programs."""

    name: str
    system: str  # as a reader of the table calls it
    compiler: list[str]  # with options
    # Programs that must be there, and the package of Debian or PyPI that has each.
    packages: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)  # of CMake
    emulator: list[str] = field(default_factory=list)
    emulator_name: str = ""
    every: int = 1
    runs: bool = True
    # Tests that are left out, by a regular expression, and why.
    left_out: dict[str, str] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)  # parts of tests, and why
    environment: dict[str, str] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """Return the packages that must be installed first."""
        return [
            package
            for program, package in self.packages.items()
            if not (find_spec(program) if program in PYPI else shutil.which(program))
        ]


# Bookworm's qemu ends if the child of a fork starts threads; qemu 10 does not.
NO_FORKS = {"CNN_TEST_NO_FORKS": "1"}
FORKS = {
    "the forks of test_threads and test_memory_faults": "qemu-user 7.2 ends if the child of a fork "
    "starts threads"
}


def cross(name: str, system: str, triple: str, package: str, qemu: str) -> Platform:
    """Return a platform of Linux with a cross compiler of Debian, run by qemu."""
    return Platform(
        name,
        system,
        [f"{triple}-gcc"],
        {f"{triple}-gcc": f"gcc-{package}", f"qemu-{qemu}": "qemu-user"},
        [
            "-DCMAKE_SYSTEM_NAME=Linux",
            f"-DCMAKE_SYSTEM_PROCESSOR={qemu}",
        ],
        [f"qemu-{qemu}", "-L", f"/usr/{triple}"],
        "qemu-user",
        every=EVERY,
        not_run=FORKS,
        environment=NO_FORKS,
    )


def zig(name: str, system: str, target: str, options: list[str], **others: object) -> Platform:
    """Return a platform whose compiler is Zig's clang, with the C library that it brings."""
    compiler = [sys.executable, "-P", "-m", "ziglang", "cc", "-target", target]
    packages = {"ziglang": "ziglang", **others.pop("packages", {})}  # type: ignore[dict-item]
    return Platform(name, system, compiler, packages, options, **others)  # type: ignore[arg-type]


# --wrap lets the C library's own calls fail as well, if it is linked too.
STATIC = {
    "test_file_faults and test_memory_faults": "calls of a static C library would fail too",
}

WINDOWS = ["-DCMAKE_SYSTEM_NAME=Windows", "-DCMAKE_SYSTEM_PROCESSOR=AMD64"]
WINE = {"wine": "wine"}
WINE_QUIET = {"WINEDEBUG": "-all"}

# Emscripten 3.1.6 of Bookworm takes a Node that has fetch for a browser.
NODE_OPTIONS = ["--no-experimental-fetch"]
# And its packages for Node lie where only Bookworm's Node looks.
NODE_PATH = {"NODE_PATH": "/usr/share/nodejs"}

PLATFORMS = [
    *(
        Platform(
            f"gcc{level}",
            "Linux x86-64, glibc",
            ["gcc"],
            {"gcc": "gcc"},
            ["-DCMAKE_BUILD_TYPE=None", f"-DCMAKE_C_FLAGS={level} -DNDEBUG"],
        )
        for level in ("-O1", "-O2", "-O3")
    ),
    Platform("clang", "Linux x86-64, glibc", ["clang"], {"clang": "clang"}),
    Platform(
        "software-fma",
        "Linux x86-64, glibc, no fma of the C library",
        ["gcc"],
        {"gcc": "gcc"},
        ["-DCNN_SOFTWARE_FMA=ON"],
    ),
    Platform(
        "x86-64-v1",
        "Linux x86-64 without AVX and FMA, glibc",
        ["gcc"],
        {"gcc": "gcc", "qemu-x86_64": "qemu-user"},
        # CMake uses an emulator only if it believes that it compiles for another system.
        ["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=x86_64"],
        ["qemu-x86_64", "-cpu", "qemu64,-avx,-avx2,-fma"],
        "qemu-user",
        every=105,  # each multiply-add is computed by integers, and emulated
        not_run=FORKS,
        environment=NO_FORKS,
    ),
    cross(
        "aarch64",
        "Linux aarch64 (NEON), glibc",
        "aarch64-linux-gnu",
        "aarch64-linux-gnu",
        "aarch64",
    ),
    cross("riscv64", "Linux riscv64, glibc", "riscv64-linux-gnu", "riscv64-linux-gnu", "riscv64"),
    cross(
        "ppc64le",
        "Linux ppc64le, glibc",
        "powerpc64le-linux-gnu",
        "powerpc64le-linux-gnu",
        "ppc64le",
    ),
    cross(
        "s390x", "Linux s390x (big-endian), glibc", "s390x-linux-gnu", "s390x-linux-gnu", "s390x"
    ),
    Platform(
        "musl",
        "Linux x86-64, musl, static",
        ["musl-gcc"],
        {"musl-gcc": "musl-tools"},
        ["-DCMAKE_EXE_LINKER_FLAGS=-static"],
        not_run=STATIC,
    ),
    Platform(
        "mingw",
        "Windows x86-64, MinGW-w64 GCC",
        ["x86_64-w64-mingw32-gcc-posix"],
        {"x86_64-w64-mingw32-gcc-posix": "gcc-mingw-w64-x86-64-posix", **WINE},
        [*WINDOWS, "-DCMAKE_EXE_LINKER_FLAGS=-static"],
        ["wine"],
        "wine",
        environment=WINE_QUIET,
    ),
    zig(
        "windows-zig",
        "Windows x86-64, clang",
        "x86_64-windows-gnu",
        WINDOWS,
        packages=WINE,
        emulator=["wine"],
        emulator_name="wine",
        environment=WINE_QUIET,
    ),
    zig(
        "musl-zig",
        "Linux x86-64, musl, static",
        "x86_64-linux-musl",
        ["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=x86_64"],
        not_run=STATIC,
    ),
    *(
        zig(
            f"macos-{machine}",
            f"macOS {machine}",
            f"{arch}-macos",
            ["-DCMAKE_SYSTEM_NAME=Darwin", f"-DCMAKE_SYSTEM_PROCESSOR={machine}"],
            runs=False,
        )
        for machine, arch in (("arm64", "aarch64"), ("x86_64", "x86_64"))
    ),
    Platform(
        "wasm",
        "WebAssembly, Emscripten",
        ["emcc"],
        {"emcc": "emscripten", "node": "nodejs"},
        [
            "-DCMAKE_SYSTEM_NAME=Emscripten",
            "-DCMAKE_SYSTEM_PROCESSOR=wasm32",
            "-DCMAKE_EXE_LINKER_FLAGS=-sALLOW_MEMORY_GROWTH=1 -sEXIT_RUNTIME=1 -sNODERAWFS=1",
        ],
        ["node", *NODE_OPTIONS],
        "Node",
        left_out={
            "^test_platform_posix$": "it needs processes, signals and pipes",
            "^test_old_header$": "in 32 bits the padding of the first cnn_result has its new field",
        },
        not_run={"threads": "none can be started", "rounding modes": "there is one"},
        environment=NODE_PATH,
    ),
]


@dataclass
class Outcome:
    """What became of a platform."""

    platform: Platform
    missing: list[str] = field(default_factory=list)
    compiler: str = ""
    emulator: str = ""  # and its version
    built: bool = False
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    variations: list[str] = field(default_factory=list)  # of reproduce that are equal
    equal: bool | None = None
    seconds: float = 0.0

    def good(self) -> bool:
        return self.built and not self.failed and self.equal is not False

    def columns(self) -> list[str]:
        """Return the system, compiler, what ran, the result, and what was not run."""
        platform = self.platform
        if self.missing:
            ran, result = "nothing", "not tried: needs " + ", ".join(self.missing)
        elif not self.built:
            ran, result = "nothing", f"does not build: build/platforms/{platform.name}/build.log"
        elif not platform.runs:
            ran, result = "nothing: compiled and linked", "builds"
        else:
            ran = f"{self.passed + len(self.failed)} tests" + (
                f" in {self.emulator}" if platform.emulator else ""
            )
            result = f"{self.passed} passed"
            if self.failed:
                result += f", {len(self.failed)} failed ({', '.join(self.failed)})"
            if self.equal is not None:
                isas = list(dict.fromkeys(v.split(",")[0] for v in self.variations))
                result += f"; hash {'equal' if self.equal else 'NOT EQUAL'}"
                result += f" ({len(self.variations)} variations of {', '.join(isas)})"
        left_out = [
            f"`{re.sub('[$^]', '', test)}`: {why}" for test, why in platform.left_out.items()
        ]
        if platform.runs:
            left_out += [f"{part}: {why}" for part, why in platform.not_run.items()]
            if platform.every > 1:
                left_out.append(f"of the longest tests, one case in {platform.every} only")
        if self.skipped:
            left_out.append(f"{self.skipped} tests of instruction sets that are not there")
        return [
            f"`{platform.name}`",
            platform.system,
            self.compiler,
            ran,
            result,
            "; ".join(left_out),
        ]


def log_of(platform: Platform, step: str, command: list[str]) -> tuple[int, str]:
    """Run a command and return its exit code and output, which goes to a log too."""
    environment = {**os.environ, "CNN_TEST_EVERY": str(platform.every), **platform.environment}
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        check=False,
    )
    (BUILD / platform.name / f"{step}.log").write_text(done.stdout, encoding="utf-8")
    return done.returncode, done.stdout


def wrapper(folder: Path, name: str, command: list[str]) -> Path:
    """Write a program that calls a command of several words; CMake wants one."""
    path = folder / name
    path.write_text("#!/bin/sh\nexec " + " ".join(command) + ' "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def configure(platform: Platform) -> list[str]:
    """Return the command that configures the build."""
    folder = BUILD / platform.name
    folder.mkdir(parents=True, exist_ok=True)
    command = ["cmake", "-S", str(ROOT), "-B", str(folder / "build"), "-G", "Ninja"]
    command += ["-DCNN_BUILD_TESTS=ON", "-DCNN_WERROR=ON", f"-DCNN_TEST_TIMEOUT={TEST_TIMEOUT}"]
    command += platform.options
    compiler = platform.compiler[0]
    if len(platform.compiler) > 1:
        compiler = str(wrapper(folder, "cc", platform.compiler))
        for tool in ("ar", "ranlib"):
            path = wrapper(folder, tool, [*platform.compiler[:4], tool])
            command.append(f"-DCMAKE_{tool.upper()}={path}")
    command.append(f"-DCMAKE_C_COMPILER={compiler}")
    if platform.emulator:
        command.append(f"-DCMAKE_CROSSCOMPILING_EMULATOR={';'.join(platform.emulator)}")
    return command


def compiler_name(platform: Platform) -> str:
    """Return the compiler and its version."""
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [*platform.compiler, "--version"]
    # Zig leaves an empty a.o where it is asked.
    done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True, check=False)
    first = (done.stdout or done.stderr).splitlines()[0]
    version = re.search(r"\d+(\.\d+)*", first.rpartition(")")[2] or first)
    name = "emcc" if "emcc" in first else "clang" if "clang" in first else "GCC"
    return f"{name} {version[0]}" if version else first


def emulator_name(platform: Platform) -> str:
    """Return the emulator and its version."""
    if not platform.emulator:
        return ""
    command = [platform.emulator[0], "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    version = re.search(r"\d+\.\d+(\.\d+)?", done.stdout)
    return platform.emulator_name + (f" {version[0]}" if version else "")


def run_tests(platform: Platform, outcome: Outcome, tests: str) -> None:
    """Run the tests and read what ctest printed."""
    command = ["ctest", "--test-dir", str(BUILD / platform.name / "build"), "-V", "-j", "2"]
    command += ["--no-tests=error"]
    if tests:
        command += ["-R", tests]
    if platform.left_out:
        command += ["-E", "|".join(platform.left_out)]
    _, text = log_of(platform, "tests", command)
    results = re.findall(r"^ *\d+/\d+ Test +#\d+: (\S+) \.+(.*?) +[\d.]+ sec", text, re.MULTILINE)
    for name, result in results:
        if "Passed" in result:
            outcome.passed += 1
        elif "Skipped" in result:
            outcome.skipped += 1
        else:
            outcome.failed.append(name)
    lines = re.findall(r"^\d+: (\S+, \d+ threads, .*): (equal|NOT EQUAL)$", text, re.MULTILINE)
    outcome.variations = [line for line, result in lines if result == "equal"]
    if lines or any(name == "reproduce" for name, _ in results):
        outcome.equal = len(lines) == len(outcome.variations) and "reproduce" not in outcome.failed
    if not results:
        outcome.failed.append("ctest")


def try_platform(platform: Platform, tests: str, quick: bool) -> Outcome:
    """Build a platform and run its tests."""
    outcome = Outcome(platform, platform.missing())
    if outcome.missing:
        return outcome
    start = time.monotonic()
    outcome.compiler, outcome.emulator = compiler_name(platform), emulator_name(platform)
    code, _ = log_of(platform, "configure", configure(platform))
    if code == 0:
        command = ["cmake", "--build", str(BUILD / platform.name / "build")]
        if quick:
            command += ["--target", *QUICK]
            tests = f"^({'|'.join(QUICK)})$"
        code, _ = log_of(platform, "build", command)
    outcome.built = code == 0
    if outcome.built and platform.runs:
        run_tests(platform, outcome, tests)
    outcome.seconds = time.monotonic() - start
    return outcome


def table(rows: list[list[str]]) -> str:
    """Return a table of Markdown."""
    head = ["platform", "system", "compiler", "what ran", "result", "not run"]
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line).replace("|  |", "| |") + " |\n" for line in lines)


def update_table(path: Path, outcomes: list[Outcome]) -> None:
    """Write the outcomes into the table of a file; those of other platforms stay."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END) if begin else (before, "", "")
    kept = [
        [cell.strip() for cell in line.split(" | ")]
        for line in re.findall(r"^\| (`.*) \|$", old, re.M)
    ]
    rows = {row[0]: row for row in [*kept, *(outcome.columns() for outcome in outcomes)]}
    order = [f"`{platform.name}`" for platform in PLATFORMS]
    new = table([rows[name] for name in order if name in rows])
    path.write_text(before + begin + new + end + after if begin else new, encoding="utf-8")


def main() -> int:
    names = {platform.name: platform for platform in PLATFORMS}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="of a platform; all if none is given"
    )
    parser.add_argument("--list", action="store_true", help="print the platforms")
    parser.add_argument("--tests", default="", help="only the tests that this matches, as ctest -R")
    parser.add_argument("--quick", action="store_true", help="only reproduce and a few tests")
    parser.add_argument("--table", type=Path, help="a file for the lines as a table")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in names]
    if unknown:
        parser.error(f"{unknown[0]} is no platform; there are {', '.join(names)}")
    if options.list:
        for platform in PLATFORMS:
            print(f"{platform.name:14} {platform.system}")
        return 0
    outcomes = []
    for name in options.names or names:
        outcome = try_platform(names[name], options.tests, options.quick)
        outcomes.append(outcome)
        _, _, compiler, ran, result, _ = outcome.columns()
        mark = "--" if outcome.missing else "ok" if outcome.good() else "FAILED"
        print(
            f"{mark:6} {name:13} {compiler:14} {ran}: {result} ({outcome.seconds:.0f} s)",
            flush=True,
        )
        if options.table:
            update_table(options.table, [outcome])
    tried = [outcome for outcome in outcomes if not outcome.missing]
    if not tried:
        return 2
    return 0 if all(outcome.good() for outcome in tried) else 1


if __name__ == "__main__":
    sys.exit(main())

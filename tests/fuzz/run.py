"""Run fuzzers for some seconds each: `python tests/fuzz/run.py SECONDS [TARGET...]`.

Targets of C are programs that `make fuzz` builds with libFuzzer, ASan and UBSan; each runs with all
kernels that the machine has. Those of Python run under atheris. As many run at a time as there are
cores. What they find lies in build/fuzz/found, and new inputs in build/fuzz/inputs, with which the
next run goes on.
"""

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cnn import _core

sys.path.insert(0, str(Path(__file__).parent))  # which python -P leaves out

import corpus
import python_targets

FOLDER = Path("build/fuzz")
PROGRAMS = ("fuzz_model_file", "fuzz_model_bytes", "fuzz_json", "fuzz_calls")
STATE_MACHINE = "state_machine"
# libFuzzer sees no coverage of a target that has not run for some inputs.
OPTIONS = ("-rss_limit_mb=4096", "-timeout=60", "-print_final_stats=1", "-use_value_profile=1")
ENVIRONMENT = {
    "ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}


def runs():
    """Yield each run: its target, the kernels, the command."""
    for name in PROGRAMS:
        # The JSON reader runs no kernels.
        for isa in _core.isas() if name != "fuzz_json" else _core.isas()[:1]:
            yield name, isa, [str(FOLDER / "c" / "tests" / "c" / name)]
    for name in python_targets.TARGETS:
        yield name, "", [sys.executable, "-P", str(Path(__file__).parent / "atheris_run.py"), name]


def run(command, environment):
    """Run a program; return its exit status, its CPU seconds, and what it printed."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    return process.returncode, usage.ru_utime + usage.ru_stime, text


def fuzz(name, isa, command, seconds):
    """Run a fuzzer; return its line of the table, and whether it found nothing."""
    inputs, found = FOLDER / "inputs" / name, FOLDER / "found" / name
    for folder in (inputs, found):
        folder.mkdir(parents=True, exist_ok=True)
    status, used, text = run(
        [
            *command,
            f"-max_total_time={seconds}",
            f"-artifact_prefix={found}/",
            *OPTIONS,
            str(inputs),
            *map(str, corpus.folders(name)),
        ],
        os.environ | ENVIRONMENT | ({"CNN_ISA": isa} if isa else {}),
    )
    executed = re.findall(r"number_of_executed_units: (\d+)|^Done (\d+) runs", text, re.MULTILINE)
    covered = re.findall(r"cov: (\d+)", text)
    if status != 0 or not executed:
        return f"{text[-6000:]}\n{name:18} {isa:7} FAILED, see {found}", False
    count = next(n for n in executed[-1] if n)
    edges = (covered or ["?"])[-1]
    return f"{name:18} {isa:7} {count:>10} runs, {edges:>6} edges, {used:.0f} CPU seconds", True


def state_machine(seconds):
    """Run the state machine of the Python API; about two sequences of calls are made a second."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "tests/test_state_machine.py"],
        env=os.environ | {"CNN_FUZZ_EXAMPLES": str(2 * seconds)},
        check=False,
    )
    line = f"{STATE_MACHINE:18} {'':7} {2 * seconds:>10} sequences of calls"
    return line, done.returncode == 0


def main():
    """Run the targets that are named, or all."""
    seconds, names = int(sys.argv[1]), sys.argv[2:]
    known = [*PROGRAMS, *python_targets.TARGETS, STATE_MACHINE]
    unknown = set(names) - set(known)
    if unknown:
        sys.exit(f"unknown targets: {' '.join(sorted(unknown))}; there are {' '.join(known)}")
    good = True
    chosen = [each for each in runs() if not names or each[0] in names]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for line, passed in pool.map(lambda each: fuzz(*each, seconds), chosen):
            print(line, flush=True)
            good &= passed
    if not names or STATE_MACHINE in names:
        line, passed = state_machine(seconds)
        print(line, flush=True)
        good &= passed
    sys.exit(not good)


if __name__ == "__main__":
    main()

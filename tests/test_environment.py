"""Environment variables of cnn: what is not used is told once, and `cnn info` names them all."""

import os
import subprocess
import sys

import pytest
from marks import quick, slow, slow_sets

from cnn import runtime

ASK = "import cnn; from cnn import _core; print(_core.threads_origin(), cnn.get_num_threads())"
NAMES = ("CNN_NUM_THREADS", "OMP_NUM_THREADS", "CNN_ISA", "CNN_DATA", "PYTHONWARNINGS")


def run(*arguments, **variables):
    environment = {k: v for k, v in os.environ.items() if k not in NAMES} | variables
    done = subprocess.run(
        [sys.executable, "-P", *arguments],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


BAD_COUNTS = ["abc", "0", "-1", "+2", "1025", "99999", "4.5", "1e1", " 4 ", "4,2", "0x10", "\u0663"]
BAD_COUNTS += ["9" * 30, "8 cores", "2\n"]
FEW_COUNTS = {"abc", "1025", "4.5", "\u0663", "9" * 30}


@pytest.mark.parametrize("value", quick(FEW_COUNTS, BAD_COUNTS))
def test_a_number_of_threads_that_is_not_used_is_told_once(value):
    done = run("-c", "import cnn; " + ASK, CNN_NUM_THREADS=value, OMP_NUM_THREADS="3")
    message = (
        f"RuntimeWarning: CNN_NUM_THREADS is {value!r}, should be a whole number from 1 to 1024; "
        f"it is not used"
    )
    assert done.stderr.count(message) == 1
    assert done.stderr.count("Warning") == 1
    assert done.stderr.startswith("<string>:1: ")  # where cnn is imported
    assert done.stdout == "OMP_NUM_THREADS 3\n"


@pytest.mark.parametrize("value", ["1", "4", "1024", "007", ""])
def test_a_number_of_threads_that_is_used_is_not(value):
    done = run("-W", "error", "-c", ASK, CNN_NUM_THREADS=value, OMP_NUM_THREADS="3")
    expected = f"CNN_NUM_THREADS {int(value)}" if value else "OMP_NUM_THREADS 3"
    assert done.stdout == f"{expected}\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("value", "used"),
    [
        ("4,2", 4),
        ("0", None),
        *slow_sets(("4", 4), ("4,x", 4), ("abc", None), (" 4 ", None), ("1025", None)),
    ],
)
def test_openmps_variable_is_told_by_info_alone(value, used):
    done = run("-W", "error", "-c", ASK, OMP_NUM_THREADS=value)
    assert (done.stdout == f"OMP_NUM_THREADS {used}\n") == (used is not None)
    line = run("-m", "cnn", "info", OMP_NUM_THREADS=value).stdout.splitlines()[-2]
    expected = value if used else f"{value!r}, which is not used: it should be whole numbers from"
    assert line.startswith(f"OMP_NUM_THREADS  {expected}")


@pytest.mark.parametrize("value", ["mmx", "AVX2", "avx2 ", "best"])
def test_an_instruction_set_that_is_not_known_is_told_once(value):
    done = run("-c", "import cnn, cnn; " + ASK, CNN_ISA=value)
    message = f"RuntimeWarning: CNN_ISA is {value!r}, should be one of scalar, avx2, avx512, neon;"
    assert done.stderr.count(message) == 1
    assert done.stderr.count("Warning") == 1


@pytest.mark.parametrize("value", ["scalar", "avx2", "avx512", "neon", ""])
def test_an_instruction_set_that_another_machine_has_is_no_mistake(value):
    assert run("-W", "error", "-c", ASK, CNN_ISA=value).stderr == ""


def test_info_names_all_variables(tmp_path):
    lines = run("-m", "cnn", "info").stdout.splitlines()
    names = ("CNN_ISA", "CNN_NUM_THREADS", "OMP_NUM_THREADS", "CNN_DATA")
    assert lines[-4:] == [f"{name:17}not set" for name in names]
    values = {
        "CNN_ISA": "scalar",
        "CNN_NUM_THREADS": "3",
        "OMP_NUM_THREADS": "4,2",
        "CNN_DATA": str(tmp_path),
    }
    done = run("-m", "cnn", "info", **values)
    assert done.stdout.splitlines()[-4:] == [f"{k:17}{v}" for k, v in values.items()]
    assert done.stderr == ""
    values = {"CNN_ISA": "mmx", "CNN_NUM_THREADS": "abc", "CNN_DATA": str(tmp_path / "none")}
    done = run("-m", "cnn", "info", **values)
    text = done.stdout
    assert "CNN_ISA          'mmx', which is not used: it should be one of scalar, avx2" in text
    assert "CNN_NUM_THREADS  'abc', which is not used: it should be a whole number from 1" in text
    folder = str(tmp_path / "none")
    assert f"CNN_DATA         {folder!r}, which is not used: it should be a folder" in text
    assert done.stderr.count("Warning") == 2


def test_info_names_variables_that_are_like_those_of_cnn():
    line = run("-m", "cnn", "info", CNN_THREADS="2").stdout.splitlines()[-1]
    assert line == "CNN_THREADS      not read by cnn; did you mean 'CNN_NUM_THREADS'?"


def test_show_versions_prints_what_info_does():
    program = "import cnn; cnn.show_versions()"
    assert run("-c", program).stdout == run("-m", "cnn", "info").stdout


@pytest.mark.parametrize(
    "value", [*quick(FEW_COUNTS, BAD_COUNTS), *slow("1"), "007", *slow("1024"), "00001024"]
)
def test_the_library_and_the_message_agree(value):
    """What is told to be unused is what libcnn does not use."""
    done = run("-W", "ignore", "-c", ASK, CNN_NUM_THREADS=value)
    assert done.stdout.startswith("CNN_NUM_THREADS") == runtime._is_count(value)

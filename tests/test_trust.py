"""tools/trust.py counts what the commands of its checks print, and takes no silence for success."""

import pytest
import trust

CHECKS = {check.name: check for check in trust.CHECKS}


@pytest.mark.parametrize(
    ("name", "output", "found"),
    [
        (
            "accuracy",
            "exp          float32, max 0.9197 ULP at -5.85 (-0x1.76p+2), reference within 9.3e-10, "
            "limit 1, 4294968538 inputs, 16 s [avx512]\n",
            {"inputs": 4294968538},
        ),
        ("tests", "100% tests passed, 0 tests failed out of 65\n", {"C programs": 65}),
        ("tests", "100% tests passed out of 65\n", {"C programs": 65}),
        ("reproduce", "avx2, 3 threads, split 7: equal\nscalar: NOT EQUAL\n", {"hashes": 1}),
        (
            "platforms",
            "ok     wasm   emcc 3.1.6  4 tests: 4 passed; hash equal (2 variations of scalar)\n"
            "FAILED mingw  GCC 12      nothing: does not build\n",
            {"platforms": 1, "hashes": 2},
        ),
        (
            "fuzz",
            "fuzz_json          scalar       65684 runs,    292 edges, 2 CPU seconds\n"
            "onnx                             3806 runs,    759 edges, 2 CPU seconds\n"
            "state_machine                      20 sequences of calls\n",
            {"inputs": 69490, "sequences of calls": 20},
        ),
        ("damage", "==== 24 passed in 9.50s ====\n", {"tests": 24}),
        (
            "load",
            "0 of 1,234,567 predictions of cnn had other bits\n",
            {"predictions": 1234567},
        ),
    ],
)
def test_cases_are_counted(name, output, found):
    assert CHECKS[name].found(output) == found


@pytest.mark.parametrize(
    ("command", "needs", "good"),
    [
        ("echo 3 passed", {}, True),
        ("echo 3 passed; exit 1", {}, False),
        ("echo nothing", {}, False),
        ("echo 3 passed", {"no-such-program": "a-package"}, None),
    ],
)
def test_a_check_without_cases_has_failed(command, needs, good, tmp_path, monkeypatch):
    monkeypatch.setattr(trust, "LOGS", tmp_path)
    check = trust.Check("one", "a promise", command, trust.PYTEST, needs)
    assert trust.run(check)[2] is good

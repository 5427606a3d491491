"""tools/check_reports.py, which `make sanitize-python` runs on reports, finds those of cnn."""

import check_reports
import pytest

NUMPY_LEAK = """\
Direct leak of 88 byte(s) in 1 object(s) allocated from:
    #0 0x7f2e in __interceptor_malloc asan_malloc_linux.cpp:69
    #1 0x7f2d in PyArray_NewFromDescr_int (/lib/numpy/_core/_multiarray_umath.so+0x1)
"""
OUR_LEAK = """\
Indirect leak of 24 byte(s) in 1 object(s) allocated from:
    #0 0x7f2e in __interceptor_malloc asan_malloc_linux.cpp:69
    #1 0x7f2d in add_metadata /project/csrc/model/metadata.c:76
    #2 0x7f2c in __pyx_pf_set (/site/cnn/_core.cpython-311-x86_64-linux-gnu.so+0x2)
"""
LEAKS = """
=================================================================
==12==ERROR: LeakSanitizer: detected memory leaks

{}
SUMMARY: AddressSanitizer: 112 byte(s) leaked in 2 allocation(s).
"""
OVERFLOW = """\
=================================================================
==12==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602 at pc 0x7f2e
READ of size 4 at 0x602 thread T0
    #0 0x7f2d in somewhere (/lib/other.so+0x1)
"""
UNDEFINED = (
    "runtime error: signed integer overflow: 2147483647 + 1\n    #0 0x1 in f (/lib/other.so+0x1)\n"
)
RACE = """\
==================
WARNING: ThreadSanitizer: data race (pid=12)
  Read of size 8 at 0x7f9e70750948 by main thread:
    #0 memmove sanitizer_common_interceptors.inc:810 (libtsan.so+0x5dc76)
    #1 {read}

  Previous write of size 8 at 0x7f9e70750948 by thread T1:
    #0 dgemm_beta_SKYLAKEX <null> (libscipy_openblas64_.so+0xc785e8)

  Location is heap block of size 720000 at 0x7f9e70750000 allocated by main thread:
    #0 malloc tsan_interceptors_posix.cpp:647 (libtsan.so+0x3ebb8)
    #1 {made}

  Thread T1 (tid=21308, running) created by main thread at:
    #0 pthread_create tsan_interceptors_posix.cpp:1001 (libtsan.so+0x5e686)
    #1 {started}

SUMMARY: ThreadSanitizer: data race ??:? in _contig_to_contig
==================
"""
NUMPY = "copy <null> (_multiarray_umath.cpython-311-x86_64-linux-gnu.so+0x73d44)"
LIBCNN = "run_block /project/csrc/run/predict.c:52 (libcnn.so+0x1d2)"
CORE = "__pyx_pf_predict /build/_core.pyx.c:999 (_core.cpython-311-x86_64-linux-gnu.so+0x8d2)"
END = "ThreadSanitizer: reported 2 warnings\n"


def race(read=NUMPY, made=NUMPY, started=NUMPY):
    return RACE.format(read=read, made=made, started=started)


@pytest.mark.parametrize(
    ("report", "summary"),
    [
        (LEAKS.format(NUMPY_LEAK), "1 findings, 0 of them of cnn, 0 other errors"),
        (
            LEAKS.format(NUMPY_LEAK + "\n" + OUR_LEAK),
            "2 findings, 1 of them of cnn, 0 other errors",
        ),
        (OVERFLOW, "0 findings, 0 of them of cnn, 1 other errors"),
        (UNDEFINED, "0 findings, 0 of them of cnn, 1 other errors"),
        (race() + race() + END, "2 findings, 0 of them of cnn, 0 other errors"),
        (race() + race(read=LIBCNN) + END, "2 findings, 1 of them of cnn, 0 other errors"),
        (race(made=CORE), "1 findings, 1 of them of cnn, 0 other errors"),
        # Who started a thread of another library does not tell whose race it is.
        (race(started=CORE), "1 findings, 0 of them of cnn, 0 other errors"),
        # glibc frees the variables of a thread that has finished.
        (
            race(read="__GI__dl_deallocate_tls ../elf/dl-tls.c:682 (ld.so+0x1)", made=LIBCNN),
            "1 findings, 0 of them of cnn, 0 other errors",
        ),
        ("FATAL: ThreadSanitizer: unexpected memory mapping\n", "1 other errors"),
        (race() + "ThreadSanitizer:DEADLYSIGNAL\n", "1 other errors"),
        ("", "0 other errors"),
    ],
)
def test_reports(report, summary, tmp_path, monkeypatch, capsys):
    """What is of cnn is printed and is an error, and so are reports of other kinds."""
    (tmp_path / "report.12").write_text(report, encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["check_reports.py", str(tmp_path)])
    failed = check_reports.main()
    printed = capsys.readouterr().out
    assert printed.endswith(f"{summary}\n")
    assert failed == (" 0 of them of cnn, 0 other errors" not in printed)
    assert ("add_metadata" in printed) == ("add_metadata" in report)
    assert (LIBCNN in printed) == (LIBCNN in report and "_dl_deallocate" not in report)

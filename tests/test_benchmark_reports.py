"""Reports of `make bench`: what is read back from them, for their charts and for the site."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
REPORT = """\
# A processor, avx2

A processor, 2 cores, L1 32 KiB; Linux, Python 3.11.
cnn 0.1.0, NumPy 2.4.6.

Measured on 2026-11-26.
Quick run of: predict.

## Targets

| target | reached | wanted |  |
| --- | --- | --- | --- |
| predict: one | 3.25x NumPy | ≥ 3x | met |

## Predict

| case | threads | {} | best peer | NumPy |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| one | 1 | 4 µs (5 µs) | 18% L1 | **3.25**, target 3 met | failed |  |  | NumPy | 13 µs (14 µs) |
| two | 2 | 4 µs (5 µs) | 18% L1 | **0.75** | 8 µs (9 µs) | 9% L1 | **0.38** | NumPy | 3 µs (4 µs) |
""".format(" | ".join(f"cnn {isa} | roofline | best peer ÷ cnn" for isa in ("avx2", "scalar")))


@pytest.fixture
def modules(monkeypatch):
    """Return modules of the benchmarks, which are found from their folder."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == BENCHMARKS:
            del sys.modules[name]


@pytest.mark.parametrize(
    ("vendor", "family", "number", "name", "expected"),
    [
        ("AuthenticAMD", 25, 1, "AMD EPYC", "AMD EPYC zen3"),
        ("AuthenticAMD", 25, 17, "AMD EPYC", "AMD EPYC zen4"),
        ("AuthenticAMD", 26, 2, "AMD EPYC", "AMD EPYC zen5"),
        ("GenuineIntel", 6, 207, "Intel(R) Xeon(R) Processor", "Intel Xeon Emerald Rapids"),
        ("GenuineIntel", 6, 1, "Intel(R) Xeon(R) Processor", "Intel(R) Xeon(R) Processor"),
        ("GenuineIntel", 6, 85, "Intel(R) Xeon(R) Gold 6130", "Intel(R) Xeon(R) Gold 6130"),
    ],
)
def test_names_of_processors(modules, vendor, family, number, name, expected):
    """What a virtual machine says of its processor, and the generation that follows."""
    lines = (f"vendor_id\t: {vendor}", f"cpu family\t: {family}", f"model\t\t: {number}")
    core = "\n".join((*lines, f"model name\t: {name}"))
    assert modules("machine").model_of(f"{core}\n\n{core}\n") == expected


def test_what_is_read_from_a_report(modules, tmp_path):
    path = tmp_path / "report.md"
    path.write_text(REPORT, encoding="utf-8")
    report = modules("reading").read(path)
    assert report.title == "A processor, avx2"
    assert report.machine == "A processor, 2 cores, L1 32 KiB"
    assert (report.measured, report.run) == ("2026-11-26", "Quick run of: predict")
    assert report.isas == ("avx2", "scalar")
    row = modules("session").Comparison
    assert report.rows == (
        row("predict", "one", 1, "avx2", 3.25, "NumPy", 3.0),
        row("predict", "two", 2, "avx2", 0.75, "NumPy"),
        row("predict", "two", 2, "scalar", 0.38, "NumPy"),
    )


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("results/*.md")), ids=lambda p: p.stem)
def test_the_reports_that_are_there(modules, path):
    report = modules("reading").read(path)
    assert report.title
    assert report.measured.count("-") == 2
    assert path.with_suffix(".png").exists()
    assert len(report.rows) > 100
    subjects = {row.subject for row in report.rows} - {"learning"}  # takes an hour
    assert subjects == {"predict", "training", "activations", "dense"}


def test_a_chart_is_drawn_from_a_report(modules, tmp_path):
    pytest.importorskip("matplotlib")
    path = sorted(BENCHMARKS.glob("results/*.md"))[0]
    report, chart = modules("reading").read(path), modules("chart")
    rows = [row for row in report.rows if row.subject == "predict"]
    drawn = tmp_path / "folder" / "chart.png"
    assert chart.draw(rows, report.isas[0], report.title, drawn) == "chart.png"
    assert drawn.stat().st_size > 20_000
    assert chart.draw(rows, "none", report.title, drawn) is None

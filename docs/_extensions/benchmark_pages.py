"""The reports of benchmarks/results as pages, one for each machine, and tables over all of them.

A new report becomes a page without an edit. The directive `benchmarks` makes the tables of
performance/index.md out of the reports:

    ```{benchmarks} machines
    ```
"""

import re
from pathlib import Path
from statistics import geometric_mean

import generated
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

import reading

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"

_IMAGE = re.compile(r"^!\[([^\]]*)\]\(([^)]*)\)$", re.MULTILINE)


def _reports():
    """Return all reports, the newest first."""
    found = [reading.read(path) for path in sorted(RESULTS.glob("*.md"))]
    return sorted(found, key=lambda report: report.measured, reverse=True)


def _make_pages(app):
    """Write a page for each report, and remove those of reports that are gone."""
    texts = {
        path.name: f"```{{include}} ../../../benchmarks/results/{path.name}\n```\n"
        for path in RESULTS.glob("*.md")
    }
    generated.write(Path(app.srcdir) / "performance" / "machines", texts)


def _show_charts(app, path, parent, content):
    """Let the chart of a report scroll on a screen on which it would be too small to read."""
    if Path(app.srcdir, path).resolve().parent == RESULTS:
        image = "```{figure} \\2\n:alt: \\1\n:figclass: cnn-chart\n```"
        content[0] = _IMAGE.sub(image, content[0])


# ---- Tables over all reports ---------------------------------------------------------------------


def _table(columns, lines):
    rows = [columns, ["---"] * len(columns), *lines]
    return [f"| {' | '.join(row)} |" for row in rows]


def _link(report):
    return f"[{report.title}](machines/{report.path.name})"


def _best(report):
    """Return the rows of the best instruction set."""
    return [row for row in report.rows if row.isa == report.isas[0]]


def _machines():
    lines = [
        [_link(report), report.measured, report.machine, report.run.split(" run of")[0]]
        for report in _reports()
    ]
    return _table(["report", "measured on", "processor and caches", "run"], lines)


def _summary():
    lines = []
    for report in _reports():
        groups = {}
        for row in _best(report):
            groups.setdefault((row.subject, row.threads), []).append(row.ratio)
        table = []
        for (subject, threads), ratios in groups.items():
            mean = geometric_mean(ratios)
            counts = f"{sum(ratio >= 1 for ratio in ratios)} of {len(ratios)}"
            table.append([subject, str(threads), counts, f"{mean:.2f}", f"{min(ratios):.2f}"])
        columns = ["work", "threads", "cnn not slower", "mean ratio", "least ratio"]
        lines += [f"{_link(report)}, {report.measured}:", "", *_table(columns, table), ""]
    return lines


def _slower():
    lines = []
    for report in _reports():
        rows = sorted((row for row in _best(report) if row.ratio < 1), key=lambda row: row.ratio)
        table = [
            [row.subject, row.name, str(row.threads), f"{row.ratio:.2f}", row.best_peer]
            for row in rows
        ]
        columns = ["work", "case", "threads", "best peer ÷ cnn", "best peer"]
        lines += [
            f":::{{dropdown}} {report.title}: {len(rows)} of {len(_best(report))} rows",
            *_table(columns, table),
            ":::",
            "",
        ]
    return lines


class Benchmarks(SphinxDirective):
    """A table over all reports: machines, summary or slower."""

    required_arguments = 1

    def run(self):
        """Return the parsed table."""
        for path in RESULTS.glob("*.md"):
            self.env.note_dependency(str(path))
        made = {"machines": _machines, "summary": _summary, "slower": _slower}
        lines = made[self.arguments[0]]()
        node = nodes.Element()
        self.state.nested_parse(StringList(lines, "benchmarks/results"), self.content_offset, node)
        return node.children


def setup(app):
    """Connect to Sphinx."""
    app.add_directive("benchmarks", Benchmarks)
    app.connect("builder-inited", _make_pages)
    app.connect("include-read", _show_charts, priority=900)  # after links were changed
    return {"parallel_read_safe": True}

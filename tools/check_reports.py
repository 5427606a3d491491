"""Look for defects of cnn in reports of sanitizers: `python tools/check_reports.py FOLDER`.

A leak is ours if a function of libcnn or of cnn._core is among those that led to the allocation. A
finding of ThreadSanitizer is ours if one is in a stack of it; the stacks that tell who started the
threads do not count. Leaks and races of the interpreter and of libraries are not ours to mend. Any
other report in the folder is an error: of memory that is used wrongly, or of undefined behaviour,
in cnn or in a library that it calls.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

OURS = re.compile(r"[/(](?:libcnn|_core\.[^ /]*)\.so|/csrc/")
LEAKS = "detected memory leaks"
# glibc frees the variables of threads that have finished, under a lock of its own, which
# ThreadSanitizer does not see.
LOADER = "_dl_deallocate_tls "
RACES = "WARNING: ThreadSanitizer: "


def findings(text: str) -> list[str] | None:
    """Return the leaks or races of a report; None if it is of another kind."""
    leaks = re.split(r"\n(?=(?:Direct|Indirect) leak of)", text)
    if LEAKS in leaks[0]:
        return leaks[1:]
    # A line of = stands before and after each finding.
    parts = [part.strip() for part in re.split(r"^={18}\n", text, flags=re.MULTILINE)]
    parts = [p for p in parts if p and not re.fullmatch(r"ThreadSanitizer: reported \d+ .*", p)]
    return parts if all(part.startswith(RACES) for part in parts) else None


def is_ours(finding: str) -> bool:
    """Return whether a stack of a finding has a frame of cnn."""
    stacks = re.split(r"\n\s*\n", finding)
    if any(LOADER in stack for stack in stacks):
        return False
    return any(
        OURS.search(stack) for stack in stacks if not re.match(r"  Thread T\d+ .*created by", stack)
    )


def main() -> int:
    """Print what is found, and return 1 if there is anything."""
    files = sorted(Path(sys.argv[1]).glob("report.*"))
    count = ours = errors = 0
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        found = findings(text)
        if found is None:
            errors += 1
            print(text)
            continue
        count += len(found)
        of_cnn = [finding for finding in found if is_ours(finding)]
        ours += len(of_cnn)
        print(*of_cnn, sep="\n\n", end="\n" if of_cnn else "")
    print(f"{len(files)} reports: {count} findings, {ours} of them of cnn, {errors} other errors")
    return ours + errors > 0


if __name__ == "__main__":
    sys.exit(main())

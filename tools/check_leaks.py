"""Look for leaks of cnn in reports of LeakSanitizer: `python tools/check_leaks.py FOLDER`.

A leak is ours if a function of libcnn or of cnn._core is among those that led to the allocation.
Any other report in the folder is an error: of memory that is used wrongly, or of undefined
behaviour, in cnn or in a library that it calls.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

OURS = re.compile(r"/libcnn\.so|/_core\.[^ ]*\.so|/csrc/")


def main() -> int:
    """Print what is found, and return 1 if there is anything."""
    files = sorted(Path(sys.argv[1]).glob("report.*"))
    leaks = ours = errors = 0
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        records = re.split(r"\n(?=(?:Direct|Indirect) leak of)", text)
        if "detected memory leaks" not in records[0]:
            errors += 1
            print(text)
            continue
        for record in records[1:]:
            leaks += 1
            if OURS.search(record):
                ours += 1
                print(record)
    print(f"{len(files)} reports: {leaks} leaks, {ours} of them of cnn, {errors} other errors")
    return ours + errors > 0


if __name__ == "__main__":
    sys.exit(main())

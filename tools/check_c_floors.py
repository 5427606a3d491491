"""Checks the floors of csrc: each file includes only files of its own floor or of floors below it.

Prints the floors from the top down, and what each includes. Fails if a file includes upwards, if
files include each other in a circle (a header and its .c file count as one), if intrinsics are
included outside kernels/simd, or if a file stands on no floor.

    python tools/check_c_floors.py [FOLDER]
"""

from __future__ import annotations

import re
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

# From the lowest up. "" is csrc itself.
FLOORS = ("include/cnn", "base", "kernels/simd", "kernels", "model", "run", "train", "file", "")

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<(\w+intrin|arm_neon)\.h>)', re.MULTILINE)

Files = dict[Path, list[Path]]


def read_includes(root: Path) -> tuple[Files, list[str]]:
    """Return the project's files that each file includes, and complaints about the others."""
    files: Files = {}
    complaints = []
    for path in sorted(root.rglob("*.[ch]")):
        name = path.relative_to(root)
        found = files[name] = []
        for project, intrinsics in INCLUDE.findall(path.read_text(encoding="utf-8")):
            if intrinsics and floor(name) != "kernels/simd":
                complaints.append(f"{name} includes <{intrinsics}.h>; kernels/simd alone may")
            if not project:
                continue
            candidates = (Path("include") / project, Path(project), name.parent / project)
            inside = [c for c in candidates if (root / c).is_file()]
            if inside:
                found.append(inside[0])
            else:
                complaints.append(f'{name} includes "{project}", which is not there')
    return files, complaints


def floor(name: Path) -> str:
    """Return the floor that a file stands on."""
    folder = name.parent.as_posix()
    return "" if folder == "." else folder


def module(name: Path) -> str:
    """Return what a file and its header have in common; system parts belong to their file."""
    return (name.parent / re.sub(r"(_files|_caches)?\..*", "", name.name)).as_posix()


def check(files: Files) -> list[str]:
    """Return what is wrong with the includes."""
    complaints = [f"{name} stands on no floor" for name in files if floor(name) not in FLOORS]
    if complaints:
        return complaints
    graph: dict[str, set[str]] = {}
    for name, included in files.items():
        before = graph.setdefault(module(name), set())
        for other in included:
            if FLOORS.index(floor(other)) > FLOORS.index(floor(name)):
                complaints.append(f"{name} includes {other}, which stands above it")
            if module(other) != module(name):
                before.add(module(other))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        complaints.append("a circle: " + " -> ".join(reversed(error.args[1])))
    return complaints


def show(files: Files) -> None:
    """Print the floors from the top down: how many files, and the floors that these include."""
    for name in reversed(FLOORS):
        here = [path for path in files if floor(path) == name]
        below = {floor(other) for path in here for other in files[path]} - {name}
        ordered = [other for other in reversed(FLOORS) if other in below]
        line = f"  {name or 'csrc':12} {len(here):3} files  includes {', '.join(ordered) or '-'}"
        print(line.replace("include/cnn", "cnn.h"))


def main(arguments: list[str]) -> int:
    """Check a folder; return the exit code."""
    root = Path(arguments[0] if arguments else Path(__file__).parents[1] / "csrc")
    files, complaints = read_includes(root)
    if not files:
        complaints.append(f"{root} has no C files")
    complaints += check(files)
    print("floors of csrc:")
    show(files)
    for complaint in complaints:
        print(f"error: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

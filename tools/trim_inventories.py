"""Write docs/inventories: of other projects' objects.inv, the entries that this site refers to.

So a build needs no network, and links lead to the right pages all the same. docs/inventories/
names.toml has the names; to add one, write it there and run this tool. It reads each project's
objects.inv from its site, or from a file or another address that an argument names:

    python tools/trim_inventories.py                        # all, from their sites
    python tools/trim_inventories.py scipy=objects.inv      # only that of scipy, from a file
"""

import sys
import tomllib
import urllib.request
import zlib
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "inventories"
HEADER = b"# Sphinx inventory version 2\n# Project: %s\n# Version: \n"
COMPRESSED = b"# The remainder of this file is compressed using zlib.\n"


def read(source: str) -> list[str]:
    """Return the entries of an objects.inv, a file or an address: name, role, and so on."""
    if source.startswith(("http:", "https:")):
        with urllib.request.urlopen(source) as response:
            data = response.read()
    else:
        data = Path(source).read_bytes()
    _, _, rest = data.partition(COMPRESSED)
    return zlib.decompress(rest).decode().splitlines()


def trimmed(entries: list[str], names: list[str]) -> list[str]:
    """Return the entries with some names, each given as its role and the name."""
    found = {}
    for entry in entries:
        # "numpy.ndarray py:class 1 reference/generated/numpy.ndarray.html#$ -"
        name, role, *_ = entry.split(" ")
        found.setdefault(f"{role} {name}", entry)
    absent = sorted(set(names) - set(found))
    if absent:
        raise SystemExit(f"not in the inventory: {', '.join(absent)}")
    return [found[name] for name in names]


def main(arguments: list[str]) -> None:
    """Write the inventories, or those that the arguments name."""
    projects = tomllib.loads((FOLDER / "names.toml").read_text(encoding="utf-8"))
    sources = {name: project["url"] + "objects.inv" for name, project in projects.items()}
    if arguments:
        sources = dict(argument.split("=", 1) for argument in arguments)
    for project, source in sources.items():
        entries = trimmed(read(source), projects[project]["names"])
        data = zlib.compress("".join(f"{entry}\n" for entry in entries).encode(), 9)
        path = FOLDER / f"{project}.inv"
        path.write_bytes(HEADER % project.encode() + COMPRESSED + data)
        print(f"wrote {path}: {len(entries)} names")


if __name__ == "__main__":
    main(sys.argv[1:])

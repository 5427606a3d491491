"""Prints the floors of cnn, and checks what import-linter cannot see: see pyproject.toml.

Run as `python tools/check_python_floors.py`, after `lint-imports`. It fails if a module imports
anything but the extension `_core` from the package's root, whose `__init__.py` imports nearly all
modules, or if a private module lies beside the public ones of the root.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cnn"


def floors() -> list[list[str]]:
    """Return the names on each floor, the highest first."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [layer.split(" | ") for layer in layers]


def described(name: str) -> str:
    """Return a module's name, or that of a folder with its number of modules."""
    folder = PACKAGE / name
    if not folder.is_dir():
        return name
    return f"{name}/ ({len([f for f in folder.rglob('*.py') if f.name != '__init__.py'])})"


def faults() -> Iterator[str]:
    """Yield what is wrong."""
    modules = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith(".")}
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(ROOT)
        if path.parent == PACKAGE and path.name.startswith("_") and not path.stem.endswith("__"):
            yield f"{where}: a private module belongs into a folder"
        if path == PACKAGE / "__init__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            taken: set[str] = set()
            if isinstance(node, ast.Import):
                taken = {alias.name for alias in node.names} & {"cnn"}
            elif isinstance(node, ast.ImportFrom) and (node.module == "cnn" or node.level):
                taken = {alias.name for alias in node.names} - modules
            for name in taken:
                yield f"{where}:{node.lineno}: imports {name} from the root, should name its module"


def main() -> int:
    """Print the floors and the faults; return the exit code."""
    print("The floors of cnn, each of which imports only what is below it (modules in a folder):")
    for floor in [*floors(), ["_core (the extension)"]]:
        print("  " + ", ".join(map(described, floor)))
    found = list(faults())
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

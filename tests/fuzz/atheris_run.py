"""Run one target of `python_targets.py` under atheris: `atheris_run.py TARGET [OPTION...]`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # which python -P leaves out


def main():
    """Instrument cnn's Python code, and fuzz."""
    import atheris  # `make fuzz` alone installs it

    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["cnn"]):
        import corpus  # cnn is instrumented as it is imported
        import python_targets

        # cnn imports some of its modules when they are first used.
        target = python_targets.TARGETS[name]
        for folder in corpus.folders(name):
            for path in folder.iterdir():
                target(path.read_bytes())
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

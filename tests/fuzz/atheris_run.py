"""Run one target of `python_targets.py` under atheris: `atheris_run.py TARGET [OPTION...]`."""

import sys


def main():
    """Instrument cnn's Python code, and fuzz."""
    import atheris  # `make fuzz` alone installs it

    with atheris.instrument_imports(include=["cnn"]):
        import python_targets  # cnn is instrumented as it is imported
    name = sys.argv.pop(1)
    target = python_targets.TARGETS[name]
    # The first call imports what is left, before coverage counts.
    target(b"")
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

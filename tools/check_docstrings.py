"""Check the docstrings of all public names by numpydoc, and that each has an example.

`make docs` runs it. Not asked for are what this package's docstrings do without: sections See Also,
an extended summary for each function, and types of parameters that are "as for" another function's.
"""

import inspect
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # python -P leaves it out

import public_names
from numpydoc.validate import ERROR_MSGS, validate

LEFT_OUT = {
    "ES01",  # an extended summary
    "GL01",  # a summary that begins on the line below the quotes
    "GL02",  # closing quotes on a line of their own, also of a single line
    "GL03",  # no two empty lines; numpydoc counts those of examples
    "PR04",  # a type for each parameter: some are "as for" another function's
    "PR08",  # a description that begins with a capital letter: some begin with a formula
    "PR09",  # a description that ends with a period: some end with a list
    "RT03",  # a description of each returned value: a type may say it all
    "RT05",  # as PR09
    "SA01",  # See Also
    "SA04",  # a description of each entry of See Also
}
# A constant, types for type checkers, and an exception, whose class is compiled.
WITHOUT_EXAMPLE = {
    *("cnn.__version__", "cnn.activations.Activation", "cnn.columns.Column", "cnn.ModelFileError"),
}


def subjects():
    """Return the names of functions, classes and methods, except those of scikit-learn."""
    for name in sorted(public_names.names() - WITHOUT_EXAMPLE):
        yield name
        thing = public_names.lookup(name)
        if inspect.isclass(thing):
            for method in public_names.methods(thing):
                if getattr(thing, method).__module__.startswith("cnn."):
                    yield f"{name}.{method}"


def complaints(name):
    """Return the codes and texts of what numpydoc finds in a docstring."""
    left_out = LEFT_OUT
    if inspect.isclass(thing := public_names.lookup(name)) and (
        issubclass(thing, tuple) or getattr(thing, "_is_protocol", False)
    ):
        # The fields of a tuple have texts of their own, and a protocol is not called.
        left_out = left_out | {"PR01"}
    if "Callback.on_" in name or name.startswith(("cnn.Rows.", "cnn.distributed.Communicator.")):
        left_out = left_out | {"EX01"}  # the class has it
    return [error for error in validate(name)["errors"] if error[0] not in left_out]


def main():
    """Print what is wrong, and return whether anything is."""
    assert set(ERROR_MSGS) >= LEFT_OUT
    names = list(subjects())
    wrong = [f"{name}: {code} {text}" for name in names for code, text in complaints(name)]
    print("\n".join([*wrong, f"{len(names)} docstrings checked, {len(wrong)} faults"]))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

"""Marks of some of a test's parameters."""

import pytest


def slow(*values):
    """Return parameters that `make test` leaves out, since others show the same in less time."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


def slow_sets(*sets):
    """Return the same for several parameters at once."""
    return [pytest.param(*values, marks=pytest.mark.slow) for values in sets]


def quick(chosen, values):
    """Return the values as parameters, of which all but the chosen ones are slow."""
    return [each for value in values for each in ([value] if value in chosen else slow(value))]

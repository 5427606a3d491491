"""What reading a table finds, for tests that compare two ways to read one."""

from cnn._tables.content import read


def facts(path, refused=ValueError, **options):
    """Return all that `read` finds in a file, or the text of its error."""
    try:
        found = read(path, target="t", **options)
    except refused as error:
        return str(error)
    columns = [
        (c.column, c.values.dtype, c.values.tobytes(), c.missing, c.first_missing, c.inexact)
        for c in found.columns.values()
    ]
    return found.rows, found.hint, columns

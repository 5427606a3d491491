# Data frames of pandas and polars, and Arrow tables, as arrays. Needs no other part.
#
# A frame is known by its methods: none of these libraries is imported. Reading one runs foreign
# code, as arrays.pxi explains.

# The errors of foreign code that mean that it cannot be read. Others pass.
cdef tuple FOREIGN_ERRORS = (
    AttributeError, BufferError, LookupError, OverflowError, RuntimeError, TypeError, ValueError
)

# What users can do about an array that has no numbers, by the kind of its dtype.
cdef dict CURES = {
    "O": "; fill in or leave out what is missing in it, and convert it with astype(float)",
    "S": "; convert it with astype(float) if its texts are numbers",
    "U": "; convert it with astype(float) if its texts are numbers",
    "T": "; convert it with astype(float) if its texts are numbers",
    "M": "; convert it into numbers, such as days since a date",
    "m": "; convert it into numbers by dividing it by a unit, such as numpy.timedelta64(1, 's')",
    "V": "; give its fields as columns, as by numpy.lib.recfunctions.structured_to_unstructured",
    "c": "; give its real and imaginary parts as columns of their own",
    "f": "; convert it with astype(numpy.float64)",
}

# What they can do about a column of texts or of other categories.
cdef str CATEGORIES = (
    "; make columns of 0 and 1 of its categories, such as by pandas.get_dummies, or use "
    "cnn.tabular.TableModel, which takes such columns"
)


cdef object frame_parts(object value):
    """The names and the columns of a frame or table; None for any other value."""
    kind = type(value)
    if hasattr(kind, "iloc") and hasattr(kind, "columns"):  # pandas
        names = list(value.columns)
        return names, [value.iloc[:, i] for i in range(len(names))]
    if hasattr(kind, "get_columns"):  # polars
        return list(value.columns), list(value.get_columns())
    if hasattr(kind, "column_names") and hasattr(kind, "itercolumns"):  # an Arrow table or batch
        return list(value.column_names), list(value.columns)
    return None


cdef object dtype_of(object column):
    """The type of a column as its library has it."""
    return column.dtype if hasattr(column, "dtype") else column.type


cdef object number_or_none(object value):
    """A value as a number, a missing one as NaN; None for what is no number.

    Whole numbers beyond 64 bits are none, as in arrays of objects.
    """
    kind = type(value)
    if value is None or kind.__name__ == "NAType":  # pandas.NA
        return float("nan")
    if isinstance(value, int):
        return value if -2**63 <= value < 2**64 else None
    if isinstance(value, np.timedelta64):
        return None
    if isinstance(value, (np.bool_, np.integer)) or hasattr(kind, "as_integer_ratio"):
        return float(value)
    return None


cdef object objects_as_numbers(cnp.ndarray objects, object dtype):
    """A column of objects that are numbers, booleans or missing as float64, or why it is none."""
    cdef cnp.ndarray found = np.empty(objects.shape[0])
    cdef Py_ssize_t i
    for i, value in enumerate(objects.tolist()):
        number = number_or_none(value)
        if number is None:
            cure = CATEGORIES if isinstance(value, (str, bytes)) else CURES["O"]
            return f"of type {dtype} ({value!r:.50} in row {i}), should be numbers{cure}"
        found[i] = number
    return found


cdef object column_array(object column):
    """A column of a frame as an array of numbers, missing values as NaN; or why it has none."""
    dtype = dtype_of(column)
    # Categories may be numbers, but these have no order or distance.
    if str(dtype) in ("category", "Enum") or str(dtype).startswith(("Categorical", "dictionary<")):
        return f"of type {str(dtype):.50}, should be numbers{CATEGORIES}"
    found = np.asarray(column)
    if found.dtype.kind == "O" and getattr(dtype, "kind", "O") in ("b", "i", "u", "f"):
        # An extension type of pandas, whose missing values make an array of objects.
        found = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if found.ndim != 1:
        return f"of {found.ndim} dimensions, should have 1"
    if found.dtype.kind == "O":
        return objects_as_numbers(found, dtype)
    if found.dtype.kind not in "biuf" or found.dtype.itemsize > 8:
        if found.dtype.kind in "SUT":
            return objects_as_numbers(found.astype(object), dtype)
        return f"of type {dtype}, should be numbers{CURES.get(found.dtype.kind, '')}"
    return found


cdef object read_frame(object value, str holds):
    """A frame or table as an array (rows, columns), the error for what it holds, or None if it is
    neither.

    The type is the one to which NumPy promotes those of the columns. A frame whose columns have one
    type of NumPy is read by its own __array__, which may not need a copy.
    """
    parts = frame_parts(value)
    if parts is None:
        return None
    names, columns = parts
    # pandas makes objects of booleans beside numbers, and polars and Arrow of any such mixture.
    dtypes = [dtype_of(column) for column in columns]
    kinds = {dtype.kind if isinstance(dtype, np.dtype) else str(dtype) for dtype in dtypes}
    if kinds <= {"i", "u", "f"} or (len(kinds) == 1 and kinds.isdisjoint({"O", "category"})):
        array = np.asarray(value)
        if array.ndim == 2 and array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
            return array
    found = []
    for name, column in zip(names, columns, strict=True):
        read = column_array(column)
        if isinstance(read, str):
            return TypeError(f"{holds} has column {name!r} {read}")
        if found and len(read) != len(found[0]):
            return ValueError(f"{holds} has columns of different lengths")
        found.append(read)
    array = np.empty((len(found[0]), len(found)), np.result_type(*[read.dtype for read in found]))
    for i, read in enumerate(found):
        array[:, i] = read
    return array


cdef object frame_array(object value, str where, str argument):
    """A frame or table as an array (rows, columns) of numbers; None for any other value."""
    try:
        found = read_frame(value, f"{where}: {argument}")
    except FOREIGN_ERRORS as error:
        raise TypeError(
            f"{where}: {argument} of type {type(value).__name__} cannot be read as an array: "
            f"{error}"
        ) from error
    if isinstance(found, Exception):
        raise found
    return found


def column_names(value):
    """The names of a frame's columns as texts; None for a value that is no frame."""
    if cnp.PyArray_CheckExact(value) or isinstance(value, (list, tuple)):
        return None
    try:
        parts = frame_parts(value)
        return None if parts is None else [str(name) for name in parts[0]]
    except Exception:  # foreign code; names are for messages only
        return None

# Versions, instruction sets and threads. Needs base.pxi: check.

def version():
    return cnn_version().decode()


def abi_version():
    return cnn_abi_version()


def numerics_version():
    return cnn_numerics_version()


def isa():
    return cnn_isa().decode()


def isas():
    found = []
    while cnn_isa_available(len(found)) != NULL:
        found.append(cnn_isa_available(len(found)).decode())
    return tuple(found)


def select_isa(name):
    if not isinstance(name, str):
        raise TypeError(f"select_isa: name is of type {type(name).__name__}, should be a string")
    cdef bytes encoded = str.encode(name)
    check(cnn_isa_select(encoded), "select_isa")


def get_num_threads():
    return cnn_threads_get()


def set_num_threads(n):
    if n is None:
        n = 0
    elif isinstance(n, (bool, np.bool_)) or not isinstance(n, (int, np.integer)):
        raise TypeError(
            f"set_num_threads: n is of type {type(n).__name__}, should be an int or None"
        )
    elif not 1 <= n <= 1024:
        raise ValueError(f"set_num_threads: n is {n}, should be from 1 to 1024, or None")
    check(cnn_threads_set(n), "set_num_threads")


def threads_origin():
    return cnn_threads_origin().decode()

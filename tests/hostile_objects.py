"""Objects that lie about what they are, or that change the arrays given beside them while they are
read. `OBJECTS` has a function for each, which makes it in a `World`.
"""

import array
import collections
import contextlib
import ctypes
import decimal
import fractions
import gc
import itertools
import pathlib
import types

import numpy as np

import cnn
from cnn import _core

ATTACKS = ("empty", "grow", "reshape", "swap", "retype", "lock")


def hook(*names, **attributes):
    """Return a class with methods of these names, each of which does what it is made with."""

    def method(self, *_, **__):
        return self.act()

    return type("Hook", (), {**dict.fromkeys(names, method), **attributes})


def acting(cls, act, *arguments):
    made = cls(*arguments)
    made.act = act
    return made


def fails(error):
    def act():
        raise error("as it likes")

    return act


# ---- Objects that change other arrays while they are read ----------------------------------------


def good_array(world, shape=(2,)):
    return np.zeros(shape, np.float32)


def attacker(world, attack, names, result):
    def act():
        getattr(world, attack)()
        return result()

    return acting(hook(*names), act)


class AttackingOut(np.ndarray):
    """Its hooks change the array that it is a part of."""

    act = None

    def __array_finalize__(self, other):
        self.act = getattr(other, "act", None)

    def __array_function__(self, function, types, args, kwargs):
        if self.act:
            self.act()
        return super().__array_function__(function, types, args, kwargs)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if self.act:
            self.act()
        return NotImplemented

    def __array_wrap__(self, *args):
        if self.act:
            self.act()
        return super().__array_wrap__(*args)

    def __setitem__(self, key, value):
        if self.act:
            self.act()
        super().__setitem__(key, value)

    def __getitem__(self, key):
        if self.act:
            self.act()
        return super().__getitem__(key)


def attacking_part(world, attack, order="C"):
    base = np.zeros(64, np.float32)
    made = base[:10].reshape(5, 2, order=order).view(AttackingOut)

    def act():
        with contextlib.suppress(ValueError):
            base.resize(0 if attack == "empty" else 2**20, refcheck=False)
        getattr(world, attack)()

    made.act = act
    return made


def attacking_items(world, attack, rows):
    """Return a list with an object whose __float__ changes the other arrays, and the list."""
    items = [[0.0] * 3 for _ in range(rows)]

    def act():
        getattr(world, attack)()
        items.clear()
        return 1.0

    items[0][0] = acting(hook("__float__", "__index__"), act)
    return items


def attackers():
    found = {}
    for attack in ATTACKS:
        found |= {
            f"__array__ that does {attack}": lambda w, a=attack: attacker(
                w, a, ["__array__"], lambda: good_array(w)
            ),
            f"__array__ (5, 2) that does {attack}": lambda w, a=attack: attacker(
                w, a, ["__array__"], lambda: good_array(w, (5, 2))
            ),
            f"__array__ of a part, that does {attack}": lambda w, a=attack: attacker(
                w, a, ["__array__"], lambda: w.bases["x"][:5]
            ),
            f"__dlpack_device__ that does {attack}": lambda w, a=attack: attacker(
                w, a, ["__dlpack_device__"], lambda: (1, 0)
            ),
            f"__index__ and __float__ that do {attack}": lambda w, a=attack: attacker(
                w, a, ["__index__", "__float__", "__bool__", "__int__"], lambda: 1
            ),
            f"items that do {attack}": lambda w, a=attack: attacking_items(w, a, 5),
            f"a call that does {attack}": lambda w, a=attack: attacker(
                w, a, ["__call__"], lambda: 0.1
            ),
            f"__fspath__ that does {attack}": lambda w, a=attack: attacker(
                w, a, ["__fspath__"], lambda: w.path
            ),
        }
    for attack in ("empty", "grow"):
        for order in "CF":
            found[f"a subclass ({order}) whose hooks do {attack}"] = lambda w, a=attack, o=order: (
                attacking_part(w, a, o)
            )
    return found


# ---- Objects that lie ----------------------------------------------------------------------------


def dlpack(device, capsule=None):
    return acting(
        hook("__dlpack__", __dlpack_device__=lambda _: device),
        capsule if callable(capsule) else lambda: capsule,
    )


class Getter:
    """A sequence that is longer or shorter than it says."""

    def __init__(self, said, items):
        self.said, self.items = said, items

    def __len__(self):
        return self.said

    def __getitem__(self, i):
        return self.items[i]

    def __iter__(self):
        return iter(self.items)


class LyingArray(np.ndarray):
    shape = (2**40, 3)
    ndim = 2
    size = 2**40
    strides = (1, 1)
    nbytes = 2**40
    itemsize = 0
    flags = None
    T = None

    def __len__(self):
        return 2**40


class LyingInt(int):
    def __lt__(self, _):
        return False

    __gt__ = __lt__

    def __le__(self, _):
        return True

    __ge__ = __le__

    def __index__(self):
        return 2**40

    __int__ = __index__


class LyingFloat(float):
    def __le__(self, _):
        return True

    __lt__ = __ge__ = __gt__ = __le__

    def __float__(self):
        return float("nan")


class LyingStr(str):
    __slots__ = ()

    def __eq__(self, _):
        return True

    def __hash__(self):
        return hash("relu")

    def __len__(self):
        return 2**40

    def encode(self, *_):
        return 7


class LyingBytes(bytes):
    def __len__(self):
        return 2**40

    def __getitem__(self, _):
        return self


class LyingTuple(tuple):
    __slots__ = ()

    def __len__(self):
        return 2

    def __iter__(self):
        return iter(range(7))


class LyingList(list):
    def __len__(self):
        return 2**20

    def __iter__(self):
        return itertools.repeat(1.0, 3)


class LyingMapping(collections.abc.Mapping):
    def __init__(self, keys):
        self._keys = keys

    def __len__(self):
        return 1

    def __iter__(self):
        return iter(self._keys)

    def __getitem__(self, _):
        return 1.0

    def keys(self):
        return self._keys


def everything(error):
    """Return an object whose every attribute and operation fails."""
    names = (
        "__getattr__ __len__ __iter__ __getitem__ __float__ __int__ __index__ __bool__ __eq__ "
        "__call__ __array__ __dlpack_device__ __fspath__ __contains__ __enter__ __str__"
    )

    def method(self, *_):
        raise error("as it likes")

    return type("Failing", (), dict.fromkeys(names.split(), method))()


def itself():
    made = []
    made.append(made)
    return made


def deep(levels):
    made = [1.0]
    for _ in range(levels):
        made = [made]
    return made


def closed_view():
    view = memoryview(bytearray(40))
    view.release()
    return view


def class_of(cls):
    """Return an object that says it is of another class."""
    return hook(__class__=property(lambda _: cls))()


def half_built(cls):
    return lambda _: cls.__new__(cls)


def interface(**changes):
    holder = np.zeros(6, np.float32)
    found = {**holder.__array_interface__, **changes}
    return hook(__array_interface__=found, holder=holder)()


def records():
    return np.zeros(5, [("a", np.float32), ("b", object)])


def masked(shape=(5, 3)):
    made = np.ma.masked_array(np.ones(shape, np.float32), mask=False)
    made[0] = np.ma.masked
    return made


def recursion(self, *_):
    return self.__array__()


LIARS = {
    # DLPack
    "DLPack on device ()": lambda _: dlpack(()),
    "DLPack on device []": lambda _: dlpack([]),
    "DLPack on device None": lambda _: dlpack(None),
    "DLPack on device ''": lambda _: dlpack(""),
    "DLPack on device {}": lambda _: dlpack({}),
    "DLPack on device 1": lambda _: dlpack(1),
    "DLPack on device [None]": lambda _: dlpack([None]),
    "DLPack on device -1": lambda _: dlpack((-1, 0)),
    "DLPack on device 10**30": lambda _: dlpack((10**30, 0)),
    "DLPack on device nan": lambda _: dlpack((float("nan"), 0)),
    "DLPack on a device of a false length": lambda _: dlpack(Getter(2, [])),
    "DLPack on a device that is a tuple of a false length": lambda _: dlpack(LyingTuple()),
    "DLPack without a capsule": lambda _: dlpack((1, 0)),
    "DLPack with a capsule of text": lambda _: dlpack((1, 0), "dltensor"),
    "DLPack with another capsule": lambda w: dlpack((1, 0), w.net.handle.capsule),
    "DLPack that fails": lambda _: dlpack((1, 0), fails(KeyError)),
    "DLPack as a number": lambda _: hook(__dlpack_device__=3)(),
    "DLPack that is used up": lambda _: dlpack((1, 0), [np.ones(3).__dlpack__()].pop),
    # __array__
    "__array__ None": lambda _: acting(hook("__array__"), lambda: None),
    "__array__ text": lambda _: acting(hook("__array__"), lambda: "1"),
    "__array__ list": lambda _: acting(hook("__array__"), lambda: [1.0]),
    "__array__ itself": lambda _: hook(__array__=lambda self, *_, **__: self)(),
    "__array__ without end": lambda _: hook(__array__=recursion)(),
    "__array__ of objects": lambda _: acting(hook("__array__"), lambda: np.array([None, {}])),
    "__array__ a lying subclass": lambda _: acting(
        hook("__array__"), lambda: np.zeros((5, 3), np.float32).view(LyingArray)
    ),
    "__array__ that fails": lambda _: acting(hook("__array__"), fails(ZeroDivisionError)),
    "__array__ with a MemoryError": lambda _: acting(hook("__array__"), fails(MemoryError)),
    "__array__ of the wrong signature": lambda _: hook(__array__=lambda: None)(),
    "__array__ as a number": lambda _: hook(__array__=3)(),
    # __array_interface__; a false address is beyond what anybody can check
    "interface {}": lambda _: hook(__array_interface__={})(),
    "interface None": lambda _: hook(__array_interface__=None)(),
    "interface with a negative shape": lambda _: interface(shape=(-6,)),
    "interface with a shape of text": lambda _: interface(shape=("6",)),
    "interface with an absurd shape": lambda _: interface(shape=(2**62, 2**62)),
    "interface with 70 dimensions": lambda _: interface(shape=(1,) * 70),
    "interface of no type": lambda _: interface(typestr="<q9"),
    "interface without data": lambda _: interface(data=None),
    "interface with data of text": lambda _: interface(data="abc"),
    "interface with too short a buffer": lambda _: interface(data=b"abc", shape=(99,)),
    "interface with bad strides": lambda _: interface(strides=(1, 2, 3)),
    "array struct of text": lambda _: hook(__array_struct__="abc")(),
    # Buffers
    "bytes": lambda _: b"0123456789abcdef",
    "bytearray": lambda _: bytearray(24),
    "a released memoryview": lambda _: closed_view(),
    "a memoryview of texts": lambda _: memoryview(b"abcdef").cast("c"),
    "array.array": lambda _: array.array("f", [1, 2, 3]),
    "array.array of texts": lambda _: array.array("u", "abc"),
    "a ctypes array": lambda _: (ctypes.c_float * 6)(),
    "a ctypes pointer": lambda _: ctypes.POINTER(ctypes.c_float)(),
    "a null pointer": lambda _: ctypes.c_void_p(),
    # Arrays
    "a 0-d array": lambda _: np.array(1.0, np.float32),
    "a NumPy number": lambda _: np.float32(1),
    "an empty array": lambda _: np.empty(0, np.float32),
    "no rows": lambda _: np.empty((0, 3), np.float32),
    "no columns": lambda _: np.empty((5, 0), np.float32),
    "three dimensions": lambda _: np.zeros((5, 3, 2), np.float32),
    "32 dimensions": lambda _: np.zeros((1,) * 32, np.float32),
    "rows without end": lambda _: np.broadcast_to(np.float32(1), (2**50, 3)),
    "labels without end": lambda _: np.broadcast_to(np.int64(1), (2**40,)),
    "columns without end": lambda _: np.broadcast_to(np.float32(1), (5, 2**50)),
    "windows": lambda _: np.lib.stride_tricks.sliding_window_view(np.zeros(9, np.float32), 3),
    "complex numbers": lambda _: np.zeros((5, 3), complex),
    "objects": lambda _: np.array([[None, object(), {}]] * 5, object),
    "texts": lambda _: np.array(["1", "2"]),
    "bytes in an array": lambda _: np.array([b"1", b"2"]),
    "records": lambda _: records(),
    "nothing in records": lambda _: np.zeros(5, np.dtype([])),
    "void": lambda _: np.zeros(5, "V4"),
    "dates": lambda _: np.zeros(5, "datetime64[s]"),
    "time spans": lambda _: np.zeros(5, "timedelta64[s]"),
    "longdouble": lambda _: np.full((5, 3), np.longdouble(2) ** 1000),
    "foreign byte order": lambda _: np.zeros((5, 3), np.dtype(np.float32).newbyteorder()),
    "float16": lambda _: np.ones((5, 3), np.float16),
    "NaN": lambda _: np.full((5, 3), np.nan, np.float32),
    "labels below 0": lambda _: np.full(5, -(2**63)),
    "labels above all": lambda _: np.full(5, 2**64 - 1, np.uint64),
    "unaligned": lambda _: np.frombuffer(bytearray(61), np.float32, 15, 1).reshape(5, 3),
    "read-only": lambda _: np.frombuffer(bytes(60), np.float32).reshape(5, 3),
    # Subclasses
    "a lying subclass": lambda _: np.zeros((5, 3), np.float32).view(LyingArray),
    "a lying subclass of outputs": lambda _: np.zeros((5, 2), np.float32).view(LyingArray),
    "a matrix": lambda _: np.zeros((5, 3), np.float32).view(np.matrix),
    "a masked array": lambda _: masked(),
    "masked outputs": lambda _: masked((5, 2)),
    "masked labels": lambda _: np.ma.masked_array([0, 1, 1, 0, 1], mask=[1, 0, 0, 0, 0]),
    "the masked number": lambda _: np.ma.masked,
    "a list of masked arrays": lambda _: [masked((3,))] * 5,
    # Sequences and mappings
    "[]": lambda _: [],
    "[[]]": lambda _: [[]],
    "a ragged list": lambda _: [[1.0], [1.0, 2.0]],
    "a list in itself": lambda _: itself(),
    "a deep list": lambda _: deep(100),
    "a very deep list": lambda _: deep(5000),
    "a list of Nones": lambda _: [None] * 5,
    "a list of lists and numbers": lambda _: [1.0, [2.0]],
    "a list that lies": lambda _: LyingList([1.0]),
    "a tuple that lies": lambda _: LyingTuple((1.0, 2.0)),
    "a sequence longer than it says": lambda _: Getter(2, list(range(9))),
    "a sequence shorter than it says": lambda _: Getter(2**40, [1.0]),
    "a sequence of a negative length": lambda _: Getter(-1, [1.0]),
    "a sequence with a length of text": lambda _: Getter("2", [1.0]),
    "a generator": lambda _: (float(i) for i in range(5)),
    "a generator that fails": lambda _: (1 // i for i in (1, 0)),
    "a range": lambda _: range(3),
    "a set": lambda _: {1.0, 2.0},
    "a dict": lambda _: {0: 1.0},
    "a dict of texts": lambda _: {"0": "1"},
    "a mapping with other keys": lambda _: LyingMapping([10**30, None, -1, "a"]),
    "a mapping with keys that cannot be hashed": lambda _: LyingMapping([[], {}]),
    "a mapping without keys": lambda _: LyingMapping(None),
    # Values
    "None": lambda _: None,
    "...": lambda _: ...,
    "NotImplemented": lambda _: NotImplemented,
    "object()": lambda _: object(),
    "a type": lambda _: int,
    "a module": lambda _: types,
    "a function": lambda _: len,
    "an exception": lambda _: ValueError("text"),
    "True": lambda _: True,
    "0": lambda _: 0,
    "-1": lambda _: -1,
    "2**31": lambda _: 2**31,
    "2**63": lambda _: 2**63,
    "2**64": lambda _: 2**64,
    "10**400": lambda _: 10**400,
    "nan": lambda _: float("nan"),
    "inf": lambda _: float("inf"),
    "1e308": lambda _: 1e308,
    "1j": lambda _: 1j,
    "a fraction": lambda _: fractions.Fraction(1, 3),
    "a decimal": lambda _: decimal.Decimal("sNaN"),
    "an int that lies": lambda _: LyingInt(-5),
    "a float that lies": lambda _: LyingFloat(-5.0),
    "a text that lies": lambda _: LyingStr("relu"),
    "bytes that lie": lambda w: LyingBytes(w.net._network.to_bytes()),
    "a text": lambda _: "relu",
    "a text with NUL": lambda _: "a\0b",
    "a text without an encoding": lambda _: "\ud800",
    "a long text": lambda _: "a" * 10**6,
    "a path": lambda w: pathlib.Path(w.folder, "absent", "file"),
    "a folder": lambda w: w.folder,
    "a path of bytes": lambda _: b"/absent/\xff",
    "a path that is a number": lambda _: acting(hook("__fspath__"), lambda: 3),
    "what fails at everything": lambda _: everything(RuntimeError),
    "what has no attributes": lambda _: everything(AttributeError),
    "what says it is an array": lambda _: class_of(np.ndarray),
    "what says it is a number": lambda _: class_of(float),
    "what says it is an int": lambda _: class_of(int),
    "what says it is a text": lambda _: class_of(str),
    "what says it is a network": lambda _: class_of(cnn.Sequential),
    "what says it is a _core.Network": lambda _: class_of(_core.Network),
    "what says it is a _core.Trainer": lambda _: class_of(_core.Trainer),
    "what says it is an optimizer": lambda _: class_of(cnn.Optimizer),
    "what says it is a loss": lambda _: class_of(cnn.Loss),
    "a call that gives text": lambda _: lambda *_, **__: "text",
    "a call that gives NaN": lambda _: lambda *_, **__: float("nan"),
    "a call that fails": lambda _: lambda *_, **__: fails(OSError)(),
    "a call that collects garbage": lambda _: lambda *_, **__: gc.collect() * 0.0,
    # Objects of cnn, half made
    "half a Sequential": half_built(cnn.Sequential),
    "half a Dense": half_built(cnn.Dense),
    "half an Adam": half_built(cnn.Adam),
    "half a CrossEntropy": half_built(cnn.CrossEntropy),
    "half a StepDecay": half_built(cnn.StepDecay),
    "half an EarlyStopping": half_built(cnn.EarlyStopping),
    "half a History": half_built(cnn.History),
    "half a result": half_built(_core.Result),
    "an optimizer of another network": lambda w: w.made("other", other_optimizer),
    "a layer of another network": lambda w: cnn.mlp([3, 2], "relu", "relu").layers[0],
    "a network": lambda w: w.net,
}


def other_optimizer():
    optimizer = cnn.Adam()
    net = cnn.mlp([3, 2], "relu", "softmax", rng=0)
    net.train_step(np.ones((2, 3)), [0, 1], optimizer=optimizer)
    return optimizer


OBJECTS = LIARS | attackers()

"""Read the pickle in PyTorch's files as data: interpret its opcodes without importing or calling anything.

`torch.save` describes a ``state_dict`` with about thirty of pickle's opcodes (protocol 2) and a few names. All others
are refused. The tensors' numbers are outside the pickle, in storages that it refers to by key
(``torch/serialization.py``: ``persistent_id``).
"""

from __future__ import annotations

import io
import pickletools
from typing import TYPE_CHECKING, Any, NamedTuple

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PICKLE_BYTES = 4 << 20  # GoogLeNet's has about 50 KiB
MAX_AXES = 32  # NumPy's own limit
MAX_PAIRS = 100_000  # in all calls together; a list can be given to many calls in a few bytes each
STORAGES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "u1",
}  # fmt: skip


class Name(NamedTuple):
    """A class or function named in the pickle. It is compared, never imported."""

    module: str
    name: str


ORDERED_DICT = Name("collections", "OrderedDict")
# The second of each is of 2017. torchvision still downloads files of that year, some written by Python 2.
TENSORS = {Name("torch._utils", "_rebuild_tensor_v2"), Name("torch._utils", "_rebuild_tensor")}
PARAMETERS = {Name("torch._utils", "_rebuild_parameter"), Name("torch.nn.parameter", "Parameter")}
KNOWN = {ORDERED_DICT, *TENSORS, *PARAMETERS, *(Name("torch", storage) for storage in STORAGES)}


class Storage(NamedTuple):
    """The location of a tensor's numbers: key in the file, NumPy dtype, number of elements."""

    key: str
    dtype: str
    size: int


class Tensor(NamedTuple):
    """A view of a storage. Offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Mark:
    """Stack entry of the opcode MARK."""


def read_pickle(content: memoryview, where: str) -> tuple[Any, int]:
    """Interpret the pickle at the start of ``content``.

    Parameters
    ----------
    content : memoryview
        Only the first `MAX_PICKLE_BYTES` are read.
    where : str
        Name of the file, for messages.

    Returns
    -------
    value
        Nested dict, list, tuple, str, int, float, bool, None, `Tensor` and `Storage`.
    length : int
        Length of the pickle in bytes.

    Raises
    ------
    DataError
        If the pickle is damaged, or uses opcodes or names that a ``state_dict`` does not need.
    """
    interpreter = _Interpreter(where)
    file = io.BytesIO(content[:MAX_PICKLE_BYTES])
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == "STOP":
                break
            interpreter.step(opcode.name, argument)
        return interpreter.result(), file.tell()
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, StopIteration) as error:
        raise DataError(f"{where}: its pickle is damaged ({type(error).__name__}: {error!s:.100}).") from None


class _Interpreter:
    """Pickle's stack and memo."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._num_pairs = 0

    def result(self) -> Any:
        value = self.pop()
        if self._stack:
            raise ValueError("more than one object")
        return value

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in PUSH:
            self._stack.append(PUSH[opcode](argument))
        elif opcode in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._stack[-1]
        elif opcode in ("BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif opcode == "GLOBAL":
            self._stack.append(self._name(*argument.split(" ", 1)))
        elif opcode in COMBINE:
            COMBINE[opcode](self)
        elif opcode != "PROTO":
            raise DataError(
                f"{self._where}: its pickle has the opcode {opcode}, which a state_dict never contains. It may run "
                "code, so it was not loaded. Save only the network's state_dict()."
            )

    def _name(self, module: str, name: str) -> Name:
        reference = Name(module, name)
        if reference not in KNOWN:
            raise DataError(
                f"{self._where}: its pickle needs {f'{module}.{name}'!r:.100}, but only tensors are loaded. Save only "
                "the network's state_dict()."
            )
        return reference

    def pop(self) -> Any:
        if not self._stack or isinstance(self._stack[-1], Mark):
            raise IndexError("nothing on the stack")
        return self._stack.pop()

    def pop_to_mark(self) -> list[Any]:
        items = []
        while not isinstance(self._stack[-1], Mark):
            items.append(self._stack.pop())
        self._stack.pop()
        return items[::-1]

    def tuple_of(self, size: int) -> None:
        self._stack.append(tuple([self.pop() for _ in range(size)][::-1]))

    def tuple_to_mark(self) -> None:
        self._stack.append(tuple(self.pop_to_mark()))

    def set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or not all(isinstance(key, (str, int)) for key in items[::2]):
            raise TypeError("the target of items is not a dict with str or int keys")
        target.update(zip(items[::2], items[1::2], strict=True))

    def append(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise TypeError("the target of items is not a list")
        self._stack[-1].extend(items)

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Name):  # the hash of nested tuples can take forever, or all of C's stack
            raise TypeError("a call of something other than a name")
        if function == ORDERED_DICT:
            self._stack.append({})
            self.set_items([item for pair in self._pairs(*arguments) for item in pair])
        elif function in TENSORS:
            storage, offset, shape, strides = arguments[:4]
            self._stack.append(_tensor(storage, offset, shape, strides))
        elif function in PARAMETERS and isinstance(arguments[0], Tensor):
            self._stack.append(arguments[0])
        else:
            raise TypeError("a call of something other than a tensor")

    def persistent(self) -> None:
        kind, dtype, key, _, size = self.pop()[:5]
        if kind != "storage" or not isinstance(key, str) or not _is_count(size):
            raise TypeError("a reference to something other than a storage")
        self._stack.append(Storage(key, STORAGES[dtype.name], size))

    def _pairs(self, items: Any = ()) -> list[list[Any]]:
        """Check the argument of an OrderedDict: Python 2 pickles a list of [key, value], Python 3 none."""
        self._num_pairs += len(items)
        if self._num_pairs > MAX_PAIRS:
            raise ValueError(f"more than {MAX_PAIRS:,} pairs in calls of OrderedDict")
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in items):
            raise TypeError("an OrderedDict of something other than pairs")
        return list(items)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    if len(shape) > MAX_AXES or len(strides) > MAX_AXES:
        raise ValueError(f"a tensor of {len(shape)} axes; the limit is {MAX_AXES}")
    sizes = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or len(shape) != len(strides) or not all(map(_is_count, sizes)):
        raise TypeError("a tensor without storage, shape or strides")
    return Tensor(storage, offset, tuple(shape), tuple(strides))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


PUSH: dict[str, Callable[[Any], Any]] = {
    "MARK": lambda _: Mark(), "NONE": lambda _: None, "NEWTRUE": lambda _: True, "NEWFALSE": lambda _: False,
    "EMPTY_DICT": lambda _: {}, "EMPTY_LIST": lambda _: [], "EMPTY_TUPLE": lambda _: (),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), lambda value: value),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINSTRING"), lambda value: value),
}  # fmt: skip
COMBINE: dict[str, Callable[[_Interpreter], object]] = {
    "TUPLE": _Interpreter.tuple_to_mark,
    "TUPLE1": lambda interpreter: interpreter.tuple_of(1),
    "TUPLE2": lambda interpreter: interpreter.tuple_of(2),
    "TUPLE3": lambda interpreter: interpreter.tuple_of(3),
    "SETITEM": lambda interpreter: interpreter.set_items([interpreter.pop(), interpreter.pop()][::-1]),
    "SETITEMS": lambda interpreter: interpreter.set_items(interpreter.pop_to_mark()),
    "APPEND": lambda interpreter: interpreter.append([interpreter.pop()]),
    "APPENDS": lambda interpreter: interpreter.append(interpreter.pop_to_mark()),
    "BUILD": _Interpreter.pop,  # drops attributes, such as an OrderedDict's _metadata
    "REDUCE": _Interpreter.reduce,
    "NEWOBJ": _Interpreter.reduce,  # a Parameter of 2017
    "BINPERSID": _Interpreter.persistent,
}

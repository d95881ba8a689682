"""Parse the attributes of a symbol's node.

A symbol stores attributes as text, and only the attributes that the network's author set. An absent attribute, or one
stored as ``None``, has MXNet's default, which the translator passes. A node is refused if its translator does not read
all of its attributes.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from export.errors import MalformedModelError, UnsupportedAttributeError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Gluon and MXNet's executors attach these for training, memory and devices. None of them changes the output.
HARMLESS = frozenset(
    {
        *("__lr_mult__", "__wd_mult__", "__init__", "__shape__", "__dtype__", "__storage_type__", "__layout__"),
        *("__ctx_group__", "__force_mirroring__", "__mirror_stage__", "__profiler_scope__"),
    }
)
# Before MXNet 0.9 without underscores, and with the name of an input in front: ``weight_lr_mult``
HIDDEN_SUFFIXES = ("lr_mult", "wd_mult", "ctx_group", "force_mirroring", "mirror_stage")
MIN_INDEX = -(2**31)  # MXNet stores indices as 32-bit integers
MAX_TEXT = 1000  # characters
INTEGER = re.compile(r"[+-]?[0-9]{1,10}L?")  # Python 2 wrote 3L
TUPLE = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]|([^()\[\]]+)")
PAIR = re.compile(r"[(\[]([0-9]{1,10})L?,([0-9]{1,10})L?[)\]]")
PAIRS = re.compile(rf"[(\[](?:{PAIR.pattern},?)+[)\]]")
REAL = re.compile(r"[+-]?(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?")
BOOLEANS = {"True": True, "true": True, "1": True, "False": False, "false": False, "0": False}


def _integer(text: str) -> int | None:
    return int(text.rstrip("L")) if INTEGER.fullmatch(text) else None


class Attrs:
    """The attributes of one node.

    Parameters
    ----------
    where : str
        Operator and name of the node, for messages: ``"Convolution 'conv1'"``.
    texts : mapping of str to str
        Name -> text, as the symbol stores them.

    Notes
    -----
    Every method that parses raises `MalformedModelError` if the text has another type, or is absent and the method has
    no default.
    """

    def __init__(self, where: str, texts: Mapping[str, str]) -> None:
        self.where = where
        self._texts = texts
        self._unread = {
            name: text for name, text in texts.items() if name not in HARMLESS and not name.endswith(HIDDEN_SUFFIXES)
        }

    def _take(self, name: str) -> str | None:
        self._unread.pop(name, None)
        text = self._texts.get(name)
        if text is None or text == "None":
            return None
        if len(text) > MAX_TEXT:
            raise self._malformed(name, text, f"at most {MAX_TEXT} characters")
        return text.strip()

    def _malformed(self, name: str, text: str, expected: str) -> MalformedModelError:
        return MalformedModelError(f"{self.where}: attribute {name}={text!r:.60} is not {expected}.")

    def _missing(self, name: str) -> MalformedModelError:
        return MalformedModelError(f"{self.where}: attribute {name} is missing, and MXNet has no default for it.")

    def pairs(self, name: str) -> tuple[tuple[int, int], ...]:
        """Parse pairs of integers of at least 0, such as ``"((0, 0), (1, 2))"``."""
        text = self._take(name)
        if text is None:
            raise self._missing(name)
        compact = text.replace(" ", "")
        if not PAIRS.fullmatch(compact):
            raise self._malformed(name, text, "a tuple of pairs of integers of at least 0")
        return tuple((int(first), int(second)) for first, second in PAIR.findall(compact))

    def is_none(self, name: str) -> bool:
        """Return whether the attribute is stored as ``None``, which is not always the same as its absence."""
        return self._texts.get(name) == "None"

    def integer(self, name: str, default: int | None = None, minimum: int = 0) -> int:
        """Parse an integer such as ``"64"``."""
        number = self.optional_integer(name, minimum)
        if number is not None:
            return number
        if default is None:
            raise self._missing(name)
        return default

    def optional_integer(self, name: str, minimum: int = 0) -> int | None:
        """Parse an integer; None if the attribute is absent or stored as ``None``."""
        text = self._take(name)
        if text is None:
            return None
        number = _integer(text)
        if number is None or number < minimum:
            raise self._malformed(name, text, f"an integer of at least {minimum}")
        return number

    def integers(
        self, name: str, length: int | None = None, default: tuple[int, ...] | None = None, minimum: int = 0
    ) -> tuple[int, ...]:
        """Parse integers such as ``"(3, 3)"`` or ``"[3,3]"``; ``"()"`` means the default."""
        values = self.optional_integers(name, minimum)
        if values is None or not values:
            if default is None:
                raise self._missing(name)
            return default
        numbers = tuple(value for value in values if value is not None)
        if len(numbers) != len(values):
            raise self._malformed(name, self._texts[name], f"a tuple of integers of at least {minimum}")
        if length is not None and len(numbers) != length:
            raise self.unsupported(name, self._texts[name], f"{length} numbers")
        return numbers

    def optional_integers(self, name: str, minimum: int = MIN_INDEX) -> tuple[int | None, ...] | None:
        """Parse integers with gaps, such as ``"(0, None, -1)"``; None if the attribute is absent."""
        text = self._take(name)
        if text is None:
            return None
        if text in ("()", "[]"):
            return ()
        match = TUPLE.fullmatch(text)
        items = next(group for group in match.groups() if group is not None) if match else ""
        texts = [item.strip() for item in items.removesuffix(",").split(",")]
        values = tuple(None if item == "None" else _integer(item) for item in texts)
        if any(
            (value is None and item != "None") or (value is not None and value < minimum)
            for value, item in zip(values, texts, strict=True)
        ):
            raise self._malformed(name, text, f"a tuple of integers of at least {minimum}")
        return values

    def real(self, name: str, default: float | None = None) -> float:
        """Parse a finite real number such as ``"1e-05"``."""
        text = self._take(name)
        if text is None:
            if default is None:
                raise self._missing(name)
            return default
        if not REAL.fullmatch(text) or not math.isfinite(float(text)):
            raise self._malformed(name, text, "a finite number")
        return float(text)

    def boolean(self, name: str, *, default: bool) -> bool:
        """Parse ``"True"``, ``"true"``, ``"1"`` or their opposites."""
        text = self._take(name)
        if text is None:
            return default
        if text not in BOOLEANS:
            raise self._malformed(name, text, "True or False")
        return BOOLEANS[text]

    def choice(self, name: str, supported: tuple[str, ...], default: str | None = None) -> str:
        """Return the text if it is in ``supported``; raise `UnsupportedAttributeError` for any other."""
        text = self._take(name)
        if text is None:
            if default is None:
                raise self._missing(name)
            return default
        if text not in supported:
            raise self.unsupported(name, text, " or ".join(supported))
        return text

    def text(self, name: str) -> str:
        """Return the text."""
        text = self._take(name)
        if text is None:
            raise self._missing(name)
        return text

    def ignore(self, *names: str) -> None:
        """Accept attributes that do not change the output in inference."""
        for name in names:
            self._unread.pop(name, None)

    def unsupported(self, name: str, value: object, expected: str) -> UnsupportedAttributeError:
        """Make the error for a value that the translator does not support."""
        return UnsupportedAttributeError(
            f"{self.where}: attribute {name}={value!s:.60} is not supported (expected {expected})."
        )

    def finish(self) -> None:
        """Raise `UnsupportedAttributeError` if an attribute was not read, as it may change the output."""
        if self._unread:
            unread = ", ".join(f"{name}={text!s:.60}" for name, text in sorted(self._unread.items()))
            raise UnsupportedAttributeError(
                f"{self.where}: the translator does not know attribute {unread:.200}. "
                "It may change the output, so the network is refused."
            )

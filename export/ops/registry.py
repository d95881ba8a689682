"""The table of translators by MXNet operator, which the other modules of `export.ops` fill on import."""

from __future__ import annotations

from collections.abc import Callable

from export.graph.graph import Operand
from export.graph.node import Node

Translator = Callable[[Node], Operand | tuple[Operand, ...]]

TRANSLATORS: dict[str, Translator] = {}


def translates(*ops: str) -> Callable[[Translator], Translator]:
    """Register a translator, a function from a node to its outputs, for operators named as in symbol JSON."""

    def register(translator: Translator) -> Translator:
        for op in ops:
            if op in TRANSLATORS:
                raise ValueError(f"operator {op!r} has two translators")
            TRANSLATORS[op] = translator
        return translator

    return register

"""Translators by MXNet operator. One small file of `export.ops` per family fills the table on import."""

from __future__ import annotations

from collections.abc import Callable

from export.graph.graph import Operand
from export.graph.node import Node

Translator = Callable[[Node], Operand | tuple[Operand, ...]]

TRANSLATORS: dict[str, Translator] = {}


def translates(*ops: str) -> Callable[[Translator], Translator]:
    """Register a translator: from a node to its output, or outputs, for the operators named as in symbol JSON."""

    def register(translator: Translator) -> Translator:
        for op in ops:
            if op in TRANSLATORS:
                raise ValueError(f"operator {op!r} has two translators")
            TRANSLATORS[op] = translator
        return translator

    return register

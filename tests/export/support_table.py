"""The table of operators in export/OPERATORS.md: `python -m tests.export.support_table` writes it anew.

What a translator reads is seen while it translates the golden cases; what it refuses are the cases of refusal.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

import export
from export.graph.attributes import Attrs
from export.ops.registry import TRANSLATORS
from export.translate import LOSSES
from tests.export.op_cases import CASES, ROW
from tests.export.op_refusals import REFUSED
from tests.export.ops_runner import translate_net

DOCUMENT = Path(export.__file__).with_name("OPERATORS.md")
HEADS = ("operator", "attributes", "without effect in inference", "refused")
INTRODUCTION = """# MXNet operators that can be exported

Made by `python -m tests.export.support_table`; a test compares it with the translators. An attribute that is not named
here refuses its node, as do all other operators. Parameters are constants, float32 or float16 as the images are, those
of batch norm float32; images are (N, C, H, W), and no operator may mix images. What a column *refused* shows are
examples, with the translator's own reason.


"""


def read_attributes() -> dict[str, tuple[set[str], set[str]]]:
    """Operator -> the attributes that its translator reads, and those that it knows to have no effect."""
    found: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    take, ignore = Attrs._take, Attrs.ignore

    def watched_take(self: Attrs, name: str) -> str | None:
        found[self.where.split(" ")[0]][0].add(name)
        return take(self, name)

    def watched_ignore(self: Attrs, *names: str) -> None:
        found[self.where.split(" ")[0]][1].update(names)
        ignore(self, *names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attrs, "_take", watched_take)
        patch.setattr(Attrs, "ignore", watched_ignore)
        for case in CASES:
            translate_net(case.net(), ROW)
    return found


def table() -> str:
    found = read_attributes()
    refused: dict[str, list[str]] = defaultdict(list)
    for op, attrs, message in REFUSED:
        if "mystery" not in attrs:
            shown = ", ".join(f"{name}={value}" for name, value in attrs.items())
            reason = message.partition("(expected ")[2].rstrip(")")
            refused[op].append(f"`{shown}`" + (f" (expected {reason})" if reason else ""))
    lines = [f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
    for op in sorted(TRANSLATORS, key=str.lower):
        read, harmless = found[op]
        name = f"`{op}`" + (" (without its label)" if op in LOSSES else "")
        cells = (name, _listed(read), _listed(harmless - read), "; ".join(refused[op]))
        lines.append(f"| {' | '.join(cells)} |")
    return INTRODUCTION + "\n".join(lines) + "\n"


def _listed(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


if __name__ == "__main__":
    DOCUMENT.write_text(table())

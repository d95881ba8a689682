"""_npi_einsum: Einstein summation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from export.graph.shape import product
from export.ops.matmul import refuse_batch
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node
    from export.graph.shape import Size

SUBSCRIPTS = re.compile(r"[A-Za-z]+(,[A-Za-z]+)*(->[A-Za-z]*)?")
MAX_SUBSCRIPTS = 200


@translates("_npi_einsum")
def einsum(node: Node) -> Tensor:
    """Compute the Einstein summation ``subscripts``. Ellipses are refused."""
    node.attrs.ignore("optimize")  # the order of the products
    count = node.attrs.integer("num_args", minimum=1)
    node.expect_inputs(count)
    tensors = tuple(node.tensor(index) for index in range(count))
    node.require_one_type(*tensors)
    text = node.attrs.text("subscripts").replace(" ", "")
    if len(text) > MAX_SUBSCRIPTS or not SUBSCRIPTS.fullmatch(text):
        raise node.attrs.unsupported("subscripts", text, "letters, as in 'bij,bjk->bik'")
    terms, arrow, result = text.partition("->")
    if not arrow:
        result = "".join(sorted(letter for letter in set(terms) - {","} if terms.count(letter) == 1))
    sizes = _letter_sizes(node, terms.split(","), tensors)
    if len(set(result)) < len(result) or not set(result) <= set(sizes):
        raise node.malformed(f"subscripts {text} name an output axis twice, or one that no input has")
    for letter in set(sizes) - set(result):
        refuse_batch(node, sizes[letter])
    shape = tuple(sizes[letter] for letter in result)
    product(shape)
    return node.emit_shaped("Einsum", tensors, shape, {"equation": f"{terms}->{result}"})


def _letter_sizes(node: Node, terms: list[str], tensors: tuple[Tensor, ...]) -> dict[str, Size]:
    sizes: dict[str, Size] = {}
    if [len(term) for term in terms] != [len(tensor.shape) for tensor in tensors]:
        shapes = ", ".join(str(tensor.shape) for tensor in tensors)
        raise node.malformed(f"subscripts {','.join(terms)} do not fit its inputs {shapes:.200}")
    for term, tensor in zip(terms, tensors, strict=True):
        if len(set(term)) < len(term):
            raise node.attrs.unsupported("subscripts", term, "different letters for the axes of an input")
        for letter, size in zip(term, tensor.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise node.malformed(f"axis {letter} has the sizes {sizes[letter]} and {size}")
    return sizes

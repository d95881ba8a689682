"""Edits of an ONNX graph that do not change its results: renaming, and removing what is not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.libraries import onnx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def nested_graphs(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.GraphProto]:
    """Yield the graphs inside nodes such as If and Loop, at any depth."""
    for node in nodes:
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield graph
                yield from nested_graphs(graph.node)


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield all tensors of a model: initializers, and those in attributes."""
    graphs = [model.graph, *nested_graphs(model.graph.node)]
    nodes = [node for part in (*graphs, *model.functions) for node in part.node]
    for function in model.functions:
        graphs += nested_graphs(function.node)
        nodes += [node for graph in nested_graphs(function.node) for node in graph.node]
    for graph in graphs:
        yield from graph.initializer
    sparse = [tensor for graph in graphs for tensor in graph.sparse_initializer]
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield attribute.t
        yield from attribute.tensors
        sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
    for tensor in sparse:
        yield tensor.values
        yield tensor.indices


def texts(model: onnx.ModelProto) -> Iterator[str | bytes]:
    """Yield the metadata of a model and the names in its graphs; bytes where they are not UTF-8."""
    for prop in model.metadata_props:
        yield from (prop.key, prop.value)
    for graph in (model.graph, *nested_graphs(model.graph.node)):
        yield from _names(graph)


def choose_output(graph: onnx.GraphProto, name: str) -> None:
    """Make a tensor the only output, and remove nodes and constants that it does not need."""
    if [info.name for info in graph.output] == [name]:
        return
    declared = [info for info in graph.output if info.name == name]
    del graph.output[:]
    graph.output.extend(declared or [onnx.ValueInfoProto(name=name)])
    needed = {name}
    for index in reversed(range(len(graph.node))):  # nodes are in topological order
        node = graph.node[index]
        if needed.isdisjoint(node.output):
            del graph.node[index]
            continue
        needed.update(node.input)
        needed.update(name for inner in nested_graphs([node]) for step in inner.node for name in step.input)
        needed.update(info.name for inner in nested_graphs([node]) for info in inner.output)
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in needed:
            del graph.initializer[index]


class Names:
    """The names of all tensors of a graph and of those nested in it."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graphs = [graph, *nested_graphs(graph.node)]
        self._taken = {name for part in self._graphs for name in _names(part)}

    def fresh(self, base: str) -> str:
        """Return a name that is not taken, and take it."""
        name, number = base, 1
        while name in self._taken:
            name, number = f"{base}_{number}", number + 1
        self._taken.add(name)
        return name

    def rename(self, old: str, new: str) -> None:
        """Rename a tensor everywhere. A tensor that already has the new name gets a fresh one."""
        if old == new:
            return
        if new in self._taken:
            self.vacate(new, new)
        self._replace(old, new)
        self._taken.add(new)

    def vacate(self, name: str, base: str) -> str:
        """Give a tensor a fresh name to free its old one; return the fresh name."""
        new = self.fresh(base)
        self._replace(name, new)
        return new

    def _replace(self, old: str, new: str) -> None:
        for graph in self._graphs:
            for node in graph.node:
                for names in (node.input, node.output):
                    for index, name in enumerate(names):
                        if name == old:
                            names[index] = new
            for named in _named(graph):
                if named.name == old:
                    named.name = new
        self._taken.discard(old)


def free_reshapes(graph: onnx.GraphProto) -> bool:
    """Let Reshape nodes that fix the batch size at 1 take it from their input; return whether there are any.

    PyTorch's exporter writes such nodes for ``x.view(x.size(0), -1)``.
    """
    shapes = {tensor.name: tensor for tensor in graph.initializer}
    shapes |= {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    names, changed = Names(graph), False
    for node in graph.node:
        if node.op_type != "Reshape" or len(node.input) < 2 or node.input[0] in shapes or node.attribute:
            continue
        tensor = shapes.get(node.input[1])
        if tensor is None or tensor.data_type != onnx.TensorProto.INT64:
            continue
        sizes = onnx.numpy_helper.to_array(tensor)
        if sizes.ndim == 1 and len(sizes) > 1 and sizes[0] == 1:
            free = np.array([0, *sizes[1:]], np.int64)  # 0: as in the input
            graph.initializer.append(onnx.numpy_helper.from_array(free, names.fresh(f"{tensor.name or 'shape'}_free")))
            node.input[1], changed = graph.initializer[-1].name, True
    return changed


def _named(
    graph: onnx.GraphProto,
) -> Iterator[onnx.ValueInfoProto | onnx.TensorProto]:
    yield from (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    yield from (sparse.values for sparse in graph.sparse_initializer)


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (name for node in graph.node for name in (*node.input, *node.output))
    yield from (named.name for named in _named(graph))

"""What `lifted export` prints: the model, its weights, and the next step."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export import ExportReport, WeightsReport
    from export.choices import Precision


def next_step(report: ExportReport, *, has_card: bool) -> dict[str, str]:
    """Return the command that embeds with the model, or adds a card; none if onnxruntime cannot run the model."""
    if not has_card:
        return {"card": f"none; to embed images, add one: lifted card {report.path} --preprocessing NAME"}
    ready = report.parity is None or report.parity.engine == "onnxruntime"
    return {"next": f"lifted embed {report.path} PHOTOS --out embeddings"} if ready else {}


def export_facts(report: ExportReport, precision: Precision) -> dict[str, str]:
    """Return size, graph, parity and time."""
    parity = report.parity
    return {
        "model": f"{report.path}, {report.size_bytes / 1e6:.1f} MB, opset {report.opset}",
        "graph": f"{report.num_nodes} nodes, {report.num_parameters:,} parameters",
        "parity, before int8"
        if precision == "int8"
        else "parity": "not verified against MXNet: needs --reference (see `lifted reference`)"
        if parity is None
        else f"max |d| {parity.max_abs_error:.1e} of {parity.largest:.2g}, min cosine {parity.min_cosine:.7f}, "
        f"at batch sizes {', '.join(map(str, parity.batch_sizes))}, in {parity.engine}",
        **({"batch": f"fixed at {report.fixed_batch}"} if report.fixed_batch else {}),
        "time": f"{report.seconds:.1f} s",
    }


def weights_json(report: WeightsReport | None) -> dict[str, object]:
    """Return what ``--json`` prints of the written weights; nothing without them."""
    return {} if report is None else {"weights": asdict(report)}


def weights_facts(report: WeightsReport | None) -> dict[str, str]:
    """Return the size of the written weights, and whose names they have; nothing without them."""
    if report is None:
        return {}
    size = f"{report.num_tensors} arrays, {report.num_parameters:,} parameters, {report.size_bytes / 1e6:.1f} MB"
    return {"weights": f"{report.path}, {size}, names of {report.names}"}

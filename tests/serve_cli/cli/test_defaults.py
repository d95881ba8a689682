"""Defaults are written twice, in a command and in its options, so that --help loads nothing heavy: they are equal."""

import inspect
from pathlib import Path

import pytest

from serve_cli.cli.commands.bench import bench
from serve_cli.cli.commands.embed import embed
from serve_cli.cli.commands.eval import evaluate
from serve_cli.cli.commands.export import export
from serve_cli.cli.commands.index import index
from serve_cli.cli.commands.load import load
from serve_cli.cli.commands.report import report
from serve_cli.cli.commands.search import search
from serve_cli.cli.shared_options import parse_ks, parse_size
from serve_cli.embed.embed_options import EmbedOptions
from serve_cli.evaluate.eval_options import EvalOptions
from serve_cli.model.benchmark import BenchOptions
from serve_cli.model.model_options import ModelOptions
from serve_cli.report.report_options import MB, ReportOptions
from serve_cli.retrieval.index.build import IndexOptions
from serve_cli.retrieval.index.update import UpdateOptions, delete_rows
from serve_cli.retrieval.load.load import load_embeddings
from serve_cli.retrieval.load.load_options import LoadOptions
from serve_cli.retrieval.search.index import Index
from serve_cli.retrieval.search.page_pictures import PictureAccess
from serve_cli.retrieval.search.search_options import SearchOptions
from serve_cli.retrieval.search.write_page import PageOptions
from serve_cli.retrieval.sizing.plan import plan
from serve_cli.sources.tables.columns import Columns


def shown(command):
    """Parameter -> default, as --help shows it."""
    return {name: parameter.default for name, parameter in inspect.signature(command).parameters.items()}


@pytest.mark.parametrize("command", [bench, embed, evaluate])
def test_how_a_model_is_run(command):
    defaults = shown(command)
    names = ("device", "threads", "sessions", "batch_size", "allow_fallback", "relaxed")
    assert ModelOptions(**{name: defaults[name] for name in names}, cache=not defaults["no_cache"]) == ModelOptions()


def test_embed():
    defaults, options = shown(embed), EmbedOptions(model=Path("m.onnx"), source="photos", out=Path("out"))
    for name in ("pixel_limit", "image_timeout", "max_memory", "engine", "overwrite", "retry_failed"):
        assert defaults[name] == getattr(options, name), name
    stored = (defaults["rows_per_file"], defaults["file_format"], defaults["dtype"], defaults["checksums"])
    assert stored == (
        options.output.rows_per_file,
        options.output.format,
        options.output.dtype,
        options.output.checksums,
    )
    names = (f"{name}_column" for name in ("id", "path", "bytes", "label"))
    assert Columns(**{name.removesuffix("_column"): defaults[name] for name in names}) == options.columns


def test_eval():
    defaults, options = shown(evaluate), EvalOptions(sources=())
    assert parse_ks(defaults["k"]) == options.ks
    for name in ("distance", "recall_only", "queries", "clustering", "baseline", "gallery", "seed"):
        assert defaults[name] == getattr(options, name), name


def test_report():
    defaults, options = shown(report), ReportOptions(source=Path("embeddings"), out=Path("report.html"))
    assert parse_ks(defaults["k"]) == options.ks
    assert (defaults["images"], defaults["max_size"] * MB) == (options.map_images, options.max_bytes)
    for name in ("out", "other", "run", "baseline", "method", "seed", "title", "overwrite", "fetch"):
        assert defaults[name] == getattr(options, name), name


def test_bench():
    assert shown(bench)["seconds"] == BenchOptions(model=Path("m.onnx")).seconds


def test_export():
    pytest.importorskip("onnx", reason="export needs onnx")
    from export import ExportOptions
    from serve_cli.compress.acceptance import AcceptanceCriteria

    defaults, options, criteria = shown(export), ExportOptions(), AcceptanceCriteria()
    for name in (
        "opset",
        "tolerance",
        "plain_operators",
        "keep_batch_norm",
        "precision",
        "calibration",
        "calibration_method",
    ):
        assert defaults[name] == getattr(options, name), name
    for name in ("data", "max_recall_drop", "force", "device"):
        assert defaults[name] == getattr(criteria, name), name


def test_sizing():
    defaults = shown(index)
    options = {name: parameter.default for name, parameter in inspect.signature(plan).parameters.items()}
    assert (defaults["dim"], defaults["dtype"]) == (options["dim"], options["dtype"])
    assert parse_size(defaults["memory"]) == options["memory"]


def test_index():
    defaults, options = shown(index), IndexOptions()
    for name in ("target_recall", "factory", "max_memory", "threads", "overwrite"):
        assert defaults[name] == getattr(options, name), name
    assert (defaults["max_memory"], defaults["threads"]) == (UpdateOptions().max_memory, UpdateOptions().threads)
    assert defaults["missing_ok"] == inspect.signature(delete_rows).parameters["missing_ok"].default


def test_search():
    defaults, options = shown(search), SearchOptions()
    for name in ("k", "where", "max_distance", "unique"):
        assert defaults[name] == getattr(options, name), name
    for method in (Index.search, Index.search_ids):
        parameters = inspect.signature(method).parameters
        for name in set(parameters) & {"k", "where", "max_distance", "unique", "combine", "include_self"}:
            assert defaults[name] == parameters[name].default, (method, name)
    assert ModelOptions(device=defaults["device"], threads=defaults["threads"]) == ModelOptions()
    assert defaults["fetch"] == PictureAccess().fetch
    assert defaults["overwrite"] == PageOptions(out=Path("page.html")).overwrite


def test_load():
    defaults, options = shown(load), LoadOptions("embeddings", "lancedb://catalog")
    for name in ("table", "columns", "dtype", "index", "overwrite"):
        assert defaults[name] == getattr(options, name), name
    assert defaults["dry_run"] == inspect.signature(load_embeddings).parameters["dry_run"].default

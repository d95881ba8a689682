"""The whole pipeline on a generated data set, for `lifted demo`: draw, train, export, embed, evaluate, report."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from export import export_run
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.datasets.glyphs import load_glyphs
from gluon_lifted.errors import DataError
from gluon_lifted.training.run import train
from serve_cli.cli.console import say
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions
from serve_cli.evaluate.eval_options import EvalOptions, Images
from serve_cli.evaluate.eval_steps import evaluate_embeddings
from serve_cli.evaluate.metrics import recall_name
from serve_cli.report.report_options import ReportOptions
from serve_cli.report.write import write_report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class DemoFiles(NamedTuple):
    """Paths of everything that the demo makes."""

    glyphs: Path
    untrained: Path
    trained: Path
    untrained_model: Path
    model: Path
    embeddings: Path
    page: Path


def files_under(root: Path) -> DemoFiles:
    """Return the paths of the demo's files in the folder ``root``."""
    names = ("glyphs", "untrained", "trained", "untrained.onnx", "model.onnx", "embeddings", "report.html")
    return DemoFiles(*(root / name for name in names))


@dataclass
class DemoReport:
    """Recall@1 in [0, 1] of three embeddings of the same unseen characters, seconds per step, and the files."""

    files: DemoFiles
    recall: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def demo_config(data: Path, iterations: int, seed: int) -> TrainConfig:
    """Return settings that a laptop trains in about a minute."""
    return TrainConfig(
        dataset="glyphs",
        data=str(data),
        iterations=iterations,
        batch_size=64,
        learning_rate=4e-3,
        dropout=0,
        resize=48,
        crop=44,
        validation_classes=0,
        eval_every=0,
        checkpoint_every=0,
        seed=seed,
    )


def run_demo(root: Path, iterations: int, seed: int) -> DemoReport:
    """Run all steps, with progress on stderr.

    Raises
    ------
    DataError
        If ``root`` contains files but no earlier demo.
    """
    files = files_under(root)
    _make_room(root, files)
    report = DemoReport(files)
    with _step(report, "draw glyphs"):
        test = load_glyphs(files.glyphs).test
    config = demo_config(files.glyphs, iterations, seed)
    with _step(report, "untrained network"):
        train(demo_config(files.glyphs, 0, seed), files.untrained)
        export_run(files.untrained, files.untrained_model)
    with _step(report, "train"):
        train(config, files.trained)
    with _step(report, "export and verify"):
        export_run(files.trained, files.model)
    with _step(report, "embed"):
        embed_images(EmbedOptions(model=files.model, source=files.glyphs / "test", out=files.embeddings))
    with _step(report, "evaluate"):
        images = Images(dataset="glyphs", data=files.glyphs)
        untrained = evaluate_embeddings(
            EvalOptions(sources=(files.untrained_model,), ks=(1,), images=images, recall_only=True, baseline=True)
        )
        trained = evaluate_embeddings(EvalOptions(sources=(files.embeddings,), ks=(1,), recall_only=True))
        names = ("untrained network", "raw pixels", "trained network, ONNX")
        for name, result in zip(names, (*untrained.results, *trained.results), strict=True):
            report.recall[name] = result.metrics[recall_name(1)].value
    with _step(report, "report"):
        write_report(ReportOptions(source=files.embeddings, out=files.page, run=files.trained, command="lifted demo"))
    say(f"demo: evaluated on {len(test):,} images of {len(test.class_names)} unseen characters")
    return report


def _make_room(root: Path, files: DemoFiles) -> None:
    """Remove the output of an earlier demo, except for the glyphs, which are always the same."""
    if root.is_dir() and any(root.iterdir()) and not files.glyphs.is_dir():
        raise DataError(f"{root}: contains files that are not from a demo; choose another folder with --out.")
    for folder in (files.untrained, files.trained, files.embeddings):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (files.untrained_model, files.model, files.page):
        file.unlink(missing_ok=True)


@contextmanager
def _step(report: DemoReport, name: str) -> Iterator[None]:
    say(f"demo: {name} ...")
    began = time.monotonic()
    yield
    report.seconds[name] = time.monotonic() - began

"""The whole line on a generated data set: draw, train, export, embed, evaluate. The work of `lifted demo`."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from export import export_run
from gluon_lifted.config import TrainConfig
from gluon_lifted.datasets.glyphs import load_glyphs
from gluon_lifted.errors import DataError
from gluon_lifted.training import train
from serve_cli.console import TrainingBar, say
from serve_cli.picture import draw_neighbours
from serve_cli.runtime.embed import EmbedOptions, embed_images
from serve_cli.runtime.evaluate import EvalOptions, evaluate
from serve_cli.runtime.reader import read_embeddings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class DemoFiles:
    """Where the demo puts what it makes."""

    root: Path

    @property
    def glyphs(self) -> Path:
        return self.root / "glyphs"

    @property
    def untrained(self) -> Path:
        return self.root / "untrained"

    @property
    def trained(self) -> Path:
        return self.root / "trained"

    @property
    def untrained_model(self) -> Path:
        return self.root / "untrained.onnx"

    @property
    def model(self) -> Path:
        return self.root / "model.onnx"

    @property
    def embeddings(self) -> Path:
        return self.root / "embeddings"

    @property
    def picture(self) -> Path:
        return self.root / "neighbours.png"


@dataclass
class DemoReport:
    """Recall@1 of three embeddings of the same unseen characters, seconds of each step, and the files."""

    files: DemoFiles
    recall: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def demo_config(data: Path, iterations: int, seed: int) -> TrainConfig:
    """The recipe: sizes that a laptop trains in about a minute."""
    return TrainConfig(
        dataset="glyphs",
        data=str(data),
        iterations=iterations,
        resize=48,
        crop=44,
        validation_classes=0,
        eval_every=0,
        checkpoint_every=0,
        seed=seed,
    )


def run_demo(root: Path, iterations: int, seed: int) -> DemoReport:
    """Go through all steps, with progress on stderr.

    Raises
    ------
    DataError
        If ``root`` holds something that is not an earlier demo.
    """
    files = DemoFiles(root)
    _make_room(files)
    report = DemoReport(files)
    with _step(report, "draw glyphs"):
        test = load_glyphs(files.glyphs).test
    config = demo_config(files.glyphs, iterations, seed)
    with _step(report, "untrained network"):
        train(demo_config(files.glyphs, 0, seed), files.untrained)
        export_run(files.untrained, files.untrained_model)
    with _step(report, "train"), TrainingBar() as bar:
        train(config, files.trained, on_progress=bar.show)
    with _step(report, "export and verify"):
        export_run(files.trained, files.model)
    with _step(report, "embed"):
        embed_images(EmbedOptions(files.model, files.glyphs / "test", files.embeddings))
    with _step(report, "evaluate"):
        untrained = evaluate(
            EvalOptions(files.untrained_model, (1,), dataset="glyphs", data=files.glyphs, baseline=True)
        )
        trained = evaluate(EvalOptions(files.embeddings, (1,)))
        names = ("untrained network", "raw pixels", "trained network, ONNX")
        for name, result in zip(names, (*untrained.results, *trained.results), strict=True):
            report.recall[name] = result.recall[1]
        draw_neighbours(read_embeddings(files.embeddings), files.picture)
    say(f"demo: {len(test):,} test images of {len(test.class_names)} characters never trained on")
    return report


def _make_room(files: DemoFiles) -> None:
    """Remove what an earlier demo made, but for the glyphs, which stay the same."""
    if files.root.exists() and any(files.root.iterdir()) and not files.glyphs.is_dir():
        raise DataError(f"{files.root}: holds something that is not a demo; give another folder with --out.")
    for folder in (files.untrained, files.trained, files.embeddings):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (files.untrained_model, files.model, files.picture):
        file.unlink(missing_ok=True)


@contextmanager
def _step(report: DemoReport, name: str) -> Iterator[None]:
    say(f"demo: {name} ...")
    began = time.monotonic()
    yield
    report.seconds[name] = time.monotonic() - began

"""Recall of a run before and after training, with the baselines that it must beat. Stored in the run folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.batches.loader import ImageLoader
from gluon_lifted.contract import START_FILE
from gluon_lifted.datasets.image_digest import image_digest
from gluon_lifted.errors import DataError
from gluon_lifted.logs.recall_files import (
    RESULT_FILE,
    read_start,
    write_recall,
)
from gluon_lifted.losses.known_losses import LOSSES
from gluon_lifted.metrics.baselines import pixel_thumbnails
from gluon_lifted.metrics.recall_comparison import (
    EMBEDDING,
    PIXELS,
    POOLED,
    EmbeddingRecall,
    RecallComparison,
    measure_recall,
)
from gluon_lifted.progress import open_progress
from gluon_lifted.training.inference import BATCH
from gluon_lifted.training.verdict import Verdict, baseline_verdicts, warning

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.datasets import ImageTable
    from gluon_lifted.metrics.choices import Distance
    from gluon_lifted.training.data import TrainingData
    from gluon_lifted.training.run import Hooks
    from gluon_lifted.training.trainer import Trainer


@dataclass(frozen=True, eq=False)
class RunRecall:
    """Recall before and after training.

    Parameters
    ----------
    start : RecallComparison, optional
        Raw pixels, pooled features and embedding of the validation images before training. None if a resumed run has
        no record of it.
    validation : RecallComparison
        The same images after training. They are the test images if no classes were held out.
    test : RecallComparison, optional
        The test images after training; None if they were not measured, or are the validation images.
    verdicts : tuple of Verdict
        The trained embedding against each baseline.
    warning : str
        What training lost to, or cannot be told apart from, and what to try. Empty if it beat all baselines.
    """

    start: RecallComparison | None
    validation: RecallComparison
    test: RecallComparison | None
    verdicts: tuple[Verdict, ...]
    warning: str

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "start": self.start and self.start.to_json(),
            "validation": self.validation.to_json(),
            "test": self.test and self.test.to_json(),
            "baselines": [verdict.to_json() for verdict in self.verdicts],
            "warning": self.warning or None,
        }


class Evaluation:
    """Measures a run at its start and at its end. Only the host that writes the run folder does.

    Parameters
    ----------
    trainer : Trainer
        Has the network and the settings of the run.
    watcher : ImageLoader
        Images that recall is measured on during training.
    data : TrainingData
        Says what the watched images are, and has the test images.
    folder : Path
        The run folder.
    threads : int
        Images decoded at a time.
    hooks : Hooks
        Callbacks for notes and the measured start.

    Raises
    ------
    DataError
        If a test image cannot be read.
    """

    def __init__(
        self, trainer: Trainer, watcher: ImageLoader, data: TrainingData, *, folder: Path, threads: int, hooks: Hooks
    ) -> None:
        self.trainer, self.config, self.watcher = trainer, trainer.config, watcher
        self.kind, self.watched_as = data.watched_kind, data.watched_as
        watched = data.watched
        self.images = {
            "training_classes": data.learned.class_names,
            "measured_classes": watched.class_names,
            "measured_images": image_digest(watched.paths, [watched.class_names[label] for label in watched.labels]),
        }
        self.folder, self.threads, self.hooks = folder, threads, hooks
        self.start: RecallComparison | None = None
        several = len(data.test.class_names) > 1  # recall within a single class is always 1
        self.test = data.test if self.config.test and several and data.test is not data.watched else None
        if self.test is not None:
            with self._loader(self.test) as tester:
                tester.check_readable()

    def measure_start(self, iteration: int, *, resume: bool) -> None:
        """Measure the images before training and write ``start.json``. A resumed run reads it."""
        path = self.folder / START_FILE
        start = read_start(self.folder, self.watcher.table.labels) if resume else None
        if start is None and iteration == 0:
            start = self._compare("before training", self.kind, self.watcher)
            write_recall(path, start.to_json_with_hits() | self.images)
        if start is None:
            self.hooks.on_note(f"{path}: missing or damaged, so training is not compared with recall before training.")
        else:
            self.hooks.on_start(start)
        self.start = start

    def measure_end(self) -> RunRecall:
        """Measure validation and test images with the network that was frozen, and write ``result.json``."""
        trained, start = self.config.iterations > 0, self.start
        validation, test = start, None
        if trained or start is None:
            pixels = start.get(PIXELS) if start else None
            validation = self._compare(self.kind, self.kind, self.watcher, pixels)
        assert validation is not None
        if self.test is not None:
            test = self._compare_test(self.test)
        verdicts = baseline_verdicts(start, validation, test) if trained else ()
        result = RunRecall(start, validation, test, verdicts, warning(self.config, verdicts))
        write_recall(self.folder / RESULT_FILE, result.to_json())
        return result

    def _compare(
        self, label: str, kind: str, loader: ImageLoader, pixels: EmbeddingRecall | None = None
    ) -> RecallComparison:
        """Measure embedding, pooled features and, unless given, raw pixels of all images of a loader."""
        table = loader.table
        baseline = (pixels,) if pixels else self._rank_by_pixels(label, table)
        pooled, embedding = self._embed(label, loader)
        network = (
            *_rank(label, EMBEDDING, embedding, table, LOSSES[self.config.loss].distance),
            *_rank(label, POOLED, pooled, table, "cosine"),
        )
        return RecallComparison(kind, table.labels, network + baseline)

    def _compare_test(self, table: ImageTable) -> RecallComparison | None:
        """Measure the test images; None, with a note, if one is damaged: training must not end in an error then."""
        try:
            with self._loader(table) as tester:
                return self._compare("test", "test", tester)
        except DataError as error:
            self.hooks.on_note(f"{error} Recall on the test classes was not measured.")
            return None

    def _rank_by_pixels(self, label: str, table: ImageTable) -> tuple[EmbeddingRecall, ...]:
        boxes = [table.box(row) for row in range(len(table))]
        with open_progress(f"measure {label}, {PIXELS}", len(table)) as progress:
            thumbnails = pixel_thumbnails(table.paths, self.threads, boxes, progress.update)
        return _rank(label, PIXELS, thumbnails, table)

    def _embed(self, label: str, loader: ImageLoader) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Compute pooled features (N, C) and embedding (N, D) of all images."""
        arrays: list[NDArray[np.float32]] = []
        first, num_images = 0, len(loader.table)
        with open_progress(f"measure {label}", num_images) as progress:
            for parts in self.trainer.pool_and_embed(loader.test_batches(BATCH)):
                arrays = arrays or [np.empty((num_images, part.shape[1]), np.float32) for part in parts]
                last = first + len(parts[0])
                for array, part in zip(arrays, parts, strict=True):
                    array[first:last] = part
                progress.update(last)
                first = last
        pooled, embedding = arrays
        return pooled, embedding

    def _loader(self, table: ImageTable) -> ImageLoader:
        return ImageLoader(table, self.watcher.preprocessing, self.threads)


def _rank(
    label: str, name: str, rows: NDArray[np.float32], table: ImageTable, distance: Distance = "euclidean"
) -> tuple[EmbeddingRecall, ...]:
    with open_progress(f"measure {label}, ranks by {name}", len(table)) as progress:
        return measure_recall(
            name, rows, table.labels, distance, lambda share: progress.update(round(share * len(table)))
        )

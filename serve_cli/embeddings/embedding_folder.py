"""Write embedded rows to an embedding folder: complete part files only, and the manifest last."""

from __future__ import annotations

import errno
import json
import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import RunError
from gluon_lifted.files import create_file, remove_leftovers, replaced_file
from serve_cli.embeddings.part_columns import MANIFEST, MANIFEST_VERSION, PLAN
from serve_cli.embeddings.part_formats import FORMATS, part_files
from serve_cli.embeddings.resume_plan import difference, read_plan
from serve_cli.embeddings.run_lock import run_lock
from serve_cli.sources.image_row import EmbeddedRows, regroup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

    from gluon_lifted.card import ModelCard
    from serve_cli.embeddings.parts import Part
    from serve_cli.embeddings.resume_plan import Plan

GROUP_ROWS = 5_000  # rows in memory before they are written: 10 MB at D = 512
GROUP_BYTES = 32 << 20  # limit for the columns that they carry along


class EmbeddingFolder:
    """A folder that receives the parts of a plan, in any order, from one or several runs.

    Parameters
    ----------
    folder : Path
        Created by the first run. Parts that an earlier run of the same plan has finished are kept.
    plan : Plan
        Must equal the plan in the folder, if there is one.
    card : ModelCard
        Card of the model that computes the embeddings.
    extra : Schema, optional
        Columns that the rows carry along.
    overwrite : bool
        Replace the folder's embeddings once the first new part is complete.
    accept_changed_files : bool
        Keep finished parts even if sizes or modification times of files have changed.

    Attributes
    ----------
    finished : dict of int to Part
        Finished parts by number.

    Raises
    ------
    RunError
        If ``folder`` is a file, or holds embeddings of another plan.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        card: ModelCard,
        extra: pa.Schema | None = None,
        *,
        overwrite: bool = False,
        accept_changed_files: bool = False,
    ) -> None:
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder}: is a file; give a folder for the embeddings.")
        self._folder, self._plan = folder, plan
        open_writer, _ = FORMATS[plan.format].load()
        self._parts = open_writer(folder, card, plan.dtype, extra)
        self._model_card = card
        self._accept_changed_files = accept_changed_files
        self._claimed = self._changed = self._outdated = False
        self._conflict = None if overwrite else self._check_plan()
        self._replacing = overwrite
        self.finished = self._finished_parts() if self._claimed else {}

    @contextmanager
    def begin(self, index: int, count: int) -> Iterator[None]:
        """Reserve the folder for task ``index`` of ``count`` while parts are written.

        The plan is written first, so that later runs see it. With ``overwrite`` it is written together with the first
        new part, so that the old embeddings are kept until then.

        Raises
        ------
        RunError
            If another run is writing to the folder, the folder holds another plan, or it cannot be written to.
        """
        created = not self._folder.exists()
        self._make_ready()
        try:
            with self._reserved(index, count):
                yield
        except BaseException:
            if created:
                with suppress(OSError):  # not empty
                    self._folder.rmdir()
            raise

    @contextmanager
    def _reserved(self, index: int, count: int) -> Iterator[None]:
        with ExitStack() as stack:
            try:
                stack.enter_context(run_lock(self._folder, index, count))
                remove_leftovers(self._folder)
                if count == 1 and self._conflict is not None:  # other tasks of an array may still write parts
                    self._conflict, self._replacing = None, True
                    self.claim()
                self._claim_unless_overwriting()
                if self._claimed and self._outdated:
                    self._put(PLAN, self._plan.to_json())
            except OSError as error:
                raise self._not_written(error) from None
            try:
                yield
            except BaseException:
                if count == 1:
                    self._withdraw()
                raise

    def write(self, number: int, batches: Iterable[EmbeddedRows], group_rows: int = GROUP_ROWS) -> Part:
        """Write a part. Its files appear once they are complete. Raises `RunError` if writing fails."""
        self._make_ready()
        try:
            self._claim_unless_overwriting()
            part = self._parts.write(number, regroup(batches, group_rows, GROUP_BYTES), self.claim)
        except OSError as error:
            raise self._not_written(error) from None
        self.finished[number], self._changed = part, True
        return part

    def look_again(self) -> None:
        """Add the parts that other processes have written."""
        finished = self._finished_parts()
        self._changed = self._changed or finished != self.finished
        self.finished = finished

    def complete(self, about: Mapping[str, Any]) -> tuple[Part, ...] | None:
        """Write the manifest if all parts exist, no matter which run wrote them. An up-to-date manifest is kept.

        Parameters
        ----------
        about : mapping
            Further fields of the manifest, such as model file and versions.

        Returns
        -------
        tuple of Part or None
            All parts in order, or None if some are missing.
        """
        parts = self._finished_parts()
        if len(parts) < self._plan.parts:
            return None
        ordered = tuple(parts[number] for number in range(self._plan.parts))
        if not self._changed and (self._folder / MANIFEST).exists():
            return ordered
        manifest = {
            "manifest_version": MANIFEST_VERSION,
            "format": self._plan.format,
            "dtype": self._plan.dtype,
            "rows": sum(part.rows for part in ordered),
            "failed": sum(part.failed for part in ordered),
            "parts": [asdict(part) for part in ordered],
            "card": json.loads(self._model_card.to_json()),
            "source": self._plan.source,
            "provider": self._plan.provider,
            "batch_size": self._plan.batch_size,
            **about,
        }
        self._put(MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
        return ordered

    def _check_plan(self) -> RunError | None:
        """Raise `RunError` if the folder holds parts of another plan.

        Returns
        -------
        RunError or None
            The difference, if the other plan has no parts yet: a run that has the folder to itself may replace it.
        """
        parts = part_files(self._folder)  # listed before the plan is read, since parts are written after it
        old = read_plan(self._folder)
        if old is None and (parts or (self._folder / MANIFEST).exists()):
            raise RunError(
                f"{self._folder}: holds embeddings but no {PLAN}, so no run can resume there. Choose another --out, "
                "or replace the embeddings with --overwrite."
            )
        if old is not None and self._accept_changed_files:
            accepted = replace(old, files_sha256=self._plan.files_sha256)
            self._outdated, old = accepted != old, accepted
        if old is not None and (changed := difference(old, self._plan)):
            conflict = RunError(
                f"{self._folder}: holds embeddings of another run: {changed}. Choose another --out, or replace them "
                "with --overwrite."
            )
            if parts:
                raise conflict
            return conflict
        self._claimed = old is not None
        return None

    def _finished_parts(self) -> dict[int, Part]:
        parts = {number: self._parts.finished(number) for number in range(self._plan.parts)}
        return {
            number: part  # a part with another number of rows than planned is recomputed
            for number, part in parts.items()
            if part is not None and part.rows == len(self._plan.rows_of(number))
        }

    def claim(self) -> None:
        """Write the plan, which claims the folder. Parts of the same plan are kept, except with ``overwrite``."""
        if self._claimed:
            return
        if self._conflict is not None:
            raise self._conflict
        if self._replacing:
            # The manifest first, so that what is left after a crash does not look like finished embeddings.
            for path in (self._folder / MANIFEST, *part_files(self._folder)):
                path.unlink(missing_ok=True)
            self._put(PLAN, self._plan.to_json())
        elif not create_file(self._folder / PLAN, self._plan.to_json()) and (conflict := self._check_plan()):
            raise conflict
        self._claimed = True

    def _claim_unless_overwriting(self) -> None:
        if not self._replacing:
            self.claim()

    def _withdraw(self) -> None:
        """Remove the plan of a run that ended before its first part."""
        if self._claimed and not part_files(self._folder) and not (self._folder / MANIFEST).exists():
            (self._folder / PLAN).unlink(missing_ok=True)
            self._claimed = False

    def _put(self, name: str, text: str) -> None:
        try:
            with replaced_file(self._folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            raise self._not_written(error) from None

    def _make_ready(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self._folder, os.W_OK | os.X_OK):
                raise PermissionError("permission denied")
        except OSError as error:
            raise self._not_written(error) from None

    def _not_written(self, error: OSError) -> RunError:
        cure = "free some space, or choose" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose"
        return RunError(f"{self._folder}: cannot be written to ({error.strerror or error}); {cure} another --out.")

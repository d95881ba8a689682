"""Read the run folder that training writes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from export.reader.limits import map_file, read_limited
from export.reader.params import parse_params
from export.reader.reference import Reference, read_reference
from export.reader.symbol import MAX_SYMBOL_BYTES, Symbol, parse_symbol
from gluon_lifted.card import ModelCard, read_card
from gluon_lifted.contract import CARD_FILE, EMBEDDING_OUTPUT, PARAMS_FILE, REFERENCE_FILE, RUN_FILES, SYMBOL_FILE
from gluon_lifted.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class RunFolder:
    """The content of a run folder.

    Parameters
    ----------
    symbol : Symbol
        The network.
    params : dict
        Name -> array.
    card : ModelCard
        Describes the network's input and output.
    reference : Reference
        Images and MXNet's outputs for them.
    symbol_sha256, params_sha256 : str
        Hashes of the two files.
    """

    symbol: Symbol
    params: dict[str, NDArray[Any]]
    card: ModelCard
    reference: Reference
    symbol_sha256: str
    params_sha256: str


def read_run(folder: Path) -> RunFolder:
    """Read a run folder.

    Raises
    ------
    RunError
        If it is not a folder, a file is missing, the card is damaged, card and reference disagree, or the hash of
        the parameters is not the card's.
    MalformedModelError
        If symbol, parameters or reference are damaged.
    """
    try:
        _check_files(folder)
    except OSError as error:  # a name is too long, or a folder may not be read
        raise RunError(f"{folder}: cannot be read ({error.strerror}).") from None
    card = read_card(folder / CARD_FILE)
    symbol = read_limited(folder / SYMBOL_FILE, MAX_SYMBOL_BYTES)
    params = map_file(folder / PARAMS_FILE)
    reference = read_reference(folder / REFERENCE_FILE)
    params_sha256 = hashlib.sha256(params).hexdigest()
    if card.provenance.get("params sha256", params_sha256) != params_sha256:
        raise RunError(
            f"{folder}: {PARAMS_FILE} does not match {CARD_FILE}. It was damaged or replaced after training. Copy the "
            "run again, or repeat `lifted train` with --resume."
        )
    crop, dim = card.preprocessing.crop, card.dim
    rows = {name: output.shape[1:] for name, output in reference.outputs.items()}
    if reference.data.shape[1:] != (3, crop, crop) or rows != {EMBEDDING_OUTPUT: (dim,)}:
        raise RunError(
            f"{folder}: {CARD_FILE} says crop {crop} px and dim {dim}; "
            f"{REFERENCE_FILE} has images {reference.data.shape[1:]} and "
            f"{', '.join(f'{name} {shape}' for name, shape in rows.items()):.200}. "
            "The files belong to different runs."
        )
    return RunFolder(
        symbol=parse_symbol(symbol, str(folder / SYMBOL_FILE)),
        params=parse_params(params, str(folder / PARAMS_FILE)),
        card=card,
        reference=reference,
        symbol_sha256=hashlib.sha256(symbol).hexdigest(),
        params_sha256=params_sha256,
    )


def _check_files(folder: Path) -> None:
    if not folder.exists():
        raise RunError(f"{folder}: no such folder; expected a run folder, which `lifted train` writes.")
    if not folder.is_dir():
        raise RunError(f"{folder}: not a folder; expected a run folder, which `lifted train` writes.")
    missing = [name for name in RUN_FILES if not (folder / name).is_file()]
    if SYMBOL_FILE in missing and PARAMS_FILE in missing:
        raise RunError(
            f"{folder}: has no trained model ({', '.join(missing)} missing). Either it is not a run folder, or its "
            "training has not finished. To finish it, repeat `lifted train` with --resume."
        )
    if missing:
        raise RunError(
            f"{folder}: the run folder lacks {', '.join(missing)}. Repeat `lifted train` with --resume to write the "
            "files."
        )

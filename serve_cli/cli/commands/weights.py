"""`lifted weights`: list the published weights that training can start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from serve_cli.cli.console import print_json, print_table
from serve_cli.cli.shared_options import Json

if TYPE_CHECKING:
    from gluon_lifted.published.weights import PublishedWeights

Backbone = Annotated[
    str | None,
    typer.Argument(
        metavar="BACKBONE", help="List all weights of this backbone.", show_default="all backbones, one line each"
    ),
]


def weights(backbone: Backbone = None, as_json: Json = False) -> None:
    r"""List the published weights that training can start from.

    `lifted train --weights imagenet` takes the first source that responds: torchvision's,
    timm's, the ONNX model zoo's (googlenet), then GluonCV's own store, which has
    not answered since February 2024. A backbone that is not listed has no weights
    elsewhere. --weights also takes a name of this list, a file
    or hf://OWNER/NAME.

    Files are verified by their SHA-256 where the publisher names it, and cached
    where torch, huggingface_hub and onnx cache them.

    [bold]Examples[/bold]

      lifted weights

      lifted weights resnet50_v1d

      lifted train folder --data photos --out runs/mine \
        --backbone resnet50_v1d --weights timm:resnet50d.ra2_in1k
    """
    from gluon_lifted.published.registry import backbones_with_weights, weights_of

    listed = {name: weights_of(name) for name in ([backbone] if backbone else backbones_with_weights())}
    if as_json:
        print_json({name: [_fields(published) for published in known] for name, known in listed.items()})
    elif backbone:
        columns = ("--weights", "crop", "resize", "fit", "interpolation", "colors", "cached")
        print_table(columns, [_row(published) for published in listed[backbone]])
    else:
        rows = [(name, known[0].source, str(len(known) - 1)) for name, known in listed.items()]
        print_table(("backbone", "--weights imagenet", "others"), rows, left=2)


def _row(published: PublishedWeights) -> tuple[str, ...]:
    fields = _fields(published)
    used = published.preprocessing
    cached = "yes" if fields["cached"] else "no"
    return (
        published.source, str(used.crop), str(used.resize), used.fit, used.interpolation, str(fields["colors"]), cached,
    )  # fmt: skip


def _fields(published: PublishedWeights) -> dict[str, object]:
    from gluon_lifted.images.colors import Colors, spell_colors
    from gluon_lifted.published.caches import is_cached

    used = published.preprocessing
    return {
        "weights": published.source,
        "crop": used.crop,
        "resize": used.resize,
        "fit": used.fit,
        "interpolation": used.interpolation,
        "colors": spell_colors(Colors(used.channels, used.mean, used.std)),
        "cached": any(is_cached(location) for location in published.locations),
        "locations": [
            {"url": location.url, "sha256": location.sha256, "revision": getattr(location, "revision", None)}
            for location in published.locations
        ],
    }

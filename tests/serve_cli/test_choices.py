"""Every name that an option may choose has an implementation, and no other has."""

from typing import Any, get_args

import pytest

from serve_cli.choices import Device, Engine, MapMethod, PublishedDataset
from serve_cli.embed.engines import ENGINES
from serve_cli.evaluate.published import TEST_IMAGES
from serve_cli.model.benchmark import LARGEST_BATCH
from serve_cli.model.providers import EXTRAS, PROVIDERS
from serve_cli.model.tuning import DEFAULTS
from serve_cli.report.layout2d import NAMES


@pytest.mark.parametrize(
    ("choice", "implemented"),
    [
        (Device, PROVIDERS),
        (Device, EXTRAS),
        (Device, DEFAULTS),
        (Device, LARGEST_BATCH),
        (Engine, ENGINES),
        (MapMethod, NAMES),
        (PublishedDataset, TEST_IMAGES),
    ],
)
def test_choices_are_what_is_implemented(choice: Any, implemented: dict[str, object]) -> None:
    assert list(get_args(choice)) == list(implemented)

"""Published retrieval and clustering results on classes unseen in training, to show beside measured ones.

A value is unverified unless it was read in its source: known from memory, read off a figure, or inconsistent with
another row of the same source. NMI is divided by the geometric mean of the entropies, as Song et al. 2017 define it
(Eq. 9) and DMLPlayground computes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from serve_cli.evaluate.metrics import NMI_GEOMETRIC, recall_name

if TYPE_CHECKING:
    from collections.abc import Mapping


TEST_IMAGES = {"cub200": 5_924, "cars196": 8_131, "sop": 60_502}  # all of them queries; splits of Song et al. 2016


@dataclass(frozen=True)
class PublishedRow:
    """A published experiment.

    Parameters
    ----------
    dataset : str
        ``"cub200"``, ``"cars196"`` or ``"sop"``, with this project's split of classes.
    method : str
        The loss, under its ``--loss`` name if it has one.
    network : str
        Network that computed the embedding.
    dim : int or None
        Dimension of the embedding; None if the source does not give it.
    metrics : mapping of str to float
        ``"R@k"`` and ``"NMI (geometric)"`` -> percent.
    source : str
        Where the values were read.
    unverified : frozenset of str
        Metrics whose value was not read there.
    """

    dataset: str
    method: str
    network: str
    dim: int | None
    metrics: Mapping[str, float]
    source: str
    unverified: frozenset[str] = frozenset()


def published_rows(dataset: str) -> tuple[PublishedRow, ...]:
    """Return the rows of one data set, in order of publication.

    Parameters
    ----------
    dataset : str
        A name that `gluon_lifted.load_dataset` knows.
    """
    return tuple(row for row in ROWS if row.dataset == dataset)


def _percent(dataset: str, recall: str, NMI: float | None = None) -> dict[str, float]:
    """Parse a line of recall in percent at the data set's usual k, as papers print it."""
    ks = (1, 10, 100, 1000) if dataset == "sop" else (1, 2, 4, 8, 16, 32)
    metrics = {recall_name(k): float(value) for k, value in zip(ks, recall.split(), strict=False)}
    return metrics if NMI is None else metrics | {NMI_GEOMETRIC.name: NMI}


VERIFIED: frozenset[str] = frozenset()

# 512-d values attributed to Song et al. 2016, which prints curves only
RAMBO = "Rolínek et al., Optimizing Rank-Based Metrics with Blackbox Differentiation, CVPR 2020, Table"
REALITY_CHECK = "Musgrave et al., A Metric Learning Reality Check, ECCV 2020, R@1"
HDC = "attributed to Song et al., CVPR 2016, by Yuan et al., Hard-Aware Deeply Cascaded Embedding, ICCV 2017"
BEYOND_8 = frozenset(map(recall_name, (16, 32)))
BEYOND_1 = BEYOND_8 | set(map(recall_name, (2, 4, 8)))
ALL_RECALL = BEYOND_1 | {recall_name(1)}
ORIGINAL = (
    ("cub200", "contrastive", "26.4 37.7 49.8 62.3 76.4 85.3", f"{RAMBO} 3", BEYOND_8),
    ("cub200", "triplet", "36.1 48.6 59.3 70.0 80.2 88.4", f"{RAMBO} 3", BEYOND_8),
    ("cub200", "lifted", "47.2 58.9 70.2 80.2 89.3 93.2", f"{RAMBO} 3", BEYOND_8),
    ("cars196", "contrastive", "21.7 32.3 46.1 58.9 72.2 83.4", REALITY_CHECK, BEYOND_1),
    ("cars196", "triplet", "39.1 50.4 63.3 74.5 84.1 89.8", REALITY_CHECK, BEYOND_1),
    ("cars196", "lifted", "49.0 60.3 72.1 81.5 89.2 92.8", HDC, ALL_RECALL),
    ("sop", "contrastive", "42.0 58.2 73.8 89.1", f"{RAMBO} 2", VERIFIED),
    ("sop", "triplet", "42.1 63.5 82.5 94.8", f"{RAMBO} 2", VERIFIED),
    ("sop", "lifted", "62.1 79.8 91.3 97.4", f"{RAMBO} 2", VERIFIED),
)

# 64-d, by Song et al. 2017, Deep Metric Learning via Facility Location, as others print them
SMART_MINING = "Harwood et al., Smart Mining for Deep Metric Learning, ICCV 2017, Table"
CIRCLE = "Sun et al., Circle Loss, CVPR 2020, Table 5"
RERUN = (
    ("cub200", "lifted", "43.57 56.55 68.59 79.63", 56.50, f"{SMART_MINING} 1", VERIFIED),
    ("cub200", "triplet-semihard", "42.59", 55.38, f"{SMART_MINING} 1", VERIFIED),
    ("cub200", "n-pairs", "45.37", 57.24, f"{SMART_MINING} 1", VERIFIED),
    ("cars196", "lifted", "52.98 65.70 76.01 84.27", 56.88, f"{SMART_MINING} 2", VERIFIED),
    ("cars196", "triplet-semihard", "51.54", 53.35, f"{SMART_MINING} 2", VERIFIED),
    ("cars196", "n-pairs", "53.90", 57.79, f"{SMART_MINING} 2", VERIFIED),
    # Its R@1000 is that of the 512-d row above
    ("sop", "lifted", "62.5 80.8 91.9 97.4", 88.7, CIRCLE, frozenset({recall_name(1000), NMI_GEOMETRIC.name})),
)

PLAYGROUND = "github.com/Andrewymd/DMLPlayground"
BARS = f"Fehervari et al., Unbiased Evaluation of Deep Metric Learning Algorithms, arXiv 1911.12528; {PLAYGROUND}"
WIDTHS = f"{PLAYGROUND}, results/plots/embedding_size.png, read off the figure to 0.3"
REPRODUCED = (
    ("cub200", 64, "51.70", 60.93, BARS, VERIFIED),
    (
        "cub200",
        64,
        "49.79 62.04 73.14 82.65 89.92",
        59.60,
        f"{PLAYGROUND}, results/train_liftedstruct_cub.log",
        VERIFIED,
    ),
    ("cub200", 128, "55.3", None, WIDTHS, frozenset({recall_name(1)})),
    ("cub200", 256, "58.9", None, WIDTHS, frozenset({recall_name(1)})),
    ("cub200", 512, "60.6", None, WIDTHS, frozenset({recall_name(1)})),
    ("cub200", 1024, "61.9", None, WIDTHS, frozenset({recall_name(1)})),
    ("cub200", 2048, "62.6", None, WIDTHS, frozenset({recall_name(1)})),
    ("cars196", 64, "65.29", 61.00, BARS, VERIFIED),
)

# Measured by a user with the weights that the authors of 2016 released; the paper's values were expected
RELEASED = PublishedRow(
    dataset="sop",
    method="lifted",
    network="GoogLeNet",
    dim=None,
    metrics=_percent("sop", "36.89 63.52 79.60 90.71"),
    source="github.com/rksltnl/Deep-Metric-Learning-CVPR16, issue 23 (the released weights, measured by a user)",
)

ROTH = "Roth et al., Revisiting Training Strategies and Generalization Performance in Deep Metric Learning, ICML 2020"
GENERALIZED = (("cub200", "59.6", 65.6), ("cars196", "72.2", 64.8), ("sop", "75.2", 89.8))

ROWS = (
    *(
        PublishedRow(
            dataset=dataset,
            method=method,
            network="GoogLeNet",
            dim=512,
            metrics=_percent(dataset, recall),
            source=source,
            unverified=unverified,
        )
        for dataset, method, recall, source, unverified in ORIGINAL
    ),
    *(
        PublishedRow(
            dataset=dataset,
            method=method,
            network="Inception-BN",
            dim=64,
            metrics=_percent(dataset, recall, NMI),
            source=source,
            unverified=unverified,
        )
        for dataset, method, recall, NMI, source, unverified in RERUN
    ),
    RELEASED,
    *(
        PublishedRow(
            dataset=dataset,
            method="lifted",
            network="Inception-BN",
            dim=dim,
            metrics=_percent(dataset, recall, NMI),
            source=source,
            unverified=unverified,
        )
        for dataset, dim, recall, NMI, source, unverified in REPRODUCED
    ),
    *(
        PublishedRow(
            dataset=dataset,
            method="generalized-lifted",
            network="ResNet-50",
            dim=128,
            metrics=_percent(dataset, recall, NMI),
            source=ROTH,
            unverified=frozenset({recall_name(1), NMI_GEOMETRIC.name}),
        )
        for dataset, recall, NMI in GENERALIZED
    ),
)

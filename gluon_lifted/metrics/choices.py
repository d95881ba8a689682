"""The names that options of the metrics choose from, each declared once; nothing heavy is imported here."""

from typing import Literal

Distance = Literal["euclidean", "cosine"]
ClusteringProtocol = Literal["authors", "modern"]

"""The choices of metric options, declared without heavy imports."""

from typing import Literal

Distance = Literal["euclidean", "cosine"]
ClusteringProtocol = Literal["authors", "modern"]

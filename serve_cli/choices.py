"""The names that options choose from. Imports nothing heavy, so that `lifted --help` stays instant."""

from typing import Literal

Device = Literal["cpu", "openvino", "gpu", "tensorrt"]
Engine = Literal["local", "ray"]
Dtype = Literal["float32", "float16", "int8"]
MapMethod = Literal["tsne", "pca", "umap"]
PublishedDataset = Literal["cub200", "cars196", "sop"]

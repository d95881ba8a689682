"""The names that options choose from, each declared once: the library checks them, and the commands offer them.

Nothing heavy is imported here, so that `lifted --help` stays instant.
"""

from typing import Literal

Device = Literal["cpu", "openvino", "gpu", "tensorrt"]
Engine = Literal["local", "ray"]
Format = Literal["parquet", "npy"]
Dtype = Literal["float32", "float16", "int8"]
MapMethod = Literal["tsne", "pca", "umap"]
PublishedDataset = Literal["cub200", "cars196", "sop"]

"""A catalog of photographs, embedded by the tiny model and indexed."""

from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq

from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions
from serve_cli.retrieval.index.build import build_index
from tests.serve_cli.photos import photo
from tests.serve_cli.tiny_model import write_model


def made_shop(folder):
    """Photographs 0 to 7 of two brands; 6 and 7 are copies of 0 and 1, and the price of 2 is not known."""
    model = write_model(folder / "tiny.onnx")
    for number in range(8):
        photo(folder / "photos" / f"{number}.png", seed=number % 6)
    catalog = {
        "path": [f"photos/{number}.png" for number in range(8)],
        "label": [f"class {number % 2}" for number in range(8)],
        "price": [None if number == 2 else number for number in range(8)],
        "brand": ["ab"[number // 4] for number in range(8)],
    }
    pq.write_table(pa.table(catalog), folder / "catalog.parquet")
    embed_images(EmbedOptions(model=model, source=str(folder / "catalog.parquet"), out=folder / "embeddings"))
    build_index(folder / "embeddings", folder / "catalog.index")
    return SimpleNamespace(
        folder=folder, model=model, index=folder / "catalog.index", photos=folder / "photos", emb=folder / "embeddings"
    )

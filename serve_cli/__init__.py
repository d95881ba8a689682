"""The `lifted` command, and the onnxruntime pipeline that turns images into embeddings."""

from gluon_lifted.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ArrowEmbedder": "embed.arrow_embedder",
        "Columns": "sources.manifest",
        "Embedder": "model.embedder",
        "Embeddings": "embeddings.reader",
        "read_embeddings": "embeddings.reader",
    },
)

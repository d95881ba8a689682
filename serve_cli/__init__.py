"""The `lifted` command, and the onnxruntime pipeline that turns images into embeddings."""

from gluon_lifted.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ArrowEmbedder": "runtime.embed.arrow_embedder",
        "Columns": "runtime.sources.manifest",
        "Embedder": "runtime.inference.session",
        "Embeddings": "runtime.storage.reader",
        "read_embeddings": "runtime.storage.reader",
    },
)

from .embed.arrow_embedder import ArrowEmbedder as ArrowEmbedder
from .embeddings.reader import Embeddings as Embeddings
from .embeddings.reader import read_embeddings as read_embeddings
from .model.embedder import Embedder as Embedder
from .model.model_options import ModelOptions as ModelOptions
from .retrieval.search.index import Index as Index
from .sources.image_row import EmbeddedImage as EmbeddedImage
from .sources.tables.columns import Columns as Columns

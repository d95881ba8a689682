"""How good embeddings are: recall, clustering, and what to compare them with."""

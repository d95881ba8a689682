"""Quality of embeddings: recall, clustering, and baselines."""

"""Load embeddings into a database: staged, verified, then switched to the name that readers use."""

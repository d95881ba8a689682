"""`lifted report`: make one HTML page that shows how good embeddings are."""

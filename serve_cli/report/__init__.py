"""`lifted report`: embeddings -> one page that shows how good they are."""

"""`lifted serve`: a model, or an index with its model, over HTTP."""

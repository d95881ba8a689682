"""How good embeddings are: metrics with intervals, side by side, beside what others published."""

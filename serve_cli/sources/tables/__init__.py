"""Tables of images: CSV, JSON lines and parquet."""

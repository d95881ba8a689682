"""Parquet's footer and page headers, read before pyarrow sees a file that may be damaged or hostile."""

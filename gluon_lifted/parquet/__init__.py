"""Read parquet footers and page headers before pyarrow opens a file that may be damaged or hostile."""

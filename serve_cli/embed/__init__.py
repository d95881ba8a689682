"""`lifted embed`: images from a source, decoded in threads, embedded in order, written as part files."""

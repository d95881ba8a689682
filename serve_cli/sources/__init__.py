"""Sources of images: folders, text lists, tables, tar shards and datasets yield rows in a stable order."""

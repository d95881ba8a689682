"""Where images come from: folders, text lists, tables, tar shards and data sets give rows in a stable order."""

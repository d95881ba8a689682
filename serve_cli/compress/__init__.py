"""Models of lower precision: exported, compared with single precision, refused where they are worse."""

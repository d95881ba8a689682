"""Export models of lower precision, compare them with float32, and refuse them if they are worse."""

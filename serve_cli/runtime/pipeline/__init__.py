"""Image rows -> decoded in threads -> embedded, in order."""

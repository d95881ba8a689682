"""Batches: choose their images, then decode and augment them."""

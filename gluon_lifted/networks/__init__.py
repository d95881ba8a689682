"""Networks: images (N, 3, H, W) -> embedding (N, D)."""

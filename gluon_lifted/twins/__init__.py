"""Networks that torchvision or timm has too: which they are, and how their names and values map to ours."""

"""Networks that torchvision or timm also has, and how their names and values map to ours."""

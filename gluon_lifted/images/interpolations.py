"""The ways to interpolate when resizing, each declared once. Nothing heavy is imported here."""

# Both widen their kernel when they shrink an image (antialiasing), as torchvision, timm and Matlab's imresize do.
INTERPOLATIONS = ("bilinear", "bicubic")
DEFAULT_INTERPOLATION = "bilinear"
INTERPOLATION_HELP = "bilinear, or bicubic (sharper; large JPEGs are read more slowly)"

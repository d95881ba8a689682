"""The ways to make an image square, each declared once. Nothing heavy is imported here."""

FITS = {"stretch": "stretched", "pad": "padded with white", "cover": "resized and cropped"}
FITS_HELP = "stretch, pad with white, or cover (cut off the ends of the longer side)"

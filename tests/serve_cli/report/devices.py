"""What reports are looked at with, and what a canvas shows."""

DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
UNFOLD = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
READ = """
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
"""
INK = f"""(canvas) => {{ {READ}
  const pixels = new Uint32Array(data.buffer), seen = new Map();
  for (const pixel of pixels) seen.set(pixel, (seen.get(pixel) ?? 0) + 1);
  return 1 - [...seen.values()].reduce((a, b) => Math.max(a, b)) / pixels.length;
}}"""
CORNER = f"(canvas) => {{ {READ} return [...data.slice(0, 3)]; }}"

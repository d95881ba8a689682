"""Make the README's pictures from what `lifted demo` draws: the search page and the report, seen by Chromium.

    python docs/make_pictures.py [--demo FOLDER]

An existing folder of `lifted demo` is used; otherwise the demo runs first, which takes three minutes.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from playwright.sync_api import sync_playwright

from serve_cli import Index

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = Path(__file__).parent / "images"
VIEWPORT = {"width": 904, "height": 750}  # four images in a row; text is readable at the 420 px of a forge
SCALE = 1.5  # pixels of the picture per pixel of the page
COLORS = 256  # of a palette, which keeps a picture below 200 kB
MAX_BYTES = 200_000
IN_VIEW = 4  # images of the search page
LIFTED = [sys.executable, "-m", "serve_cli.cli.main"]
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu"]


def main() -> None:
    """Make both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="folder of `lifted demo`")
    demo = parser.parse_args().demo
    if not (demo / "embeddings" / "manifest.json").is_file():
        subprocess.run([*LIFTED, "demo", "--out", demo], check=True)
    report = ["report", demo / "embeddings", "--run", demo / "trained", "--out", demo / "report.html"]
    subprocess.run([*LIFTED, *report], check=True)
    index = demo / "catalog.index"
    subprocess.run([*LIFTED, "index", demo / "embeddings", "--out", index, "--overwrite"], check=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGUMENTS)
        page = browser.new_page(viewport=VIEWPORT, device_scale_factor=SCALE, color_scheme="light")
        page.goto((demo / "report.html").resolve().as_uri())
        save(page, "report.png")
        with served(index) as address:
            search(page, address, clear_example(index, demo / "glyphs" / "test"))
            save(page, "search_page.png")
        browser.close()


def clear_example(index: Path, folder: Path) -> Path:
    """Return the image, one of each class, with the most images of its class among its neighbors."""
    images = [min(path.iterdir()) for path in sorted(folder.iterdir()) if path.is_dir()]
    with Index.open(index) as opened:
        found = opened.search(images, k=10)
    hits = [
        sum(match.label == path.parent.name for match in matches) for path, matches in zip(images, found, strict=True)
    ]
    return images[hits.index(max(hits))]


@contextmanager
def served(index: Path) -> Iterator[str]:
    """Serve an index on a free port; yield its address."""
    command = [*LIFTED, "serve", index, "--port", "0", "--no-access-log"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            lines = iter(server.stderr.readline, "") if server.stderr else ()
            address = next((match[0] for line in lines if (match := re.search(r"http://[\w.:]+", line))), None)
            if address is None:
                raise SystemExit("lifted serve ended before it listened")
            yield address
        finally:
            server.terminate()


def search(page: Any, address: str, image: Path) -> None:
    """Search with an image, and wait until all thumbnails have been drawn."""
    page.goto(address)
    page.wait_for_selector("#tiles img")
    page.set_input_files("#file", image)
    page.wait_for_selector("#terms img")
    page.wait_for_selector("#results[aria-busy=false]")
    for number in range(1, IN_VIEW + 1):
        page.wait_for_selector(f".tile:nth-child({number}) .loaded")


def save(shown: Any, name: str, colors: int = COLORS, dither: Image.Dither = Image.Dither.FLOYDSTEINBERG) -> None:
    """Save what a page or an element of it shows, with a palette."""
    shot = Image.open(io.BytesIO(shown.screenshot())).convert("RGB")
    path = IMAGES / name
    shot.quantize(colors, dither=dither).save(path, optimize=True)
    if path.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{path}: {path.stat().st_size:,} bytes, more than {MAX_BYTES:,}; use fewer colors.")
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

"""Make the README's pictures of a terminal by running its commands on a folder of photographs.

    python docs/make_terminal_pictures.py PHOTOS

PHOTOS has one sub-folder per class. Training takes about twelve minutes on two cores. The commands run in a terminal of
80 columns; Chromium draws what is on its screen at the end.
"""

from __future__ import annotations

import argparse
import fcntl
import html
import itertools
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pyte
from make_pictures import CHROMIUM_ARGUMENTS, save
from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from pyte.screens import Char

COLUMNS = 80
ROWS = 200  # more than any of the commands prints
READ_BYTES = 1 << 16
TEXT_COLORS = 64
TRAIN = r"""lifted train folder --data photos --out runs/mine \
    --iterations 300 --batch-size 64 --backbone mobilenetv2_1.0 \
    --weights imagenet --resize 128 --crop 112 --loss multi-similarity"""
PICTURES = {
    "terminal_train.png": [TRAIN],
    "terminal_search.png": [
        "lifted export runs/mine --onnx model.onnx",
        "lifted embed model.onnx photos --out embeddings",
        "lifted index embeddings --out catalog.index",
        "lifted search catalog.index photo.jpg -k 3",
    ],
}
STYLE = """
body { margin: 0; background: #1d2127; display: inline-block }
pre { margin: 18px 22px; color: #d7dce2; font: 15px/1.34 "DejaVu Sans Mono", monospace }
b { color: #fff }
"""
COLORS = {"red": "#ff8a80", "green": "#8bd49c", "brown": "#e6c06f", "blue": "#82b1ff", "magenta": "#d7a6ff"}


def main() -> None:
    """Run the commands and draw both screens."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder with one sub-folder per class")
    photos = parser.parse_args().photos.resolve()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        Path(folder, "photos").symlink_to(photos)
        shutil.copy(min(path for path in photos.glob("*/*") if path.is_file()), Path(folder, "photo.jpg"))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGUMENTS)
        page = browser.new_page(device_scale_factor=2)
        for name, commands in PICTURES.items():
            page.set_content(f"<style>{STYLE}</style><pre>{screens(commands, folder)}</pre>")
            save(page.locator("body"), name, TEXT_COLORS, Image.Dither.NONE)
        browser.close()


def screens(commands: list[str], folder: str) -> str:
    """Run commands one after the other; return the commands and their screens as HTML."""
    return "\n\n".join(f"$ <b>{html.escape(command)}</b>\n{screen(command, folder)}" for command in commands)


def screen(command: str, folder: str) -> str:
    """Run a command in a terminal; return what is on the screen at the end as HTML."""
    terminal = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(terminal)
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "TERM": "xterm-256color"}
    with subprocess.Popen(
        command, shell=True, cwd=folder, env=environment, stdin=its, stdout=its, stderr=its
    ) as process:
        os.close(its)
        while written := _read(ours):
            stream.feed(written)
    os.close(ours)
    if process.returncode:
        raise SystemExit(f"{command}: exit status {process.returncode}\n" + "\n".join(terminal.display).strip())
    lines = [_line(terminal.buffer[row]) for row in range(ROWS)]
    return "\n".join(lines).rstrip()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, READ_BYTES)
    except OSError:  # Linux reports the end of a terminal as an error
        return b""


def _line(row: dict[int, Char]) -> str:
    """Return a row of the screen as HTML, one element per run of characters that look the same."""
    runs = itertools.groupby((row[column] for column in range(COLUMNS)), key=lambda char: (char.fg, char.bold))
    parts = []
    for (color, bold), characters in runs:
        text = html.escape("".join(char.data for char in characters))
        style = f"color:{COLORS.get(color, '#' + color)};" if color in COLORS or len(color) == 6 else ""
        parts.append(
            f'<span style="{style}{"font-weight:bold" if bold else ""}">{text}</span>' if text.strip() else text
        )
    return "".join(parts).rstrip()


if __name__ == "__main__":
    main()

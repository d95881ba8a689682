"""The documents: their links, commands and code."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(path, *languages):
    """The code blocks of a document in these languages; "" for blocks without one."""
    return [code for language, code in BLOCK.findall(path.read_text()) if language in languages]


def prose(path):
    """A document without its code blocks."""
    return BLOCK.sub("", path.read_text())


def commands(path, *languages):
    """The words of each command line; a line that ends in a backslash continues in the next one."""
    joined = [block.replace("\\\n", "") for block in blocks(path, *languages)]
    lines = [line.removeprefix("$ ") for block in joined for line in block.splitlines()]
    return [words for line in lines if (words := _words(line))]


def lifted_commands(path, *languages):
    """The command lines of `lifted`."""
    return [words for words in commands(path, *languages) if words[0] == "lifted"]


def _words(line):
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a quotation that continues in the next line: SQL, JSON
        return []


def anchors(path):
    """The anchors of a document's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

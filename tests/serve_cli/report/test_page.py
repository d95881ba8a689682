"""The page as text: what comes from elsewhere cannot break out of its place."""

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.errors import MissingPackageError
from serve_cli.report.html import BASE_STYLE, require_jinja
from serve_cli.report.page import FOLD, SCRIPTS, safe_json
from serve_cli.report.write import write_report
from tests.examples import examples
from tests.serve_cli.report.made import HOSTILE, HOSTILE_STYLE, hostile_folder
from tests.serve_cli.report.test_write import options

pytest.importorskip("jinja2", reason="Jinja2 is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")


class Outline(HTMLParser):
    """Elements with their attributes, and the text of those that hold no elements."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.inline, self._open = [], {"script": [], "style": [], "title": []}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in self.inline and not (tag == "title" and self.inline["title"]):
            self.inline[tag].append("")
            self._open = tag

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open:
            self.inline[self._open][-1] += data


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    embeddings = hostile_folder(folder)
    write_report(options(embeddings, folder / "report.html", command=f"lifted report '{HOSTILE}'", title=HOSTILE_STYLE))
    return Outline((folder / "report.html").read_text(encoding="utf-8")), (folder / "report.html").read_text("utf-8")


def test_hostile_names_add_no_elements_and_no_handlers(page):
    outline, text = page
    tags = [tag for tag, _ in outline.elements]
    assert tags.count("script") == 3
    assert tags.count("style") == 1
    assert tags.count("img") == 1
    for tag, attributes in outline.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        for name in ("href", "src"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    assert HOSTILE not in text
    assert HOSTILE_STYLE not in text
    assert "{{ 7*7 }}" in text  # as text, not reckoned
    assert outline.inline["title"] == [f"{HOSTILE_STYLE} – embedding report"]


def test_the_policy_lets_nothing_run_but_our_own_blocks(page):
    outline, _ = page
    policy = next(
        attributes["content"]
        for tag, attributes in outline.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    (style,) = outline.inline["style"]
    fold, _, script = outline.inline["script"]
    for name, contents in (("style-src", [style]), ("script-src", [fold, script])):
        digests = [base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() for content in contents]
        assert rules[name] == " ".join(f"'sha256-{digest}'" for digest in digests)


def test_the_script_gets_the_names_as_they_are(page):
    outline, _ = page
    data = json.loads(outline.inline["script"][1])
    assert data["classes"] == sorted({HOSTILE, HOSTILE_STYLE})
    assert len(data["images"]) == len(data["map"]) == 12
    gone = [place for place, image in enumerate(data["images"]) if image[2] == "3.jpg"]
    assert [data["map"][place][2:] for place in gone] == [[0, 0, 0, 0]]  # its photo is missing


@examples(100)
@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_inside_a_script(value):
    text = safe_json(value)
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == value


def test_our_script_and_style_can_stand_inline():
    for name in (BASE_STYLE, "style.css", "report.css", FOLD, *SCRIPTS):
        text = resources.files("serve_cli.report").joinpath("templates", name).read_text("utf-8")
        assert not re.search(r"</(script|style)|<!--", text)
        assert "\r" not in text
        assert "innerHTML" not in text


def test_jinja_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingPackageError, match=r"pip install .*\[report\]"):
        require_jinja()

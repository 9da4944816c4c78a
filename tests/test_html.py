"""Pages are escaped, allow nothing but their own styles and scripts, and come with the package."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from dia.html import render_page
from dia.resources import PACKAGE


class Parsed(HTMLParser):
    """The elements, attributes and text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.styles, self.cells = [], [], [], []
        self.open = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.open = tag

    def handle_data(self, data):
        if self.open == "style":
            self.styles.append(data)
        if self.open == "td":
            self.cells.append(data)


def preview(**values):
    content = {
        "title": "t", "totals": [], "counts": [], "tagged_clips": [], "clips": [], "dropped_count": 0,
        "dropped": [], "left_out": [],
    }  # fmt: skip
    return render_page("preview.html.j2", styles=("preview.css",), **content | values)


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\r")))
def test_no_value_adds_an_element_or_an_attribute(text):
    plain = Parsed(preview(title="t", totals=[("a", "b")]))
    hostile = Parsed(preview(title=text, totals=[("a", text)]))
    assert hostile.tags == plain.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in plain.attributes]


def test_the_policy_allows_the_styles_of_the_page_and_no_script():
    page = Parsed(preview())
    policy = next(value for name, value in page.attributes if name == "content" and "default-src" in value)
    digest = base64.b64encode(hashlib.sha256(page.styles[0].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "script-src" not in policy and "unsafe" not in policy


def test_templates_are_part_of_the_package_and_all_extend_one():
    folder = PACKAGE / "resources" / "templates"
    pages = {path.name: path.read_text() for path in folder.glob("*.html.j2")}
    assert {"report.html.j2", "preview.html.j2", "listening_test.html.j2"} <= {*pages}
    extending = {name for name, text in pages.items() if text.startswith('{% extends "page.html.j2" %}')}
    assert extending == {*pages} - {"page.html.j2", "macros.html.j2"}
    assert not [name for name, text in pages.items() if re.search(r"\|\s*safe|autoescape|style=", text)]

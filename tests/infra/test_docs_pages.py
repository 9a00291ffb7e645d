"""The pages of the documentation site: what docs/ has, with links that hold on the site too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chalicelib.dialects import DIALECTS
from infra.docs_pages import write_pages

PROJECT = Path(__file__).parents[2]
NAV = (PROJECT / "mkdocs.yml").read_text(encoding="utf-8").partition("nav:")[2]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    write_pages(PROJECT, folder)
    return folder


def test_every_link_leads_to_a_page_or_file(pages):
    """A link that is right on GitHub is right on the site: what lies outside docs/ is there as well."""
    for page in pages.rglob("*.md"):
        prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.DOTALL)
        for link in re.findall(r"\]\((?!\w+:|#)([^)\s#]+)[^)]*\)", prose):
            assert (page.parent / link).exists(), (page, link)


def test_every_page_is_in_the_navigation(pages):
    """A page that no menu leads to is found by nobody."""
    written = {page.relative_to(pages).as_posix() for page in pages.rglob("*.md")}
    assert set(re.findall(r"[\w./-]+\.md", NAV)) == written


def test_the_reference_has_every_route(pages):
    """The API reference is made of the routes themselves."""
    text = (pages / "reference.md").read_text("utf-8")
    routes = [
        f"## {each.method} {each.path}\n" for d in DIALECTS for each in d.routes if each.summary
    ]
    assert [route for route in routes if route not in text] == []


def test_a_link_that_leads_nowhere_is_refused(tmp_path):
    """A broken link fails the build instead of the reader."""
    docs = tmp_path / "project" / "docs"
    docs.mkdir(parents=True)
    (docs / "page.md").write_text("[gone](gone.md)")
    with pytest.raises(FileNotFoundError):
        write_pages(tmp_path / "project", tmp_path / "pages")

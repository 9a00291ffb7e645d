"""A browser, a site, and pages that fail the test where a person would have seen something wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import AXE, PROGRAM, chromium
from tests.browser.site import running_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from tests.browser.site import Site

expect.set_options(timeout=10_000)

LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.slow)


# Of the package, not of the session: the tests that come later start a Clew of their own in this process.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not PROGRAM.exists():
        pytest.skip(f"no Chromium at {PROGRAM}: make test installs it, on Linux on x86-64")
    with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def site(browser: Browser) -> Iterator[Site]:
    with running_site() as running:
        yield running


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """`open_page("#/search", language="zh", theme="dark")`: a page of a new visitor.

    At the end, the test fails if a page had an error in its console, or asked any other origin for anything.
    `allowed` is a pattern of console messages that belong to the test.
    """
    contexts = []
    wrong: list[str] = []

    def open_page(
        fragment: str = "",
        language: str = "en",
        theme: Literal["light", "dark"] = "light",
        allowed: str = r"(?!)",
        width: int = 1280,
        height: int = 800,
        base: str = "",
        end: str = "/",
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            locale=LANGUAGES[language],
            timezone_id="Europe/Berlin",
        )
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        own = base or site.url
        page.on("console", lambda said: _note(wrong, said, allowed))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("request", lambda request: _note_foreign(wrong, request.url, own))
        page.goto(f"{own}{end}{fragment}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def _note(wrong: list[str], said: Any, allowed: str) -> None:
    if said.type in ("error", "warning") and not re.search(allowed, said.text):
        wrong.append(f"{said.type}: {said.text}")


def _note_foreign(wrong: list[str], url: str, own: str) -> None:
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != urlsplit(own).netloc:
        wrong.append(f"asked {url}")


@pytest.fixture(scope="session")
def violations_of() -> Callable[[Page], list[str]]:
    """What axe-core finds against WCAG 2.2 A and AA on the page as it stands; a line for each."""
    script = AXE.read_text()
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

    def violations_of(page: Page) -> list[str]:
        # `evaluate` is not bound by the page's policy, as a script element would be.
        page.evaluate(script)
        found = page.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
        return [
            f"{each['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
            for each in found["violations"]
            for node in each["nodes"]
        ]

    return violations_of

"""What a browser fetches of a page before it shows what it is for, in bytes as they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_FETCHED = """
() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .filter(({name}) => !name.includes('/v1/'))
  .map(({name, startTime, encodedBodySize}) => [name.split('/').pop(), startTime, encodedBodySize])
"""


class Weight(NamedTuple):
    first_rows_bytes: int
    """Of a trace, until its first rows show: page, scripts, styles, the worker's script; no answer of the API."""
    bytes: int
    """With what comes afterwards by itself."""
    files: dict[str, int]


def weight_of(browser: Browser, url: str, language: str = "en-GB") -> Weight:
    """Of a first visit."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale=language)
    page = context.new_page()
    page.goto(url)
    page.wait_for_load_state("networkidle")
    shown = page.evaluate("performance.getEntriesByName('clew:first-rows')[0]?.startTime ?? 0")
    fetched = page.evaluate(_FETCHED)
    context.close()
    return Weight(
        sum(size for _, start, size in fetched if start < shown),
        sum(size for _, _, size in fetched),
        {name: size for name, _, size in fetched},
    )

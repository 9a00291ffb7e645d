"""What a first visit fetches stays within its budget."""

from __future__ import annotations

import pytest

from tests.browser.weight import weight_of

FIRST_ROWS_BYTES_MAX = 40_000
BYTES_MAX = 80_000


@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_trace_until_its_first_rows(browser, site, language):
    """Page, scripts, styles and the worker's script, as they are sent, until there are rows."""
    weight = weight_of(browser, f"{site.url}/#/trace/{site.slow}", language)
    assert any(name.startswith("trace.worker") for name in weight.files)
    assert 0 < weight.first_rows_bytes <= FIRST_ROWS_BYTES_MAX, weight.files


@pytest.mark.parametrize("view", ["search", "trace", "statistics", "topology", "settings"])
def test_each_view_fetches_no_more_than_its_budget(browser, site, view):
    """All that a view fetches by itself."""
    fragment = f"#/trace/{site.slow}" if view == "trace" else f"#/{view}"
    weight = weight_of(browser, f"{site.url}/{fragment}")
    assert 0 < weight.bytes <= BYTES_MAX, weight.files


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_jumps(open_page, site, language):
    """What is fetched after the rows has its place kept: once they show, nothing of the page moves."""
    page = open_page("#/settings", language)
    page.evaluate(
        """trace => {
        window.shifts = []
        new PerformanceObserver(list => {
          for (const { startTime, value, sources } of list.getEntries())
            window.shifts.push([startTime, value, sources.map(({ node }) => node?.className ?? node?.nodeName).join()])
        }).observe({ type: 'layout-shift', buffered: true })
        location.hash = '#/trace/' + trace
      }""",
        site.slow,
    )
    page.locator(".chips .chip").first.wait_for()
    page.locator(".trace-tools button").first.wait_for()
    page.locator(".minimap canvas").wait_for()
    page.wait_for_load_state("networkidle")
    rows = page.evaluate("performance.getEntriesByName('clew:first-rows')[0].startTime")
    assert [shift for shift in page.evaluate("shifts") if shift[0] >= rows] == []

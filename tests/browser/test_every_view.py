"""Every view in both languages and themes draws, without an error in the console, and axe finds nothing."""

from __future__ import annotations

import pytest

TITLES = {
    "search": {"en": "Search", "zh": "搜索"},
    "trace": {"en": "Trace", "zh": "链路"},
    "statistics": {"en": "Statistics", "zh": "统计"},
    "topology": {"en": "Topology", "zh": "拓扑"},
    "settings": {"en": "Settings", "zh": "设置"},
}


def fragment_of(site, view):
    return f"#/trace/{site.slow}" if view == "trace" else f"#/{view}"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("view", list(TITLES))
def test_each_view_is_in_its_language_and_accessible(
    open_page, violations_of, site, view, language, theme
):
    """It has the language's title, no text of the other language in its frame, and no violation of WCAG 2.2 AA."""
    page = open_page(fragment_of(site, view), language, theme)
    page.wait_for_function(f"() => document.title.startsWith({TITLES[view][language]!r})")
    page.wait_for_load_state("networkidle")
    assert page.locator("html").get_attribute("lang") == {"en": "en-GB", "zh": "zh-CN"}[language]
    assert violations_of(page) == []

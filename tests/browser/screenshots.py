"""`make screenshots`: each view with the demo's data, for the documents: docs/screenshots/NAME.png."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.browser.chromium import chromium
from tests.browser.site import Site, running_site

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
LOCALES = {"en": "en-GB", "zh": "zh-CN"}


class Shot(NamedTuple):
    name: str
    fragment: Callable[[Site], str]
    act: Callable[[Page], None] = lambda _: None
    is_dark: bool = False
    language: str = "en"


def _open_span(text: str) -> Callable[[Page], None]:
    return lambda page: page.locator(".span-row:visible").filter(has_text=text).first.click()


SHOTS = (
    Shot("search", lambda _: "#/search?last=3h"),
    Shot("search-slow", lambda _: "#/search?service=checkout&min=500ms&last=3h"),
    Shot("search-errors", lambda _: "#/search?service=payment&status=error&last=3h"),
    Shot(
        "trace-slow", lambda site: f"#/trace/{site.slow}", _open_span("inventoryPOST /reservations")
    ),
    Shot(
        "trace-failed", lambda site: f"#/trace/{site.failed}", lambda page: page.keyboard.press("e")
    ),
    Shot("trace-dark-zh", lambda site: f"#/trace/{site.slow}", is_dark=True, language="zh"),
    Shot("trace-logs", lambda site: f"#/trace/{site.failed}?tab=logs"),
    Shot("trace-statistics", lambda site: f"#/trace/{site.slow}?tab=statistics"),
    Shot("trace-odd", lambda site: f"#/trace/{site.odd}"),
    Shot("trace-big", lambda site: f"#/trace/{site.big}", lambda page: page.keyboard.press("]")),
    Shot("statistics", lambda _: "#/statistics"),
    Shot("statistics-checkout", lambda _: "#/statistics?service=checkout"),
    Shot("topology", lambda _: "#/topology"),
    Shot("topology-dark-zh", lambda _: "#/topology?focus=checkout", is_dark=True, language="zh"),
    Shot("settings", lambda _: "#/settings"),
)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with chromium() as browser, running_site() as site:
        for shot in SHOTS:
            _take(browser, site, shot)
            print(f"docs/screenshots/{shot.name}.png")


def _take(browser: Browser, site: Site, shot: Shot) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800},
        color_scheme="dark" if shot.is_dark else "light",
        locale=LOCALES[shot.language],
        timezone_id="Europe/Berlin",
    )
    page = context.new_page()
    page.goto(f"{site.url}/{shot.fragment(site)}")
    page.wait_for_load_state("networkidle")
    shot.act(page)
    page.wait_for_timeout(600)
    page.screenshot(path=FOLDER / f"{shot.name}.png")
    context.close()


if __name__ == "__main__":
    main()

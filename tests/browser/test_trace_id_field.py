"""The field in the frame opens a trace by its id, as people paste it from wherever they found it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

SPELLINGS = {
    "W3C, upper case": str.upper,
    "with spaces around": lambda digits: f" {digits} ",
    "X-Ray": lambda digits: f"1-{digits[:8]}-{digits[8:]}",
    "UUID": lambda digits: re.sub("(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5", digits),
}


def look_up(page, text):
    field = page.get_by_role("searchbox", name="Open a trace by its id")
    field.fill(text)
    field.press("Enter")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_an_id_opens_the_same_trace(open_page, site, spelling):
    """However the id is written, it is the same trace that opens."""
    page = open_page("#/search")
    look_up(page, SPELLINGS[spelling](site.slow))
    expect(page.locator(".span-row:visible").first).to_contain_text("POST /checkout")


@pytest.mark.parametrize("text", ["3", "0000000000000003", "0" * 31 + "3"])
def test_an_id_opens_with_or_without_its_zeros(open_page, site, text):
    """An id whose first half is zero opens with all, some or none of its zeros."""
    page = open_page("#/search")
    assert int(site.big, 16) == 3
    look_up(page, text)
    expect(page.locator(".span-row:visible").first).to_be_visible()


@pytest.mark.parametrize("text", ["g" * 32, "1" * 33])
def test_a_malformed_id_is_refused_in_the_api_words(open_page, site, text):
    """What is no id is said to be none, in the words of the API."""
    page = open_page("#/search", allowed="400")
    look_up(page, text)
    expect(page.get_by_text("a trace id has up to 32 hexadecimal digits")).to_be_visible()

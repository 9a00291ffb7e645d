"""An answer's bytes and headers."""

from __future__ import annotations

import gzip
import random

import orjson
import pytest

from chalicelib import config
from chalicelib.http.respond import html_answer, json_answer
from chalicelib.present.page import page

LARGE = {"text": "x" * 2_000}


@pytest.mark.parametrize(
    ("accepted", "is_gzipped"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("br, gzip, deflate", True),
        ("gzip;q=0", False),
        ("gzip; q=0.00", False),
        ("identity", False),
        ("", False),
    ],
)
def test_gzip_where_it_is_taken(accepted, is_gzipped):
    """An answer above a kilobyte is gzipped for those who take that, and for nobody else."""
    answer = json_answer(LARGE, {"accept-encoding": accepted})
    assert (answer.headers.get("Content-Encoding") == "gzip") is is_gzipped
    body = gzip.decompress(answer.body) if is_gzipped else answer.body
    assert orjson.loads(body) == LARGE
    assert answer.headers["Vary"] == "Accept-Encoding"


def test_a_small_answer_is_plain():
    """Below a kilobyte gzip is not worth it."""
    answer = json_answer({"a": 1}, {"accept-encoding": "gzip"})
    assert answer.body == b'{"a":1}'
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_lambda_cannot_return_is_said():
    """An answer over the limit even when gzipped is a 413 that says so, in the form of every error."""
    noise = random.Random(1).randbytes(config.RESPONSE_BYTES_MAX).hex()
    for accepted in ({}, {"accept-encoding": "gzip"}):
        answer = json_answer({"noise": noise + noise}, accepted)
        assert answer.status == 413
        assert orjson.loads(answer.body)["error"]["code"] == "response_too_large"
        assert "Content-Encoding" not in answer.headers


def test_what_gzip_makes_fit_is_answered():
    """An answer that only gzip brings under the limit is answered to those who take gzip."""
    document = {"text": "x" * (config.RESPONSE_BYTES_MAX + 1)}
    assert json_answer(document, {"accept-encoding": "gzip"}).status == 200
    assert json_answer(document, {}).status == 413


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/", "/"),
        ("/clew", "/clew/"),
        ("/clew/", "/clew/"),
        ("//example.org", "/example.org/"),
        ('/"><script>', "/&quot;&gt;&lt;script&gt;/"),
    ],
)
def test_the_page_leads_on_from_where_it_is(path, base):
    """The page's relative links work with and without a stage and a slash, and nothing in a path gets out of them."""
    html = page(path).decode()
    assert f'<base href="{base}">' in html
    assert "make ui" in html
    assert '<a href="v1/services">' in html
    assert '<a href="openapi.json">' in html
    assert '<a href="health">' in html
    assert "<script" not in html


def test_the_page_is_html():
    """A page is HTML that is not kept, for the UI may stand there next time."""
    headers = html_answer(page("/")).headers
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"

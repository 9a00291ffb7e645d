"""The built web UI: its page, at any path, and its assets, for ever."""

from __future__ import annotations

import gzip

import pytest

from chalicelib.present import ui
from chalicelib.present.ui import POLICY, asset_answer, page_answer
from tests.present.built import ASSETS, INDEX, build

GZIP = {"accept-encoding": "gzip"}


@pytest.fixture(autouse=True)
def built(tmp_path, monkeypatch):
    monkeypatch.setattr(ui, "FOLDER", build(tmp_path / "static"))


def page(path: str = "/", **headers: str):
    answer = page_answer(path, headers)
    assert answer is not None
    return answer


def asset(name: str, **headers: str):
    answer = asset_answer(name, headers)
    assert answer is not None
    return answer


def test_without_a_ui(tmp_path, monkeypatch):
    """A clone in which nothing is built has neither page nor assets."""
    monkeypatch.setattr(ui, "FOLDER", tmp_path / "none")
    assert page_answer("/", {}) is None
    assert asset_answer("index-Ab3_x.js", {}) is None


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/", "/"),
        ("/clew", "/clew/"),
        ("/clew/", "/clew/"),
        ("//", "/"),
        ("//example.org", "/example.org/"),
        ('/"><script>', "/&quot;&gt;&lt;script&gt;/"),
        ("/\ud800", "/?/"),
    ],
)
def test_the_page_leads_on_from_where_it_is(path, base):
    """The first base of the page is the path it was asked for at, ended by a slash; the rest is as it was built."""
    expected = INDEX.replace('<base href="./">', f'<base href="{base}">', 1)
    assert page(path).body == expected.encode()


def test_the_page_is_asked_for_again():
    """The page is not kept unasked; its ETag is a 304, in every form of If-None-Match, until page or path change."""
    answer = page()
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == POLICY
    etag = answer.headers["ETag"]
    for known in (etag, etag.removeprefix("W/"), f'"x", {etag}', "*"):
        again = page(**{"if-none-match": known})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
    for other in ("", '"x"', etag[:-2] + '"', etag.strip('W/"')):
        assert page(**{"if-none-match": other}).status == 200
    assert page("/clew/").headers["ETag"] != etag
    (ui.FOLDER / "index.html").write_text("another")
    assert page(**{"if-none-match": etag}).body == b"another"


def test_the_page_gzipped():
    """A page that gzip makes smaller goes gzipped to those who take it, under the same ETag."""
    (ui.FOLDER / "index.html").write_text(INDEX * 9)
    answer = page(**GZIP)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.body) == page().body
    assert answer.headers["ETag"] == page().headers["ETag"]
    assert answer.headers["Vary"] == page().headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("index-Ab3_x.js", "text/javascript; charset=utf-8"),
        ("index-Ab3_x.css", "text/css; charset=utf-8"),
        ("sans-9.woff2", "font/woff2"),
        ("tiny-1.svg", "image/svg+xml"),
        ("odd.unknown", "application/octet-stream"),
    ],
)
def test_an_asset_has_its_type_and_is_kept_for_ever(name, media_type):
    """An asset has its type by its suffix, may be kept for ever, and is gzipped where that helps and is taken."""
    answer = asset(name)
    assert (answer.status, answer.body) == (200, ASSETS[name])
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert "Content-Encoding" not in answer.headers
    smaller = asset(name, **GZIP)
    if smaller.headers.get("Content-Encoding") == "gzip":
        assert len(smaller.body) < len(answer.body)
        assert gzip.decompress(smaller.body) == answer.body
    else:
        assert smaller == answer
    assert ("Content-Encoding" in smaller.headers) is (len(ASSETS[name]) > 100)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../secret.txt", "..%2Fsecret.txt", "%2e%2e", "inner", "inner/deep.js"),
        *("nothing.js", "index-Ab3_x.js\n", "index-Ab3_x.js\0", "/etc/passwd", "a\\b", "é.js"),
        "x" * 5_000,
    ],
)
def test_what_is_no_asset(name):
    """Only a plain file of the folder itself is an asset, whatever a name tries."""
    assert asset_answer(name, {}) is None


def test_an_asset_that_the_build_has_packed():
    """It goes out as it was packed to those who take gzip, and as it is to others."""
    packed = gzip.compress(ASSETS["index-Ab3_x.js"], 1)
    (ui.FOLDER / "assets" / "index-Ab3_x.js.gz").write_bytes(packed)
    answer = asset("index-Ab3_x.js", **GZIP)
    assert answer.body == packed
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert asset("index-Ab3_x.js").body == ASSETS["index-Ab3_x.js"]

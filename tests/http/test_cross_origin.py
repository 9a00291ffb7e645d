"""Which pages may send, ask and change things: by headers alone, and over every route of the application."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import app
from chalicelib import config, wiring
from chalicelib.http.cross_origin import (
    MAX_AGE_SECONDS,
    cors_headers,
    is_foreign,
    is_link,
    needed_a_preflight,
    preflight_headers,
)
from chalicelib.model.token import Scope
from infra.tokens import make_token
from local.fake_aws import Moto
from tests.payloads import Made, payload
from tests.test_app import GUARDED, OPEN, SCOPE_OF_METHOD, SCOPE_OF_RESOURCE, sent

PAGE = "https://app.example"
UI = "https://ui.example"
OWN = "http://example.com"
"""Of a page of Clew's own: `sent` asks the host example.com."""
PARAMETERS = {"service": "cart", "trace_id": "1", "name": "x.js"}
INGEST = {
    *(("/v1/traces", "POST"), ("/v1/metrics", "POST"), ("/v1/logs", "POST")),
    *(("/api/traces", "POST"), ("/api/v1/spans", "POST"), ("/api/v2/spans", "POST")),
}
CONFIGURES = {("/v1/sampling", "PUT"), ("/v1/dead-letters/redrive", "POST")}
READS = sorted(set(GUARDED) - INGEST - CONFIGURES)
ALL = sorted({*GUARDED, *((path, "GET") for path in OPEN)})
STRATEGIES = b'{"default_strategy":{"type":"probabilistic","param":0.5}}'


@pytest.fixture(scope="module", autouse=True)
def aws():
    moto = Moto()
    moto.start(config.PREFIX, {})
    yield
    moto.stop()


@pytest.fixture
def named_ui(monkeypatch):
    monkeypatch.setattr(config, "UI_ORIGINS", frozenset({UI}))


def ask(method: str, resource: str, **headers: str) -> Any:
    sent_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    body = STRATEGIES if resource == "/v1/sampling" and method == "PUT" else b""
    return sent(method, resource, path_parameters=PARAMETERS, headers=sent_headers, body=body)


def preflight(resource: str, origin: str, method: str, names: str = "", **more: str) -> Any:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if names:
        asked["Access-Control-Request-Headers"] = names
    return sent("OPTIONS", resource, path_parameters=PARAMETERS, headers={**asked, **more})


def cors_of(got: Any) -> dict[str, str]:
    return {k: v for k, v in got.headers.items() if k.startswith("access-control-")}


class TestSending:
    @pytest.mark.parametrize(("resource", "method"), sorted(INGEST))
    @pytest.mark.parametrize("origin", [PAGE, "null", "http://127.0.0.1:5173", "capacitor://app"])
    def test_from_anywhere(self, resource, method, origin):
        """A page of any origin may send, with credentials as sendBeacon has them, and read what it is told."""
        told = preflight(resource, origin, method, "content-type")
        assert told.status == 200
        assert told.body == b""
        assert told.headers["access-control-allow-origin"] == origin
        assert told.headers["access-control-allow-credentials"] == "true"
        assert told.headers["access-control-allow-methods"] == method
        assert told.headers["access-control-max-age"] == str(MAX_AGE_SECONDS)
        got = ask(method, resource, Origin=origin, Sec_Fetch_Site="cross-site")
        assert got.status != 403
        assert got.headers["access-control-allow-origin"] == origin
        assert got.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in got.headers["vary"]
        assert "Retry-After" in got.headers["access-control-expose-headers"]
        assert "cross-origin-resource-policy" not in got.headers

    @pytest.mark.parametrize(
        "names",
        [
            "content-type,traceparent,tracestate,baggage",
            "x-tenant",
            "x-opentelemetry-outgoing-request",
            "x-api-key, authorization ,content-encoding",
        ],
    )
    def test_headers_of_its_own(self, names):
        """Whichever headers a page's exporter has are allowed, under the names that it asks for."""
        told = preflight("/v1/traces", PAGE, "POST", names)
        assert told.headers["access-control-allow-headers"] == names

    @pytest.mark.parametrize(
        "names", ["a b", "a,,b", "x-\u00e4", "a,", "a;b", "a" * 5_000, "a\r\nb: c"]
    )
    def test_names_that_are_none(self, names):
        """What is no list of headers' names, or is endless, is not said again."""
        told = preflight("/v1/traces", PAGE, "POST", names)
        assert "access-control-allow-headers" not in told.headers

    def test_a_page_of_the_internet_to_this_machine(self):
        """A browser that asks about private networks is told that a page may send into one."""
        asks = {"Access-Control-Request-Private-Network": "true"}
        told = preflight("/v1/traces", PAGE, "POST", **asks)
        assert told.headers["access-control-allow-private-network"] == "true"
        told = preflight("/v1/services", PAGE, "GET", **asks)
        assert cors_of(told) == {}

    @pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "text/plain", ""])
    def test_a_string(self, content_type):
        """sendBeacon says of a string that it is plain text: what is JSON is taken for it."""
        headers = {"Content-Type": content_type} if content_type else {}
        got = sent("POST", "/v1/traces", headers=headers, body=b'{"resourceSpans":[]}')
        assert (got.status, got.json) == (200, {})
        got = sent("POST", "/v1/traces", headers={"Content-Type": "text/plain"}, body=b"hello")
        assert got.status == 415

    def test_refused_ones_may_read_why(self, monkeypatch):
        """A page that shows no token reads its 401."""
        monkeypatch.setattr(config, "ACCESS_OPEN", False)
        got = ask("POST", "/v1/traces", Origin=PAGE)
        assert got.status == 401
        assert got.headers["access-control-allow-origin"] == PAGE

    def test_spans_of_a_page_are_stored(self):
        """What arrives from another origin is accepted as what arrives from anywhere."""
        headers = {
            "Content-Type": "application/x-protobuf",
            "Origin": PAGE,
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "no-cors",
        }
        got = sent("POST", "/v1/traces", headers=headers, body=payload([Made(1, 1)]))
        assert (got.status, got.body) == (200, b"")


FOREIGN = [
    {"Origin": PAGE},
    {"Origin": "null"},
    {"Origin": "http://example.com:81"},
    {"Origin": "http://example.com.evil.example"},
    {"Origin": "http://localhost:3000", "Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
    {"Origin": OWN, "Sec_Fetch_Site": "cross-site"},
]
OURS: list[dict[str, str]] = [
    {},
    {"Origin": OWN},
    {"Origin": OWN, "Host": "example.com:80"},
    {"Sec_Fetch_Site": "same-origin"},
    {"Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate"},
    # Behind a proxy that says another Host.
    {"Origin": "https://clew.example", "Sec_Fetch_Site": "same-origin"},
]


class TestReading:
    @pytest.mark.parametrize(("resource", "method"), READS)
    def test_from_nowhere_else(self, resource, method):
        """No page of another origin may read any route, nor make it work; every way a browser says so counts."""
        for headers in FOREIGN:
            got = ask(method, resource, **headers)
            assert got.status == 403, headers
            assert cors_of(got) == {}
            assert b"CLEW_UI_ORIGINS" in got.body
        for asked in (method, "POST", "DELETE"):
            if (resource, asked) not in INGEST:
                assert cors_of(preflight(resource, PAGE, asked, "authorization")) == {}

    @pytest.mark.parametrize("resource", sorted(OPEN))
    def test_open_routes(self, resource):
        """What is for everyone is for no other page either, and is refused to nobody."""
        got = ask("GET", resource, Origin=PAGE, Sec_Fetch_Site="cross-site")
        assert got.status != 403
        assert cors_of(got) == {}
        assert got.headers["cross-origin-resource-policy"] == "same-origin"

    @pytest.mark.parametrize("headers", OURS)
    def test_own_pages_and_programs(self, headers):
        """Clew's own pages, and who is no browser, are answered."""
        assert ask("GET", "/v1/services", **headers).status == 200
        assert ask("POST", "/api/transform", **headers).status != 403

    def test_a_link_on_another_page_leads_to_an_answer(self):
        """A link on another page leads to an answer, which a person sees; a form of that page does not."""
        followed = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
        assert ask("GET", "/v1/services", **followed).status == 200
        assert ask("POST", "/api/transform", Origin=PAGE, **followed).status == 403

    @pytest.mark.parametrize(("resource", "method"), ALL)
    def test_named_ui(self, named_ui, resource, method):
        """A UI at an origin that the setting names may read everything, with a token's header; others still may not."""
        told = preflight(resource, UI, method, "authorization")
        assert told.headers["access-control-allow-origin"] == UI
        assert told.headers["access-control-allow-headers"] == "authorization"
        got = ask(method, resource, Origin=UI, Sec_Fetch_Site="cross-site", X_Clew_Request="1")
        assert got.status != 403
        assert got.headers["access-control-allow-origin"] == UI
        assert "Origin" in got.headers["vary"]
        if (resource, method) not in INGEST:
            assert cors_of(preflight(resource, PAGE, method)) == {}
            other = ask(method, resource, Origin=f"{UI}.evil.example")
            assert cors_of(other) == {}


class TestChanging:
    @pytest.mark.parametrize(("resource", "method"), sorted(CONFIGURES))
    def test_by_no_other_page(self, resource, method):
        """A page of another origin changes nothing, whatever header it has; not by a link either."""
        for headers in FOREIGN:
            more = {**headers, "Sec_Fetch_Mode": "navigate", "X_Clew_Request": "1"}
            assert ask(method, resource, **more).status == 403
        assert cors_of(preflight(resource, PAGE, method, "x-clew-request")) == {}

    @pytest.mark.parametrize(("resource", "method"), sorted(CONFIGURES))
    @pytest.mark.parametrize("headers", OURS)
    def test_by_who_can_set_a_header(self, resource, method, headers):
        """Own pages and programs change things with a header that no simple request has, and are told which."""
        refused = ask(method, resource, **headers)
        assert refused.status == 403
        assert b"X-Clew-Request: 1" in refused.body
        assert ask(method, resource, X_Clew_Request="1", **headers).status == 200

    def test_every_changing_route_is_known(self):
        """A route that changes something is one for the scope configure: none other than these."""
        needs = {
            (resource, method)
            for resource, method in GUARDED
            if SCOPE_OF_RESOURCE.get(resource, SCOPE_OF_METHOD.get(method, "read")) == "configure"
            and (method != "GET")
        }
        assert needs == CONFIGURES

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"x_api_key": "a-token-to-configure"}, 200),
            ({"Authorization": "Bearer a-token-to-configure"}, 200),
            ({"Authorization": "Basic bWU6YS10b2tlbi10by1jb25maWd1cmU="}, 403),
            (
                {"Authorization": "Basic bWU6YS10b2tlbi10by1jb25maWd1cmU=", "X_Clew_Request": "1"},
                200,
            ),
        ],
    )
    def test_a_token_is_such_a_header(self, monkeypatch, headers, status):
        """A token in a header of its own needs no other; a password, which browsers add by themselves, does."""
        monkeypatch.setattr(config, "ACCESS_OPEN", False)
        make_token(wiring.store(), [Scope.CONFIGURE], "", "a-token-to-configure")
        assert ask("PUT", "/v1/sampling", **headers).status == status


ORIGIN = st.one_of(
    st.sampled_from([PAGE, UI, OWN, "null", "", "*"]),
    st.from_regex(r"https?://[a-z.]{1,12}(:[0-9]{1,5})?", fullmatch=True),
    st.text(max_size=30),
)
HEADERS = st.fixed_dictionaries(
    {"host": st.sampled_from(["example.com", "example.com:8000", ""]), "origin": ORIGIN},
    optional={
        "sec-fetch-site": st.sampled_from(["cross-site", "same-site", "same-origin", "none", "?"]),
        "access-control-request-headers": st.text(max_size=40),
        "access-control-request-method": st.sampled_from(["GET", "POST", "PUT"]),
    },
)


class TestRules:
    @given(HEADERS)
    def test_nothing_is_said_to_others(self, headers):
        """Whatever a request says of itself: unless all pages may, only a named origin is allowed anything."""
        allowed = cors_headers(headers, {UI}, for_everyone=False)
        told = preflight_headers(headers, {UI}, {"GET"}, for_everyone=False)
        if headers["origin"].lower() != UI:
            assert allowed == {"Vary": "Origin"}
            assert not [name for name in told if name.startswith("Access-Control-")]
        assert "*" not in allowed.values()

    @given(HEADERS)
    def test_what_is_said_is_one_line(self, headers):
        """Nothing that a request says comes back with a line's end or with what no origin or header's name has."""
        said = {
            **cors_headers(headers, (), for_everyone=True),
            **preflight_headers(headers, (), {"POST"}, for_everyone=True),
        }
        for value in said.values():
            assert re.fullmatch(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?", value)

    @given(HEADERS)
    def test_own_named_or_foreign(self, headers):
        """A named origin is never foreign; one that is neither named nor the host's is, unless proven to be own."""
        foreign = is_foreign(headers, {UI})
        if headers["origin"].lower() == UI:
            assert not foreign
        elif headers.get("sec-fetch-site") not in ("same-origin", "none") and headers["origin"]:
            own = f"//{headers['host']}"
            assert foreign or headers["origin"].lower().endswith(own)

    @pytest.mark.parametrize(
        ("text", "origins"),
        [
            ("", set()),
            (" , ", set()),
            ("null", set()),
            ("https://A.example/, http://b:1 ", {"https://a.example", "http://b:1"}),
        ],
    )
    def test_the_setting(self, text, origins):
        """Origins are separated by commas; no entry is a pattern, and null, which anyone can be, is none."""
        assert config.origins_in(text) == origins

    def test_links_and_headers(self):
        """A form's POST is no link; x-api-key, Bearer and X-Clew-Request need a preflight, Basic does not."""
        assert is_link("GET", {"sec-fetch-mode": "navigate"})
        assert not is_link("POST", {"sec-fetch-mode": "navigate"})
        assert not is_link("GET", {"sec-fetch-mode": "cors"})
        for headers in ({"x-api-key": "a"}, {"authorization": "bearer a"}, {"x-clew-request": "1"}):
            assert needed_a_preflight(headers)
        for headers in ({}, {"authorization": "Basic YTpi"}, {"x-clew-request": ""}):
            assert not needed_a_preflight(headers)


def test_every_path_takes_preflights():
    """The function itself answers preflights on every path: API Gateway's own answers are constant."""
    for resource, methods in app.routes.items():
        assert "OPTIONS" in methods, resource
        assert all(entry.cors is None for entry in methods.values())
        told = preflight(resource, PAGE, "GET")
        assert told.status == 200
        allowed = told.headers["allow"].split(", ")
        assert sorted(allowed) == sorted(set(methods) - {"OPTIONS"})

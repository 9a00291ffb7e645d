"""Pages of other origins in a real browser: what their exporters send arrives, and they read and change nothing."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib import config
from local.stack import LaptopStack
from tests.e2e.shop import get, http, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

_SPAN = """
const span = (trace, service) => JSON.stringify({resourceSpans: [{
  resource: {attributes: [{key: "service.name", value: {stringValue: service}}]},
  scopeSpans: [{spans: [{traceId: trace, spanId: "00f067aa0ba902b7", name: "page", kind: 3,
    startTimeUnixNano: Date.now() + "000000", endTimeUnixNano: Date.now() + 5 + "000000"}]}]}]});
const zipkin = (trace) => JSON.stringify([{traceId: trace, id: "00f067aa0ba902b7", name: "page",
  timestamp: Date.now() * 1000, duration: 5, localEndpoint: {serviceName: "page-zipkin"}}]);
"""
_SENDS = {
    "beacon-json": 'b("/v1/traces", new Blob([span(t, n)], {type: "application/json"}))',
    "beacon-text": 'b("/v1/traces", span(t, n))',
    "beacon-untyped": 'b("/v1/traces", new Blob([span(t, n)]))',
    "beacon-zipkin": 'b("/api/v2/spans", zipkin(t))',
    "fetch": 'f("/v1/traces", {}, {keepalive: true})',
    "fetch-key": 'f("/v1/traces", {"x-api-key": "t"})',
    "fetch-traceparent": 'f("/v1/traces", {traceparent: `00-${t}-00f067aa0ba902b7-01`, "x-tenant": "a"})',
    "fetch-credentials": 'f("/v1/traces", {"x-opentelemetry-outgoing-request": "1"}, {credentials: "include"})',
    "fetch-no-cors": 'f("/v1/traces", {"Content-Type": "text/plain"}, {mode: "no-cors"})',
}
"""How exporters in pages send; each way is its service's name."""


@contextmanager
def served(page: str) -> Iterator[int]:
    """The port of a server of its own, at which every path is this page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=partial(server.serve_forever, 0.05))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def clew() -> Iterator[LaptopStack]:
    with LaptopStack(batch_window_seconds=0.05, run_schedules=False) as stack:
        body = (
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%s","spanId":"%s",'
            b'"name":"secret-name"}]}]}]}' % (b"a" * 32, b"b" * 16)
        )
        headers = {"Content-Type": "application/json"}
        assert http(f"{stack.url}/v1/traces", "POST", body, headers).status == 200
        stack.wait_until_stored()
        yield stack


def run_on(browser: Browser, url: str, script: str, argument: Any) -> Any:
    """What a script returns that runs on a page there."""
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(url)
        return page.evaluate(script, argument)
    finally:
        context.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_what_exporters_send_arrives(browser, clew, host):
    """Beacons and fetches of a page on another port, or of another site, arrive, whatever headers they have."""
    script = f"""async (base) => {{
      {_SPAN}
      const told = {{}};
      for (const [n, send] of Object.entries(ways)) {{
        const t = [...crypto.getRandomValues(new Uint8Array(16))].map((x) => x.toString(16).padStart(2, "0")).join("");
        const b = (path, body) => navigator.sendBeacon(base + path, body);
        const f = async (path, headers, more) => (await fetch(base + path, {{method: "POST", body: span(t, n),
          headers: {{"Content-Type": "application/json", ...headers}}, ...more}})).status;
        told[n] = [t, await send(b, f, t, n, span, zipkin).catch?.(String) ?? true];
      }}
      return told;
    }}"""
    ways = ", ".join(
        f'"{name}": async (b, f, t, n, span, zipkin) => {code}' for name, code in _SENDS.items()
    )
    script = script.replace("Object.entries(ways)", f"Object.entries({{{ways}}})")
    with served("<!doctype html><title>other</title>") as port:
        told = run_on(browser, f"http://{host}:{port}/", script, clew.url)
        assert set(told) == set(_SENDS)
        # Of a request without CORS a page is told nothing, not even a status.
        expected = {name: 0 if name == "fetch-no-cors" else 200 for name in told if "fetch" in name}
        assert {name: told[name][1] for name in expected} == expected
    # A beacon is sent when the browser likes.
    traces = [trace_id for trace_id, _ in told.values()]
    wait_until(lambda: all(_is_stored(clew, trace_id) for trace_id in traces), 30)


def _is_stored(clew: LaptopStack, trace_id: str) -> bool:
    clew.wait_until_stored()
    return http(f"{clew.url}/v1/traces/{trace_id}").status == 200


_ATTACK = """async (base) => {
  const got = {};
  const attempt = async (name, path, options) => {
    try {
      const answer = await fetch(base + path, options);
      got[name] = answer.type === "opaque" ? "opaque" : (await answer.text()).slice(0, 80);
    } catch (error) { got[name] = "blocked"; }
  };
  await attempt("traces", "/v1/traces?limit=1");
  await attempt("trace", "/v1/traces/" + "a".repeat(32));
  await attempt("jaeger", "/api/services");
  await attempt("zipkin", "/api/v2/services");
  await attempt("health", "/health");
  await attempt("credentials", "/v1/traces", {credentials: "include"});
  await attempt("put", "/v1/sampling", {method: "PUT", headers: {"Content-Type": "application/json"}, body: zero});
  await attempt("put-header", "/v1/sampling", {method: "PUT", headers: {"X-Clew-Request": "1"}, body: zero});
  await attempt("redrive", "/v1/dead-letters/redrive", {method: "POST"});
  await attempt("redrive-no-cors", "/v1/dead-letters/redrive", {method: "POST", mode: "no-cors"});
  await attempt("read-no-cors", "/v1/traces", {mode: "no-cors"});
  return got;
}"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_another_page_reads_and_changes_nothing(browser, clew, host):
    """From another port or another site nothing is read and nothing is changed, with whatever a page can send."""
    before = get(clew.url, "/v1/sampling")
    zero = '{"default_strategy":{"type":"probabilistic","param":0}}'
    script = _ATTACK.replace("zero}", f"{zero!r}}}")
    with served("<!doctype html><title>other</title>") as port:
        got = run_on(browser, f"http://{host}:{port}/", script, clew.url)
    assert set(got.values()) <= {"blocked", "opaque"}, got
    assert get(clew.url, "/v1/sampling") == before
    assert get(clew.url, "/v1/dead-letters")["redrive"] is None


def test_a_form_of_another_page_changes_nothing(browser, clew):
    """A page that sends its visitor's browser along with a form is refused: the answer says so to the visitor."""
    form = (
        f'<form method=post action="{clew.url}/v1/dead-letters/redrive"><button>win</button></form>'
    )
    with served(f"<!doctype html>{form}") as port:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        with page.expect_navigation() as navigation:
            page.click("button")
        assert navigation.value.status == 403
        context.close()
    assert get(clew.url, "/v1/dead-letters")["redrive"] is None


def test_a_named_ui_reads(browser, clew, monkeypatch):
    """A page at an origin that the setting names reads, and shows a token in a header; its neighbour does not."""
    script = """async (base) => (await fetch(base + "/v1/traces/" + "a".repeat(32),
      {headers: {Authorization: "Bearer t"}}).then((answer) => answer.text(), String))"""
    with served("<!doctype html><title>ui</title>") as port:
        monkeypatch.setattr(config, "UI_ORIGINS", frozenset({f"http://localhost:{port}"}))
        assert "secret-name" in run_on(browser, f"http://localhost:{port}/", script, clew.url)
        assert "TypeError" in run_on(browser, f"http://127.0.0.1:{port}/", script, clew.url)

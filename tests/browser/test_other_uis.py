"""Zipkin Lens and jaeger-ui, as they are built, in a real browser on Clew's APIs.

Lens is in Zipkin's server, which `make contract` installs. Of jaeger-ui JAEGER_UI_DIR names a build.
"""

from __future__ import annotations

import io
import json
import os
import re
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from local.gateway import Gateway
from local.server import Server, listening_socket
from local.ui_folder import ZIPKIN_BASE, ui_folder_at, with_ui_folder
from tests.e2e.shop import get

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.emulator

ZIPKIN_SERVER = Path(__file__).parents[2] / ".venv-emulator" / "zipkin-server"
LENS_SAYS = "GL Driver Message|react-i18next:: Trans"
"""Its warnings wherever it runs: of drawing without a GPU, and of its own translations."""
JAEGER_SAYS = "of chart should be greater than 0"
"""Likewise: its chart is drawn once before it has a size."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL of another UI on the site that runs already."""
    from app import app

    listening = listening_socket("127.0.0.1", 0)
    port = listening.getsockname()[1]
    ui = ui_folder_at(folder)._replace(port=port)
    server = Server(with_ui_folder(Gateway(app), ui), [listening])
    server.start()
    try:
        yield f"http://127.0.0.1:{port}{ui.base}"
    finally:
        server.stop()


@pytest.fixture(scope="module")
def lens_url(site, tmp_path_factory):
    jars = sorted(ZIPKIN_SERVER.glob("zipkin-server-*-exec.jar"))
    if not jars:
        pytest.skip("Zipkin Lens is not installed (make contract installs it where Java is)")
    folder = tmp_path_factory.mktemp("lens")
    with zipfile.ZipFile(jars[-1]) as server_jar:
        (name,) = [n for n in server_jar.namelist() if "/zipkin-lens-" in n]
        with zipfile.ZipFile(io.BytesIO(server_jar.read(name))) as lens_jar:
            lens_jar.extractall(
                folder, [n for n in lens_jar.namelist() if n.startswith("zipkin-lens/")]
            )
    with served(folder / "zipkin-lens") as url:
        yield url


@pytest.fixture(scope="module")
def jaeger_url(site):
    if not os.environ.get("JAEGER_UI_DIR"):
        pytest.skip("JAEGER_UI_DIR does not name a build of jaeger-ui (docs/jaeger.md)")
    with served(Path(os.environ["JAEGER_UI_DIR"])) as url:
        yield url


@pytest.fixture
def open_ui(open_page):
    """`open_ui(url, "/search", allowed)`; the test fails at the end if an answer was an error."""
    failed: list[str] = []

    def note(asked, status):
        if status >= 400:
            failed.append(f"{status} {asked.url}")

    def open_ui(url, path, allowed):
        # Listened to from the first request of the UI's on.
        page = open_page(base=url.removesuffix(ZIPKIN_BASE), end="/health", allowed=allowed)
        page.on("response", lambda got: note(got.request, got.status))
        page.on("requestfailed", lambda asked: note(asked, 599))
        page.goto(f"{url}{path}")
        return page

    yield open_ui
    assert failed == []


class TestLens:
    def test_a_search_for_a_service_finds_its_traces(self, open_ui, lens_url, site):
        """A search for a service finds its traces."""
        page = open_ui(lens_url, "/?serviceName=payment&lookback=1h&limit=10", LENS_SAYS)
        expect(page.get_by_text("payment", exact=True)).to_be_visible()
        page.get_by_role("button", name="Run Query").click()
        expect(page.get_by_text("frontend: post /checkout")).to_have_count(10)

    def test_narrow_search(self, open_ui, lens_url, site):
        """Every condition that the form has is met by what is found: a tag, names, a duration."""
        conditions = "serviceName=payment&spanName=post%20%2Fpayments&minDuration=1000"
        tag = "annotationQuery=error.type%3D402"
        page = open_ui(lens_url, f"/?{conditions}&{tag}&lookback=15m&limit=100", LENS_SAYS)
        page.get_by_role("button", name="Run Query").click()
        found = get(
            site.url,
            "/api/v2/traces",
            serviceName="payment",
            spanName="post /payments",
            minDuration=1_000,
            annotationQuery="error.type=402",
            lookback=900_000,
            limit=100,
        )
        assert found
        expect(page.get_by_role("button", name="Show")).to_have_count(len(found))

    def test_the_search_offers_the_services_that_there_are(self, open_ui, lens_url, site):
        """The search's field offers the services that there are."""
        page = open_ui(lens_url, "/", LENS_SAYS)
        page.get_by_test_id("add-button").click()
        page.keyboard.type("serviceName")
        page.keyboard.press("Enter")
        for service in ("checkout", "email-worker"):
            expect(page.get_by_text(service, exact=True)).to_be_visible()

    def test_a_trace_page_has_all_spans_and_the_error_message(self, open_ui, lens_url, site):
        """A trace's page has all its spans, and the error's message among a span's tags."""
        spans = get(site.url, f"/api/v2/trace/{site.failed}")
        page = open_ui(lens_url, f"/traces/{site.failed}", LENS_SAYS)
        expect(page.get_by_text("frontend: post /checkout").first).to_be_visible()
        expect(page.locator("body")).to_contain_text(
            re.compile(rf"Total Spans\s*{len(spans)}\D"), ignore_case=True
        )
        expect(page.get_by_text("the card was declined").first).to_be_visible()
        for span in spans:
            name = f": {span['name']}"
            expect(page.get_by_text(name).first).to_be_attached()

    @pytest.mark.parametrize("trace", ["odd", "hostile", "big"])
    def test_hard_traces(self, open_ui, lens_url, site, trace):
        """Circles, doubled ids, hostile text and 5,000 spans are shown too."""
        page = open_ui(lens_url, f"/traces/{getattr(site, trace)}", LENS_SAYS)
        # Lens itself takes some seconds to draw 5,000 rows.
        expect(page.locator("body")).to_contain_text(
            re.compile("Total Spans", re.IGNORECASE), timeout=60_000
        )

    def test_the_dependency_page_draws_all_services_that_call(self, open_ui, lens_url, site):
        """The page of dependencies draws a graph of all services that call or are called."""
        links = get(site.url, "/api/v2/dependencies", endTs=time.time_ns() // 10**6)
        page = open_ui(lens_url, "/dependency", LENS_SAYS)
        page.get_by_role("button", name="Run Query").click()
        expect(page.locator("canvas")).to_be_visible()
        page.get_by_role("combobox").click()
        names = {link[end] for link in links for end in ("parent", "child")}
        assert len(names) > 10
        for name in names:
            expect(page.get_by_role("option", name=name, exact=True)).to_be_attached()


class TestJaegerUi:
    def test_a_search_finds_traces_and_offers_services_and_operations(
        self, open_ui, jaeger_url, site
    ):
        """A search for a service finds its traces, and offers services and operations."""
        page = open_ui(jaeger_url, "/search?service=payment&limit=20&lookback=1h", JAEGER_SAYS)
        expect(page.get_by_text("frontend: POST /checkout").first).to_be_visible()
        expect(page.locator("body")).to_contain_text(re.compile("20 traces", re.IGNORECASE))
        expect(page.locator("body")).to_contain_text(re.compile(r"Operation \(\d+\)"))

    def test_a_search_for_a_tag_finds_just_its_traces(self, open_ui, jaeger_url, site):
        """A search for a tag finds just the traces that have it."""
        tags = "%7B%22error.type%22%3A%22402%22%7D"
        found = get(
            site.url, "/api/traces", service="payment", tags='{"error.type":"402"}', limit=100
        )["data"]
        assert found
        page = open_ui(
            jaeger_url, f"/search?service=payment&tags={tags}&limit=100&lookback=1h", JAEGER_SAYS
        )
        expect(page.locator("body")).to_contain_text(
            re.compile(rf"(?<!\d){len(found)} traces?", re.IGNORECASE)
        )

    def test_a_trace_page_counts_its_spans_and_marks_the_failed_one(
        self, open_ui, jaeger_url, site
    ):
        """A trace's page has the count of all its spans, and the span that failed."""
        (trace,) = get(site.url, f"/api/traces/{site.failed}")["data"]
        page = open_ui(jaeger_url, f"/trace/{site.failed}", JAEGER_SAYS)
        expect(page.locator("body")).to_contain_text(f"Total Spans{len(trace['spans'])}")
        expect(page.get_by_text("POST /payments").first).to_be_visible()

    @pytest.mark.parametrize(
        ("view", "text"),
        [
            ("Trace Graph", "POST /payments"),
            ("Trace Statistics", "payment"),
            ("Trace Spans Table", "POST /checkout"),
            ("Trace Flamegraph", "POST /checkout"),
        ],
    )
    def test_every_other_view_draws_the_trace(self, open_ui, jaeger_url, site, view, text):
        """Each other view of a trace draws it."""
        page = open_ui(jaeger_url, f"/trace/{site.failed}", JAEGER_SAYS)
        button = page.get_by_role("button", name="Trace Timeline")
        item = page.get_by_role("menuitem", name=view)
        button.hover()
        try:
            # 2.14 opens the menu for who comes near, and closes it at a click; later releases open it at a click.
            expect(item).to_be_visible(timeout=1_500)
        except AssertionError:
            button.click()
        item.click()
        expect(page.locator(".AltViewOptions")).to_contain_text(view)
        expect(page.get_by_text(text).first).to_be_attached()

    def test_an_uploaded_otlp_file_is_shown(self, open_ui, jaeger_url, site, tmp_path):
        """A file of OTLP/JSON is shown, by way of Clew's transformation."""
        file = tmp_path / "trace.json"
        file.write_text(json.dumps(get(site.url, f"/v1/traces/{site.failed}")))
        page = open_ui(jaeger_url, "/search", JAEGER_SAYS)
        page.get_by_text("Upload", exact=True).click()
        page.locator("input[type=file]").set_input_files(file)
        expect(page.get_by_text("frontend: POST /checkout").first).to_be_visible()
        expect(page.locator("body")).to_contain_text(re.compile("1 trace", re.IGNORECASE))

    @pytest.mark.parametrize("trace", ["odd", "hostile", "big"])
    def test_hard_traces(self, open_ui, jaeger_url, site, trace):
        """Circles, doubled ids, hostile text and 5,000 spans are shown too."""
        page = open_ui(jaeger_url, f"/trace/{getattr(site, trace)}", JAEGER_SAYS)
        expect(page.locator("body")).to_contain_text("Total Spans")

    def test_two_traces_are_compared_side_by_side(self, open_ui, jaeger_url, site):
        """Two traces are compared."""
        page = open_ui(jaeger_url, f"/trace/{site.failed}...{site.slow}", JAEGER_SAYS)
        for each in (site.failed, site.slow):
            expect(page.get_by_text(each[:7]).first).to_be_visible()
        expect(page.get_by_text("POST /reservations").first).to_be_attached()

    def test_the_architecture_has_every_service_that_calls(self, open_ui, jaeger_url, site):
        """The system's architecture has every service that calls or is called."""
        links = get(site.url, "/api/dependencies")["data"]
        page = open_ui(jaeger_url, "/dependencies", JAEGER_SAYS)
        names = {link[end] for link in links for end in ("parent", "child")}
        assert len(names) > 10
        for name in names:
            expect(page.get_by_text(name, exact=True).first).to_be_attached()

    def test_the_monitor_has_latencies_rates_and_errors(self, open_ui, jaeger_url, site):
        """The monitor has latencies, rates and errors of a service's operations, without Prometheus."""
        page = open_ui(jaeger_url, "/monitor", JAEGER_SAYS)
        expect(page.get_by_text("P95 Latency").first).to_be_visible()
        expect(page.get_by_role("cell", name="nightly")).to_be_visible()
        expect(page.get_by_role("cell", name="req/s")).to_be_visible()

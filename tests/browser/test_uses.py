"""What people do with each view by pointer, file and key, beyond the first flows."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress

import pytest
from playwright.sync_api import Error, expect

from tests.e2e.shop import http
from tests.payloads import Made, payload, trace_id

SECOND = 10**9


def rows(page):
    return page.locator(".span-row:visible")


def opened(open_page, trace_id, parameters="", **options):
    page = open_page(f"#/trace/{trace_id}{parameters}", **options)
    expect(rows(page).first).to_be_visible()
    expect(page.locator(".trace-tools button").first).to_be_visible()
    return page


def drag(page, locator, start, end):
    """From one place of the element to another; both are shares of its width and height."""
    box = locator.bounding_box()
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=5)
    page.mouse.up()


def send(site, spans):
    headers = {"Content-Type": "application/x-protobuf"}
    assert http(f"{site.url}/v1/traces", "POST", payload(spans), headers).status == 200


def otlp(spans):
    """An OTLP document of one service."""
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {
                        "attributes": [{"key": "service.name", "value": {"stringValue": "file"}}]
                    },
                    "scopeSpans": [{"spans": spans}],
                }
            ]
        }
    )


def span(number, parent=0, name="work", start=0, duration=1_000_000):
    began = 1_767_268_800 * SECOND + start
    return {
        "traceId": "0a" * 16,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(began),
        "endTimeUnixNano": str(began + duration),
    }


class TestSearch:
    def test_a_point_of_the_plot_opens_its_trace(self, open_page, site):
        """A point of the plot tells its trace, and opens it."""
        page = open_page("#/search?service=checkout&last=3h")
        expect(page.locator(".result").first).to_be_visible()
        canvas = page.locator(".plot canvas")
        box = canvas.bounding_box()
        tooltip = page.locator(".plot .tooltip")
        places = [
            (box["x"] + x, box["y"] + y)
            for x in range(40, int(box["width"]), 6)
            for y in range(10, int(box["height"]) - 10, 6)
        ]
        for place in places:
            page.mouse.move(*place)
            if tooltip.count():
                break
        expect(tooltip).to_contain_text("checkout")
        page.mouse.down()
        page.mouse.up()
        expect(page).to_have_url(re.compile("#/trace/[0-9a-f]{32}"))
        expect(rows(page).first).to_be_visible()

    def test_live_results_arrive_on_top_and_marked(self, open_page, site):
        """While it is live, what arrives is on top by itself, and marked."""
        page = open_page("#/search?service=live-arrival&last=15m")
        expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
        page.keyboard.press("l")
        send(site, [Made(11, 1, "live-arrival", start=time.time_ns() - SECOND)])
        expect(page.locator(".result")).to_have_count(1, timeout=20_000)


class TestTrace:
    def test_zoom_by_drag(self, open_page, site):
        """Across the overview and across the axis; a double click shows all again."""
        page = opened(open_page, site.slow)
        for place in (".minimap canvas", ".axis-times"):
            drag(page, page.locator(place), (0.3, 0.5), (0.6, 0.5))
            expect(page).to_have_url(re.compile(r"[?&]z=\d+-\d+"))
            page.locator(place).dblclick(position={"x": 200, "y": 10})
            expect(page).not_to_have_url(re.compile(r"[?&]z="))

    def test_zoom_by_wheel(self, open_page, site):
        """With Ctrl, about the pointer; without, the list scrolls and the time stays."""
        page = opened(open_page, site.slow)
        page.locator(".stage canvas").hover()
        page.mouse.wheel(0, 120)
        page.keyboard.down("Control")
        page.mouse.wheel(0, -240)
        page.keyboard.up("Control")
        expect(page).to_have_url(re.compile(r"[?&]z=\d+-\d+"))

    def test_levels_fold_and_unfold_and_are_in_the_address(self, open_page, site):
        """o closes the deepest level that is open, p opens it again; the address has what is closed."""
        page = opened(open_page, site.slow)
        before = rows(page).count()
        page.keyboard.press("o")
        expect(rows(page)).not_to_have_count(before)
        expect(page).to_have_url(re.compile("closed="))
        closed = rows(page).count()
        other = open_page("#" + page.url.partition("#")[2])
        expect(rows(other)).to_have_count(closed)
        page.keyboard.press("p")
        expect(rows(page)).to_have_count(before)

    def test_a_downloaded_trace_opens_again_as_a_file(self, open_page, site):
        """The whole trace as OTLP/JSON, which opens again as a file."""
        page = opened(open_page, site.slow)
        spans = page.locator(".facts-line").inner_text()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert download.value.suggested_filename == f"{site.slow}.json"
        page.goto(f"{site.url}/#/trace")
        page.get_by_label("Choose a file…").set_input_files(download.value.path())
        expect(page.locator(".facts-line")).to_have_text(spans.replace("\n", ""))

    def test_copy_link(self, open_page, site):
        """The link has what was chosen a moment ago."""
        page = opened(open_page, site.slow)
        rows(page).nth(3).click()
        page.get_by_role("button", name="Copy link").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        link = page.evaluate("navigator.clipboard.readText()")
        assert re.search(r"[?&]span=[0-9a-f]{16}", link)

    def test_panel_whole(self, open_page, site):
        """Events, the resource, the raw JSON; a value is copied as it is."""
        page = opened(open_page, site.failed)
        page.keyboard.press("e")
        page.keyboard.press("Enter")
        panel = page.get_by_role("complementary", name="Span")
        for text in ("Attributes", "Resource", "Raw JSON"):
            expect(panel.locator("summary").filter(has_text=text)).to_be_visible()
        panel.locator("summary").filter(has_text="Raw JSON").click()
        expect(panel).to_contain_text('"resource"')
        row = panel.get_by_role("row").filter(has_text="service.version")
        row.hover()
        row.get_by_role("button", name="Copy value: service.version").click()
        assert re.fullmatch(r"[\d.]+", page.evaluate("navigator.clipboard.readText()"))

    def test_statistics_lead_back(self, open_page, site):
        """Total, self, p95 and longest of a group; its name leads to its longest span."""
        page = open_page(f"#/trace/{site.slow}?tab=statistics")
        line = page.get_by_role("row").filter(has_text="SELECT stock")
        assert len(re.findall(r"\d (?:ms|µs|s)", line.inner_text())) >= 4
        line.get_by_role("button").first.click()
        expect(page.locator('.span-row[aria-selected="true"]')).to_contain_text("SELECT stock")

    def test_just_arriving(self, open_page, site):
        """Of a trace that ended a moment ago more may come: it says so, and is read again on demand."""
        now = time.time_ns()
        send(site, [Made(12, 1, "fresh", name="first", start=now - SECOND)])
        page = open_page(f"#/trace/{trace_id(12).hex()}", allowed="404")
        expect(rows(page).first).to_contain_text("first", timeout=20_000)
        notice = page.locator(".notice").filter(has_text="Just now")
        notice.locator("summary").click()
        expect(notice).to_contain_text("more of its spans may be on their way")
        send(site, [Made(12, 2, "fresh", 1, name="second", start=now - SECOND)])

        def has_arrived():
            found = http(f"{site.url}/v1/traces/{trace_id(12).hex()}", "GET")
            return b"second" in found.body

        while not has_arrived():
            page.wait_for_timeout(50)
        notice.get_by_role("button", name="Reload").click()
        expect(rows(page)).to_have_count(2)


class TestFiles:
    def test_a_file_can_be_dropped_on_any_view(self, open_page, site):
        """Dropped anywhere, on any view."""
        page = open_page("#/settings")
        page.evaluate(
            """text => {
            const dataTransfer = new DataTransfer()
            dataTransfer.items.add(new File([text], 'trace.json', { type: 'application/json' }))
            for (const kind of ['dragover', 'drop'])
              document.body.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }))
          }""",
            otlp([span(1), span(2, 1, "inner")]),
        )
        expect(rows(page)).to_have_count(2)
        expect(page).to_have_url(re.compile("#/trace/file"))

    @pytest.mark.parametrize(
        ("spans", "text", "count"),
        [
            pytest.param(
                [span(at + 1, start=at) for at in range(5_000)],
                "5,000 roots",
                5_000,
                id="5,000 roots",
            ),
            pytest.param([span(1, 77), span(2, 1)], "1 without parent", 2, id="no root"),
            pytest.param([span(1, 2), span(2, 1)], "1 cycle", 2, id="circle"),
            pytest.param(
                [span(1, duration=90_000_000 * SECOND), span(2, 1, duration=0)],
                "d 16 h",
                2,
                id="years",
            ),
            pytest.param([span(1), span(2, 1, duration=-5_000_000)], "work", 2, id="negative"),
            pytest.param([span(1, duration=0), span(2, 1, duration=0)], "0 ns", 2, id="zero"),
            pytest.param(
                [span(1), span(2, 1), span(2, 1, "again")], "same id", 3, id="one id twice"
            ),
            pytest.param(
                [span(1, name="x" * 10_000), span(2, 1, "\u202e\u0623\u0647\u0644 🧶")],
                "🧶",
                2,
                id="names",
            ),
        ],
    )
    def test_an_odd_trace_is_shown_whole_and_explained(
        self, open_page, site, tmp_path, spans, text, count
    ):
        """It is shown whole, is explained where that helps, and can be gone through by keys."""
        file = tmp_path / "odd.json"
        file.write_text(otlp(spans))
        page = open_page("#/trace")
        page.get_by_label("Choose a file…").set_input_files(file)
        expect(rows(page).first).to_be_visible()
        page.keyboard.press("]")
        grid = page.get_by_role("treegrid")
        expect(page.locator(".trace")).to_contain_text(text)
        assert int(grid.get_attribute("aria-rowcount")) >= count
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        expect(page.get_by_role("complementary", name="Span")).to_be_visible()
        page.keyboard.press("f")
        page.keyboard.press("0")

    def test_30_megabytes(self, open_page, site, tmp_path):
        """A file of 30 MB is shown, and can be looked through."""
        file = tmp_path / "large.json"
        file.write_text(
            otlp([span(at + 1, at // 8, f"step {at} " + "x" * 80) for at in range(100_000)])
        )
        assert file.stat().st_size > 30_000_000
        page = open_page("#/trace")
        page.get_by_label("Choose a file…").set_input_files(file)
        expect(page.locator(".facts-line")).to_contain_text("100,000 spans", timeout=30_000)
        page.keyboard.press("/")
        page.keyboard.type("99999")
        expect(page.locator(".find [role=status]")).to_have_text(re.compile("/ 1$"))


class TestStatistics:
    def test_heat_map(self, open_page, site):
        """What is chosen on it has a time and durations; its traces are found."""
        page = open_page("#/statistics?service=frontend")
        heat = page.locator(".chart").filter(has_text="Latency over time").locator("canvas").last
        heat.scroll_into_view_if_needed()
        drag(page, heat, (0.3, 0.1), (0.95, 0.9))
        expect(page.locator(".brush")).to_contain_text(re.compile(r"\d+(\.\d+)? (ms|µs|s)"))
        page.get_by_role("link", name="Show traces").click()
        expect(page).to_have_url(re.compile(r"#/search\?.*min=\d+.*max=\d+|max=\d+.*min=\d+"))
        expect(page.locator(".result").first).to_be_visible()

    def test_slow_and_failed_traces_stand_in_the_latency_chart(self, open_page, site):
        """Slow and failed traces stand in the latency chart, and in its table as links."""
        page = open_page("#/statistics?service=checkout")
        latency = page.locator(".chart").filter(
            has=page.get_by_role("heading", name="Latency", exact=True)
        )
        latency.get_by_text("As a table").click()
        latency.locator(".exemplars a").first.click()
        expect(page).to_have_url(re.compile("#/trace/[0-9a-f]{32}"))
        expect(rows(page).first).to_be_visible()

    def test_errors_by_operation(self, open_page, site):
        """A bar leads to the operation."""
        page = open_page("#/statistics?service=payment")
        bars = page.locator(".chart").filter(has_text="Errors by operation")
        bars.get_by_role("button").first.click()
        expect(page).to_have_url(re.compile("span_name="))


class TestTopology:
    def test_focus_and_depth(self, open_page, site):
        """One service with its neighbours; each step of depth shows more."""
        page = open_page("#/topology?focus=payment")
        nodes = page.get_by_role("list", name="Services in the graph").get_by_role("button")
        expect(nodes).to_have_count(4)
        page.locator(".topology-focus input[type=range]").fill("1")
        expect(nodes).not_to_have_count(4)
        expect(page).to_have_url(re.compile("depth=1"))

    def test_typed_services_are_offered_and_chosen(self, open_page, site):
        """What is typed is offered, and chosen."""
        page = open_page("#/topology")
        expect(page.get_by_role("img", name=re.compile("Directed graph"))).to_be_visible()
        field = page.locator(".topology-find input")
        field.fill("cardgate")
        page.get_by_role("option").first.click()
        expect(page.locator(".graph-panel")).to_contain_text("api.cardgate.example")

    def test_hide_small(self, open_page, site):
        """Small edges go, the largest stay."""
        page = open_page("#/topology?tab=table")
        lines = page.get_by_role("row")
        expect(lines.filter(has_text="orders-db").first).to_be_visible()
        before = lines.count()
        slider = page.locator(".topology-hide input")
        slider.fill(slider.get_attribute("max"))
        expect(lines).not_to_have_count(before)
        expect(page).to_have_url(re.compile("hide="))


class TestTrouble:
    @pytest.mark.parametrize(
        ("status", "text", "way"),
        [
            (401, "A token is needed", "Enter a token"),
            (429, "Clew is busy", "Try again"),
            (500, "Something went wrong", "Try again"),
        ],
    )
    def test_worker_failures_are_told_as_plainly_as_page_failures(
        self, open_page, site, status, text, way
    ):
        """The worker's questions fail as plainly as the page's: a message, and a way on."""
        page = open_page("#/settings", allowed=str(status))
        page.context.route("**/v1/traces/*", lambda route: route.fulfill(status=status, body="{}"))
        page.evaluate(f"location.hash = '#/trace/{site.slow}'")
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text(text)
        expect(alert.get_by_text(way)).to_be_visible()
        page.context.unroute("**/v1/traces/*")
        if way == "Try again":
            alert.get_by_role("button", name=way).click()
            expect(rows(page).first).to_be_visible()

    def test_a_slow_answer_is_announced_and_can_be_left(self, open_page, site):
        """While the answer is on its way the page says that it loads, and can be left."""
        page = open_page("#/settings")
        held = []
        page.context.route("**/v1/traces/*", lambda route: held.append(route))
        page.evaluate(f"location.hash = '#/trace/{site.slow}'")
        expect(page.get_by_role("status").filter(has_text="Loading")).to_be_attached()
        page.keyboard.press("4")
        expect(page.get_by_role("heading", name="Settings")).to_be_visible()
        page.context.unroute("**/v1/traces/*")
        page.go_back()
        expect(rows(page).first).to_be_visible()
        for route in held:
            # Who asked may be gone.
            with suppress(Error):
                route.abort()


def test_all_views_work_in_chinese_and_dark(open_page, site):
    """A way through all views in Chinese and in the dark: from errors to the span, to statistics, to its neighbours."""
    page = open_page("#/search?service=payment&status=error&last=3h", "zh", "dark")
    page.locator(".result-title").first.click()
    expect(rows(page).first).to_be_visible()
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    panel = page.locator("aside.panel")
    expect(panel).to_contain_text("属性")
    page.get_by_role("tab", name="日志").click()
    expect(page.get_by_role("row").filter(has_text="PaymentFailed").first).to_be_visible()
    page.get_by_role("link", name="统计").click()
    page.get_by_role("row").filter(has_text="payment").get_by_role("link").click()
    expect(page.get_by_role("heading", name="各操作的错误")).to_be_visible()
    page.get_by_role("link", name="拓扑").click()
    expect(page.get_by_role("heading", name="拓扑")).to_be_attached()
    page.get_by_role("button", name="表格").click()
    expect(page.get_by_role("row").filter(has_text="api.cardgate.example")).to_contain_text("%")


class TestAccessible:
    """axe finds nothing where views are used, not only where they begin."""

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_the_trace_view_and_its_panels_are_accessible(
        self, open_page, violations_of, site, theme
    ):
        """Panel, help sheet, logs, statistics, what is odd."""
        page = opened(open_page, site.failed, theme=theme)
        page.keyboard.press("e")
        page.keyboard.press("Enter")
        expect(page.get_by_role("complementary", name="Span")).to_contain_text("Resource")
        assert violations_of(page) == []
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("Next error")
        assert violations_of(page) == []
        page.keyboard.press("Escape")
        for tab in ("Logs", "Statistics"):
            page.get_by_role("tab", name=tab).click()
            expect(page.get_by_role("row").last).to_be_visible()
            assert violations_of(page) == []
        odd = opened(open_page, site.odd, theme=theme)
        odd.locator(".notices summary").first.click()
        assert violations_of(odd) == []

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_the_other_views_are_accessible(self, open_page, violations_of, site, theme):
        """Results, a service's statistics, the graph's panel and table, a trace that is not there, the drop zone."""
        for fragment, shown in (
            ("#/search?service=payment&status=error&last=3h", ".result"),
            ("#/statistics?service=checkout", ".operations"),
            ("#/topology?tab=table", "table"),
            ("#/topology?focus=payment&selected=payment", "canvas"),
            ("#/trace/" + "ab" * 16, "[role=alert]"),
            ("#/trace", ".drop-zone"),
        ):
            page = open_page(fragment, theme=theme, allowed="404")
            expect(page.locator(shown).first).to_be_visible()
            page.wait_for_load_state("networkidle")
            assert violations_of(page) == [], fragment

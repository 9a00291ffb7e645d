"""What people do with each view, in a real browser against a running Clew."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from local.gateway import STAGE, Gateway
from local.server import Server, listening_socket
from tests.browser.site import POLYGLOT
from tests.e2e.shop import get


def rows(page):
    return page.locator(".span-row:visible")


def opened(open_page, trace_id, parameters="", **options):
    page = open_page(f"#/trace/{trace_id}{parameters}", **options)
    expect(rows(page).first).to_be_visible()
    return page


@pytest.fixture
def stage_url(site):
    """The same site, at a URL that names the stage, as API Gateway's own do."""
    from app import app

    listening = listening_socket("127.0.0.1", 0)
    server = Server(Gateway(app, f"/{STAGE}"), [listening])
    server.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/{STAGE}"
    server.stop()


@pytest.mark.parametrize("end", ["", "/"])
def test_below_a_stage(open_page, site, stage_url, end):
    """Page, assets, worker and API are all found below the path of a stage, with a slash at its end or without."""
    page = open_page(f"#/trace/{site.slow}", base=stage_url, end=end)
    expect(rows(page).first).to_contain_text("POST /checkout")
    page.get_by_role("link", name="Topology").click()
    expect(page.get_by_role("heading", name="Topology")).to_be_visible()
    page.get_by_role("link", name="Search").click()
    expect(page.locator(".result-title").first).to_be_visible()
    assert page.url.startswith(f"{stage_url}/#/search")
    # The stage's server ends before the visitor does: what the page still asks for would find nobody.
    page.close()


class TestSearch:
    def test_empty_form(self, open_page, site):
        """It shows recent errors, the slowest, the latest, and every service."""
        page = open_page()
        expect(page.get_by_role("heading", name="Recent errors")).to_be_visible()
        expect(page.get_by_role("heading", name="Slowest now")).to_be_visible()
        expect(page.locator(".service-links a").filter(has_text="checkout")).to_be_visible()
        expect(page.locator(".result .error-text").first).to_be_visible()

    def test_chosen_filters_are_in_the_address_and_in_every_result(self, open_page, site):
        """A service chosen from the suggestions, errors only: each is in the address, and in every result."""
        page = open_page("#/search?last=3h")
        page.get_by_role("combobox", name="Service").click()
        page.get_by_role("option", name="payment", exact=True).click()
        page.get_by_label("Errors only").check()
        expect(page).to_have_url(re.compile(r"service=payment.*status=error"))
        expect(page.get_by_role("heading", name=re.compile(r"\d+ traces?"))).to_be_visible()
        for line in page.locator(".result").all():
            expect(line).to_contain_text("payment")
            expect(line.locator(".error-text").first).to_be_visible()

    def test_attribute_suggestions(self, open_page, site):
        """Keys of the service are offered, then values of the key; the pair becomes a chip that can be removed."""
        page = open_page("#/search?service=payment&last=3h")
        field = page.get_by_role("combobox", name="Attributes")
        field.click()
        field.press_sequentially("error.ty")
        page.get_by_role("option", name=re.compile("error.type=")).first.click()
        page.get_by_role("option", name=re.compile("error.type=402")).click()
        chip = page.get_by_role("button", name="Remove error.type=402")
        expect(chip).to_be_visible()
        expect(page).to_have_url(re.compile("attributes=error.type"))
        chip.click()
        expect(chip).to_have_count(0)

    def test_nothing_found(self, open_page, site):
        """It says which conditions excluded all, and each can be left out by a link."""
        page = open_page("#/search?service=cart&min=900s&last=3h")
        expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
        page.get_by_role("link", name="without 900s").click()
        expect(page.locator(".result").first).to_be_visible()

    def test_wrong_duration(self, open_page, site):
        """What is no duration is marked, and not sent."""
        page = open_page("#/search?service=cart&min=fast")
        expect(page.get_by_label("At least")).to_have_attribute("aria-invalid", "true")

    def test_by_keyboard(self, open_page, site):
        """j goes to the first result, Enter opens it."""
        page = open_page("#/search?service=checkout&last=3h")
        expect(page.locator(".result").first).to_be_visible()
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("#/trace/[0-9a-f]{32}"))
        expect(rows(page).first).to_be_visible()

    def test_further_pages_are_appended_without_doubles(self, open_page, site):
        """Pages are appended, without doubles."""
        page = open_page("#/search?service=frontend&last=3h")
        expect(page.locator(".result")).to_have_count(20)
        page.get_by_role("button", name="More").click()
        expect(page.locator(".result")).to_have_count(40)
        links = [link.get_attribute("href") for link in page.locator(".result-title").all()]
        assert len(set(links)) == 40


class TestTrace:
    def test_rows_and_groups(self, open_page, site):
        """Repeated siblings are one row until it is opened, and again when it is closed."""
        page = opened(open_page, site.slow)
        group = rows(page).filter(has_text=re.compile(r"\d+ . SELECT stock"))
        expect(group).to_be_visible()
        before = rows(page).count()
        group.get_by_role("button").click()
        expect(group).to_have_attribute("aria-expanded", "true")
        assert rows(page).count() > before
        group.get_by_role("button").click()
        expect(rows(page)).to_have_count(before)

    def test_a_click_opens_the_attributes_which_lead_to_a_search(self, open_page, site):
        """A click opens the span's attributes; a value leads to a search for it."""
        page = opened(open_page, site.slow)
        rows(page).filter(has_text="inventoryPOST /reservations").first.click()
        panel = page.get_by_role("complementary", name="Span")
        value = panel.get_by_role("row").filter(has_text="warehouse.id")
        expect(value).to_contain_text("eu-west-2")
        value.hover()
        value.get_by_role("link", name=re.compile("Search traces")).click()
        expect(page).to_have_url(re.compile(r"#/search\?service=inventory&attributes=warehouse.id"))
        expect(page.locator(".result").first).to_be_visible()

    def test_a_value_is_copied_as_it_is(self, open_page, site):
        """A value is copied as it is; key=value beside it."""
        page = opened(open_page, site.slow)
        rows(page).filter(has_text="inventoryPOST /reservations").first.click()
        row = page.get_by_role("row").filter(has_text="warehouse.id")
        row.hover()
        row.get_by_role("button", name="Copy key=value: warehouse.id").click()
        assert page.evaluate("navigator.clipboard.readText()") == "warehouse.id=eu-west-2"

    def test_hits_are_counted_and_stepped_through(self, open_page, site):
        """Hits are counted and stepped through; attributes are looked through too."""
        page = opened(open_page, site.slow)
        page.keyboard.press("/")
        page.keyboard.type("cardgate")
        count = page.locator(".find [role=status]")
        expect(count).to_contain_text(re.compile(r"0 / \d|none"))
        expect(count).to_have_text(re.compile(r"^0 / 1$"))
        page.keyboard.press("Enter")
        expect(count).to_have_text("1 / 1")
        expect(page.locator('.span-row[aria-selected="true"]')).to_contain_text("POST /v2/charges")

    def test_find_before_its_field(self, open_page, site):
        """Who types sooner than the field is there loses no letter, and no letter acts as a key."""
        page = open_page("#/settings")
        held = []
        page.route("**/around-rows-*.js", lambda route: held.append(route))
        page.evaluate(f"location.hash = '#/trace/{site.slow}'")
        expect(rows(page).first).to_be_visible()
        page.keyboard.press("/")
        page.keyboard.type("nece")
        expect(page.locator("#find")).to_have_count(0)
        for route in held:
            route.continue_()
        expect(page.locator("#find")).to_be_focused()
        page.keyboard.type("ssary")
        expect(page.locator("#find")).to_have_value("necessary")
        expect(page.locator('.span-row[aria-selected="true"]')).to_have_count(0)

    def test_the_timeline_can_be_used_by_keys_alone(self, open_page, site):
        """Collapse all, expand all, next error, zoom and back: by keys alone, and `?` lists them."""
        page = opened(open_page, site.failed)
        all_rows = rows(page).count()
        page.keyboard.press("[")
        expect(rows(page)).to_have_count(1)
        page.keyboard.press("]")
        expect.soft(rows(page).first).to_be_visible()
        assert rows(page).count() >= all_rows
        page.keyboard.press("e")
        selected = page.locator('.span-row[aria-selected="true"]')
        expect(selected.locator('.error-mark[data-error="own"]')).to_be_visible()
        page.keyboard.press("w")
        expect(page).to_have_url(re.compile(r"[?&]z=\d+-\d+"))
        page.keyboard.press("0")
        expect(page).not_to_have_url(re.compile(r"[?&]z="))
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("Next error")

    def test_deep_link(self, open_page, site):
        """The address holds span, zoom, find, collapsed rows and tab: another visitor sees the same."""
        page = opened(open_page, site.slow)
        rows(page).nth(3).click()
        page.keyboard.press("w")
        page.keyboard.press("Escape")
        rows(page).nth(2).click()
        page.locator("#find").fill("SELECT")
        expect(page).to_have_url(re.compile(r"find=SELECT"))
        expect(page).to_have_url(re.compile(r"span=[0-9a-f]{16}"))
        other = open_page("#" + page.url.partition("#")[2])
        expect(rows(other).first).to_be_visible()
        expect(other.locator('.span-row[aria-selected="true"]')).to_have_count(1)
        expect(other.locator("#find")).to_have_value("SELECT")
        expect(other.get_by_role("button", name="Reset zoom (0)")).to_be_enabled()

    def test_critical_path(self, open_page, site):
        """It can be switched off and on, and shown alone."""
        page = opened(open_page, site.slow)
        button = page.get_by_role("button", name="Critical path", exact=True)
        expect(button).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("c")
        expect(button).to_have_attribute("aria-pressed", "false")
        page.get_by_role("button", name="Critical path only").click()
        expect(page).to_have_url(re.compile("only=critical"))

    def test_a_service_chip_shows_its_spans_and_those_above(self, open_page, site):
        """A service alone: its spans, and those above them."""
        page = opened(open_page, site.slow)
        page.locator(".chip").filter(has_text="payment").click()
        expect(rows(page).filter(has_text="payment").first).to_be_visible()
        expect(rows(page).filter(has_text="shipping")).to_have_count(0)
        expect(page.locator(".span-row.is-dim:visible").first).to_contain_text("frontend")
        page.get_by_role("button", name="Clear filters").click()
        expect(rows(page).filter(has_text="shipping").first).to_be_visible()

    def test_events_are_listed_by_time_and_lead_to_their_spans(self, open_page, site):
        """All events in time order; one leads to its span."""
        page = opened(open_page, site.failed)
        page.get_by_role("tab", name="Logs").click()
        line = page.get_by_role("row").filter(has_text="PaymentFailed").first
        expect(line).to_contain_text("exception")
        line.get_by_role("button").click()
        expect(page.get_by_role("complementary", name="Span")).to_be_visible()

    def test_spans_are_counted_by_name_service_or_attribute(self, open_page, site):
        """Spans by name, service or any attribute."""
        page = opened(open_page, site.slow)
        page.get_by_role("tab", name="Statistics").click()
        expect(page.get_by_role("row").filter(has_text="SELECT stock")).to_be_visible()
        page.get_by_label("Group by").select_option("attribute")
        page.get_by_role("combobox", name="Attribute").fill("db.system.name")
        expect(page.get_by_role("row").filter(has_text="postgresql")).to_be_visible()

    def test_links_both_ways(self, open_page, site):
        """An e-mail's trace leads to the order that caused it, and back."""
        page = opened(open_page, site.linked)
        rows(page).filter(has_text="process order-events").first.click()
        panel = page.get_by_role("complementary", name="Span")
        panel.get_by_role("link", name=re.compile("Open trace")).first.click()
        expect(rows(page).filter(has_text="send order-events").first).to_be_visible()
        expect(panel.get_by_text("Linked from")).to_be_visible()
        expect(panel.get_by_role("link", name=re.compile("email-worker"))).to_be_visible()

    def test_odd_trace(self, open_page, site):
        """What is odd is said: circles, doubled ids, absent parents, clocks that differ, many roots."""
        page = opened(open_page, site.odd)
        notices = page.locator(".notices")
        for text in ("without parent", "clocks", "cycle", "roots"):
            expect(notices).to_contain_text(text)
        notices.locator("summary").filter(has_text="clocks").click()
        page.get_by_label("Adjust clocks").check()
        expect(page).to_have_url(re.compile("clocks=adjusted"))

    def test_a_trace_that_is_not_stored_is_said_to_be_missing(self, open_page, site):
        """A trace that is not stored is looked for again, and the page says so."""
        page = open_page("#/trace/" + "ab" * 16, allowed="404")
        expect(page.get_by_role("alert")).to_contain_text("not stored (yet)")
        expect(page.get_by_role("button", name="Try again")).to_be_visible()

    def test_dropped_file(self, open_page, site, tmp_path):
        """A file shows without the backend: its own answer, saved."""
        document = get(site.url, f"/v1/traces/{site.slow}")
        file = tmp_path / "trace.json"
        file.write_text(json.dumps(document))
        page = open_page("#/trace")
        page.get_by_label("Choose a file…").set_input_files(file)
        expect(rows(page).first).to_contain_text("frontend")
        rows(page).first.click()
        expect(page.get_by_role("complementary", name="Span")).to_contain_text("http.route")

    def test_wrong_file(self, open_page, site, tmp_path):
        """A file that is no trace is refused with what it is."""
        file = tmp_path / "shopping.json"
        file.write_text('["milk", "tea"]')
        page = open_page("#/trace")
        page.get_by_label("Choose a file…").set_input_files(file)
        expect(page.get_by_role("alert")).to_contain_text("not a trace")

    def test_hostile_text_stays_text_everywhere(self, open_page, site):
        """Every field is text: nothing runs, nothing is asked, nothing is drawn as anything else."""
        page = opened(open_page, site.hostile)
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        page.evaluate("() => { window.alert = () => { window.ran = true } }")
        for number in range(min(5, rows(page).count())):
            rows(page).nth(number).click()
            expect(page.get_by_role("complementary", name="Span")).to_contain_text("oNloAd=alert()")
        for tab in ("Logs", "Statistics", "Timeline"):
            page.get_by_role("tab", name=tab).click()
        assert page.evaluate("window.ran") is None
        assert page.locator("img, script:not([src]), svg[onload]").count() == 0

    def test_hostile_everywhere(self, open_page, site):
        """Neither in the search, nor in the statistics, nor in the graph."""
        for fragment in (
            "#/search?last=3h",
            "#/statistics?last=3h",
            "#/topology?tab=table&last=3h",
        ):
            page = open_page(fragment)
            page.wait_for_load_state("networkidle")
            assert page.locator("img").count() == 0
        page = open_page("#/search?last=3h&limit=1000")
        expect(page.get_by_text(POLYGLOT[:40]).first).to_be_attached()

    def test_a_big_trace_draws_only_what_is_in_sight(self, open_page, site):
        """Of 5,000 spans and 350 groups of theirs only what is in sight exists; the end is reached at once."""
        page = opened(open_page, site.big)
        page.keyboard.press("]")
        expect(page.get_by_role("treegrid")).to_have_attribute("aria-rowcount", "5351")
        assert page.locator(".span-row").count() < 80
        page.evaluate("document.querySelector('.spans').scrollTop = 1e9")
        expect(rows(page).last).to_contain_text("step")
        assert page.locator(".span-row").count() < 80


class TestStatistics:
    def test_every_service_has_a_line_that_opens_it(self, open_page, site):
        """Every service in a line; one opens."""
        page = open_page("#/statistics")
        line = page.get_by_role("row").filter(has_text="checkout")
        expect(line).to_contain_text("%")
        line.get_by_role("link").click()
        expect(page.get_by_role("heading", name="checkout")).to_be_visible()
        expect(page.locator(".uplot canvas")).to_have_count(3)

    def test_brush_to_traces(self, open_page, site):
        """A time chosen on a chart leads to the traces in it."""
        page = open_page("#/statistics?service=frontend")
        chart = page.locator(".u-over").first
        expect(chart).to_be_visible()
        box = chart.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.98, box["y"] + 60, steps=4)
        page.mouse.up()
        page.get_by_role("link", name="Show traces").click()
        expect(page).to_have_url(re.compile(r"#/search\?.*service=frontend.*start=\d+.*end=\d+"))
        expect(page.locator(".result").first).to_be_visible()

    def test_an_operation_narrows_the_charts_and_the_address(self, open_page, site):
        """One operation narrows the charts, and is in the address."""
        page = open_page("#/statistics?service=checkout")
        page.locator(".operations").get_by_role("button", name="POST /payments").click()
        expect(page).to_have_url(re.compile("span_name=POST"))
        expect(page.locator(".scope-line")).to_contain_text("POST /payments")

    @pytest.mark.parametrize(
        ("language", "text"),
        [("en", "12 calls had ids in their names"), ("zh", "12 次调用的名称中含有 id")],
    )
    def test_names_without_ids(self, open_page, site, language, text):
        """Calls that are counted by a name without ids are said; that name leads to their traces all the same."""
        page = open_page("#/statistics?service=accounts", language)
        expect(page.get_by_text(text)).to_be_visible()
        expect(page.get_by_role("row").filter(has_text="GET /users/{id}")).to_contain_text("12")
        expect(page.locator(".operations")).not_to_contain_text("users/1001")
        found = open_page("#/search?service=accounts&span_name=GET /users/{id}", language)
        expect(found.locator(".results li").first).to_contain_text("GET /users/1000")

    def test_names_above_the_limit(self, open_page, site):
        """What is counted as other has its figures in the table, and is explained."""
        page = open_page("#/settings")

        def with_other(route):
            answer = route.fetch()
            body = answer.json()
            body["other"] = body["total"]
            body["folded"]["other_calls"] = 7
            route.fulfill(response=answer, json=body)

        page.route("**/v1/services/checkout/statistics*", with_other)
        page.evaluate("location.hash = '#/statistics?service=checkout'")
        expect(page.get_by_role("row").filter(has_text="Other names")).to_contain_text("ms")
        expect(page.get_by_text("7 calls of further names are counted")).to_be_visible()

    def test_table_twin(self, open_page, site):
        """Each chart is a table too."""
        page = open_page("#/statistics?service=checkout")
        page.get_by_text("As a table").first.click()
        expect(page.locator(".twin-table table").first).to_contain_text("Time (Europe/Berlin)")

    def test_a_service_without_calls_is_told_when_statistics_come(self, open_page, site):
        """A service without calls says when statistics come, and offers wider times."""
        page = open_page("#/statistics?service=nobody")
        expect(page.get_by_role("heading", name="No calls in this time")).to_be_visible()


class TestTopology:
    def test_the_graph_is_described_and_reached_by_keyboard(self, open_page, site):
        """The graph is described, and each service can be reached by the keyboard."""
        page = open_page("#/topology")
        expect(page.get_by_role("img", name=re.compile("Directed graph of"))).to_be_visible()
        button = page.get_by_role("list", name="Services in the graph").get_by_role(
            "button", name="checkout"
        )
        button.focus()
        page.keyboard.press("Enter")
        panel = page.locator(".graph-panel")
        expect(panel).to_contain_text("Callees")
        expect(panel.get_by_role("link", name="Statistics")).to_be_visible()
        panel.get_by_role("button", name="Focus").click()
        expect(page).to_have_url(re.compile("focus=checkout"))

    def test_the_table_has_every_edge_and_marks_errors(self, open_page, site):
        """The table has the edges, errors marked."""
        page = open_page("#/topology?tab=table")
        line = page.get_by_role("row").filter(has_text="api.cardgate.example")
        expect(line).to_contain_text("payment")
        expect(line.locator(".error-text")).to_be_visible()

    def test_filters_leave_only_the_edges_that_they_name(self, open_page, site):
        """Without databases there is none; with errors only, few are left."""
        page = open_page("#/topology?tab=table")
        expect(page.get_by_role("row").filter(has_text="orders-db").first).to_be_visible()
        page.get_by_label("databases").uncheck()
        expect(page.get_by_role("row").filter(has_text="orders-db")).to_have_count(0)


class TestSettings:
    def test_language_and_theme(self, open_page, site):
        """Both change at once, and stay over a reload."""
        page = open_page("#/settings")
        page.get_by_label("Language").select_option("zh")
        expect(page.get_by_role("heading", name="设置")).to_be_visible()
        page.locator("label", has_text="主题").locator("select").select_option("dark")
        page.reload()
        expect(page.get_by_role("heading", name="设置")).to_be_visible()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"

    def test_time_zone(self, open_page, site):
        """Times are in the chosen zone, and say so."""
        page = open_page("#/settings")
        field = page.get_by_role("combobox", name="Time zone")
        field.fill("Asia/Shanghai")
        field.press("Enter")
        expect(page.get_by_text("Times are shown in Asia/Shanghai")).to_be_visible()
        page.goto(f"{site.url}/#/trace/{site.slow}")
        expect(page.locator(".facts-line")).to_contain_text("Asia/Shanghai")

    def test_link_pattern(self, open_page, site):
        """A template leads from a span to elsewhere; one that leads to no web page is marked, and shows nowhere."""
        page = open_page("#/settings")
        page.get_by_role("button", name="Add a link").click()
        page.get_by_label("Name").fill("Logs")
        page.get_by_label("URL").fill("javascript:alert(1)")
        expect(page.get_by_label("URL")).to_have_attribute("aria-invalid", "true")
        page.get_by_label("URL").fill(
            "https://logs.example/?q={trace_id}&w={attribute:warehouse.id}"
        )
        page.goto(f"{site.url}/#/trace/{site.slow}")
        rows(page).filter(has_text="inventoryPOST /reservations").first.click()
        link = page.get_by_role("link", name="Logs")
        expect(link).to_have_attribute("href", f"https://logs.example/?q={site.slow}&w=eu-west-2")

    def test_token_is_kept_in_the_tab(self, open_page, site):
        """Unless asked, a token is in no storage that outlives the tab."""
        page = open_page("#/settings")
        page.get_by_label("Access token").fill("clew_secret")
        page.get_by_role("button", name="Try it").click()
        expect(page.get_by_text("It works")).to_be_visible()
        assert "clew_secret" not in page.evaluate("JSON.stringify({...localStorage})")
        page.get_by_label("Keep it on this machine").check()
        assert "clew_secret" in page.evaluate("JSON.stringify({...localStorage})")


FAILURES = {
    401: "A token is needed",
    403: "not for reading",
    429: "Clew is busy",
    503: "Clew is busy",
    500: "Something went wrong",
    413: "too large",
}


class TestTrouble:
    @pytest.mark.parametrize("status", list(FAILURES))
    def test_each_status_has_a_message_and_a_way_on(self, open_page, site, status):
        """Each status has its message, and a way on."""
        page = open_page("#/settings", allowed=str(status))
        page.route("**/v1/traces?*", lambda route: route.fulfill(status=status, body="{}"))
        page.goto(f"{site.url}/#/search?service=cart")
        alert = page.get_by_role("alert").first
        expect(alert).to_contain_text(FAILURES[status])
        expect(alert.get_by_role("button", name="Try again")).to_be_visible()

    def test_a_silent_server_is_said_and_asked_again_on_demand(self, open_page, site):
        """A server that does not answer: said, and asked again on demand."""
        page = open_page("#/settings", allowed="Failed to load")
        page.route("**/v1/traces?*", lambda route: route.abort())
        page.goto(f"{site.url}/#/search?service=cart&last=3h")
        alert = page.get_by_role("alert").first
        expect(alert).to_contain_text("Clew does not answer")
        page.unroute("**/v1/traces?*")
        alert.get_by_role("button", name="Try again").click()
        expect(page.locator(".result").first).to_be_visible()

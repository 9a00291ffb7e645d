"""One trace, however its id is spelt, whoever answers: the native API, Jaeger's two and Zipkin's."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import orjson
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from local.stack import LaptopStack
from tests.e2e.shop import http
from tests.payloads import Made, payload

XRAY = "1-5759e988-bd862e3fe1be46a994272793"
OTHER = int(XRAY[2:].replace("-", ""), 16)
W3C = 0x0AF7651916CD43DD8448EB211C80319C
SHORT = 0xA3CE929D0E0E4736
SHORTER = 0x0000929D0E0E4736
IDS = (W3C, OTHER, SHORT, SHORTER)
PROTOBUF = "application/x-protobuf"
BEFORE, AFTER = "2026-01-01T11:00:00Z", "2026-01-01T13:00:00Z"
"""Of the time of `Made` spans."""
MALFORMED = ("g" * 32, "1" * 33, "0" * 32, "0" * 16, "1-5759e988-bd862e3fe1be46a99427279", "-1")


@pytest.fixture(scope="module")
def url():
    with LaptopStack(batch_window_seconds=0.02, run_schedules=False) as stack:
        spans = [
            Made(trace_id, 7, name=f"{trace_id:x}", links=((W3C, 9),) if trace_id != W3C else ())
            for trace_id in IDS
        ]
        sent = Request(f"{stack.url}/v1/traces", payload(spans), {"Content-Type": PROTOBUF})
        assert urlopen(sent).status == 200
        stack.wait_until_stored()
        yield stack.url


def spellings(trace_id: int) -> list[str]:
    """Every form in which an id is written, but for the case of its letters."""
    digits = f"{trace_id:032x}"
    zeros = len(digits) - len(digits.lstrip("0"))
    dashed = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return [
        *(digits[dropped:] for dropped in range(zeros + 1)),
        f"1-{digits[:8]}-{digits[8:]}",
        "-".join(dashed),
    ]


@st.composite
def spelt(draw: st.DrawFn) -> tuple[int, str]:
    """An id, and its text in any form, each letter in any case."""
    trace_id = draw(st.sampled_from(IDS))
    text = draw(st.sampled_from(spellings(trace_id)))
    is_upper = draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    cased = (c.upper() if up else c for c, up in zip(text, is_upper, strict=True))
    return trace_id, "".join(cased)


def names_native(url: str, text: str) -> set[str]:
    return _names_otlp(_got(f"{url}/v1/traces/{quote(text)}"))


def names_jaeger(url: str, text: str) -> set[str]:
    return _names_jaeger(_got(f"{url}/api/traces/{quote(text)}"))


def names_jaeger_list(url: str, text: str) -> set[str]:
    return _names_jaeger(_got(f"{url}/api/traces?{urlencode({'traceID': text})}"))


def names_jaeger_v3(url: str, text: str) -> set[str]:
    return _names_otlp(_got(f"{url}/api/v3/traces/{quote(text)}")["result"])


def names_zipkin(url: str, text: str) -> set[str]:
    return {span["name"] for span in _got(f"{url}/api/v2/trace/{quote(text)}")}


def names_zipkin_many(url: str, text: str) -> set[str]:
    """Zipkin refuses a list of one: another id stands beside it, of a trace that is not there."""
    traces = _got(f"{url}/api/v2/traceMany?{urlencode({'traceIds': f'{text},77'})}")
    return {span["name"] for trace in traces for span in trace}


LOOK_UPS = (
    *(names_native, names_jaeger, names_jaeger_list, names_jaeger_v3),
    *(names_zipkin, names_zipkin_many),
)


def _got(url: str) -> Any:
    answer = http(url)
    assert answer.status == 200, answer.body
    return orjson.loads(answer.body)


def _names_otlp(data: Any) -> set[str]:
    return {
        span["name"]
        for resource in data["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    }


def _names_jaeger(envelope: Any) -> set[str]:
    return {span["operationName"] for trace in envelope["data"] for span in trace["spans"]}


@pytest.mark.parametrize("look_up", LOOK_UPS)
@settings(deadline=None, max_examples=40, phases=[Phase.explicit, Phase.generate])
@given(spelt())
@example((OTHER, XRAY))
@example((W3C, f"{W3C:x}"))
def test_one_trace_by_every_spelling(url, look_up, id_and_text):
    """Each form of an id, in any case of letters, leads every look-up to the same trace, and to it alone."""
    trace_id, text = id_and_text
    assert look_up(url, text) == {f"{trace_id:x}"}


@pytest.mark.parametrize("text", spellings(W3C))
def test_links_by_every_spelling(url, text):
    """A search for what links to a trace takes its id in every form too."""
    found = _got(f"{url}/v1/traces?{urlencode({'link': text, 'start': BEFORE, 'end': AFTER})}")
    assert {trace["root_span_name"] for trace in found["traces"]} == {
        f"{trace_id:x}" for trace_id in IDS if trace_id != W3C
    }


@pytest.mark.parametrize("text", [spelling.upper() for spelling in spellings(SHORT)])
def test_one_id_twice_is_redundant(url, text):
    """Zipkin's list refuses an id that stands in it twice, also where it is spelt in two ways."""
    answer = http(f"{url}/api/v2/traceMany?{urlencode({'traceIds': f'{SHORT:x},{text}'})}")
    assert (answer.status, answer.body) == (400, f"redundant traceId: {text}".encode())


def error_native(url: str, text: str) -> str:
    return str(_refused(f"{url}/v1/traces/{quote(text)}")["error"])


def error_jaeger(url: str, text: str) -> str:
    envelope = _refused(f"{url}/api/traces/{quote(text)}")
    (error,) = envelope["errors"]
    assert (envelope["data"], error["code"]) == (None, 400)
    return str(error["msg"])


def error_jaeger_v3(url: str, text: str) -> str:
    error = _refused(f"{url}/api/v3/traces/{quote(text)}")["error"]
    assert error["httpCode"] == 400
    return str(error["message"])


@pytest.mark.parametrize("text", MALFORMED)
@pytest.mark.parametrize("error_of", [error_native, error_jaeger, error_jaeger_v3])
def test_malformed_ids(url, error_of, text):
    """What is no id is a 400 in the protocol's own form, which says what an id is."""
    assert "a trace id" in error_of(url, text)


@pytest.mark.parametrize("text", MALFORMED)
@pytest.mark.parametrize("route", ["trace/{}", "traceMany?traceIds={},77"])
def test_malformed_ids_of_zipkin(url, route, text):
    """What is no id is a 400 in Zipkin's words, as plain text."""
    answer = http(f"{url}/api/v2/{route.format(quote(text))}")
    assert answer.status == 400
    assert b"trace" in answer.body or b"should be lower-hex encoded" in answer.body


def test_31_digits_are_an_id_without_its_zero(url):
    """Jaeger's clients write an id as a number, so one in sixteen has 31 digits or fewer."""
    digits = f"{W3C:x}"
    assert len(digits) == 31
    for look_up in LOOK_UPS:
        assert look_up(url, digits) == {digits}
    assert http(f"{url}/v1/traces/{digits[:-1]}").status == 404


def _refused(url: str) -> Any:
    answer = http(url)
    assert answer.status == 400
    return orjson.loads(answer.body)

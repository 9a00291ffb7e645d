"""The data sources that docs/jaeger.md and docs/zipkin.md configure for Grafana may ask, and nobody else may."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from local.__main__ import COMPAT_PORTS
from tests.e2e.shop import http
from tests.e2e.test_make_run import Clew

DOCS = Path(__file__).parents[2] / "docs"
TOKEN = "only-those-who-know-this"
TESTS = {"jaeger": "/api/services", "zipkin": "/api/v2/services"}
"""What *Save & test* asks, by the data source's type."""


def data_sources():
    for page in ("jaeger.md", "zipkin.md"):
        for block in re.findall(
            r"^```yaml\n(apiVersion.*?)^```$", (DOCS / page).read_text(), re.M | re.S
        ):
            yield from yaml.safe_load(block)["datasources"]


SOURCES = list(data_sources())


@pytest.fixture(scope="module")
def guarded():
    clew = Clew("", TOKEN=TOKEN)
    yield clew.url
    clew.process.kill()
    clew.process.communicate()


def headers_of(source):
    """The headers that Grafana adds, as its settings number them."""
    names, values = source.get("jsonData", {}), source.get("secureJsonData", {})
    return {
        name: values[key.replace("Name", "Value")].replace("$CLEW_TOKEN", TOKEN)
        for key, name in names.items()
        if key.startswith("httpHeaderName")
    }


def test_both_kinds():
    """Each page has one for the laptop, at a port that it listens at, and one for a deployment."""
    assert sorted(source["type"] for source in SOURCES) == ["jaeger", "jaeger", "zipkin", "zipkin"]
    for source in SOURCES:
        port = source["url"].rpartition(":")[2]
        assert source["access"] == "proxy"
        assert (
            source["url"] == "https://HOST/clew"
            if headers_of(source)
            else int(port) in COMPAT_PORTS
        )


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: f"{source['type']} {source['url']}")
def test_a_wanted_token_is_sent_by_the_data_source(guarded, source):
    """Where a token is wanted, a source with the header is answered, and one without is told 401."""
    headers = headers_of(source)
    reply = http(f"{guarded}{TESTS[source['type']]}", headers=headers)
    assert reply.status == (200 if headers else 401)

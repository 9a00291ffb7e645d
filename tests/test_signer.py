"""The signer of requests to AWS."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse, HeadersDict
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.signer import Signer, install_signer

URLS = (
    "https://dynamodb.eu-central-1.amazonaws.com/",
    "https://dynamodb.eu-central-1.amazonaws.com",
    "https://DynamoDB.eu-central-1.amazonaws.com:443/",
    "http://127.0.0.1:4566/",
    "http://localhost:80/",
    "http://[::1]:4566/",
    "https://user:secret@proxy.example/",
    # No root: botocore signs these.
    "https://sqs.eu-central-1.amazonaws.com/123456789012/spans",
    "https://sqs.eu-central-1.amazonaws.com/?Action=SendMessage",
    "http://localhost:4566//a/../b c",
)
NAMES = (
    *("X-Amz-Target", "Content-Type", "amz-sdk-invocation-id", "amz-sdk-request", "User-Agent"),
    *("X-Amzn-Trace-Id", "Host", "Date", "X-Amz-Date", "Authorization", "X-Amz-Security-Token"),
    *("X-Amz-Content-SHA256", "Content-Length", "x-own"),
)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
NOW = datetime(2026, 11, 29, 8, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def clock():
    """One for botocore and for us."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("botocore.auth", "chalicelib.signer"):
            patch.setattr(f"{module}.get_current_datetime", lambda *_: NOW)
        yield


@given(
    method=st.sampled_from(("POST", "POST", "GET")),
    url=st.sampled_from(URLS),
    headers=st.dictionaries(st.sampled_from(NAMES), VALUES),
    body=st.binary(max_size=50),
    params=st.sampled_from(({}, {}, {"a": "b"})),
    context=st.sampled_from(({}, {}, {"payload_signing_enabled": False})),
    credentials=st.builds(
        ReadOnlyCredentials,
        st.text(min_size=1),
        st.text(min_size=1),
        st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
    ),
)
def test_as_botocore_does(method, url, headers, body, params, context, credentials):
    """Whatever the request, its headers afterwards are those that botocore's signer sets; so are those of a retry."""
    signed = []
    for signer in (SigV4Auth, Signer):
        request = AWSRequest(method, url, headers, body, params)
        request.context.update(context)
        for _ in range(2):
            signer(credentials, "dynamodb", "eu-central-1").add_auth(request)
            signed.append(sorted(request.headers.items()))
    theirs, theirs_again, ours, ours_again = signed
    assert ours == theirs
    assert ours_again == theirs_again


def test_without_credentials():
    """Who has no credentials is told so."""
    request = AWSRequest("POST", URLS[0], {}, b"{}")
    with pytest.raises(NoCredentialsError):
        Signer(None, "dynamodb", "eu-central-1").add_auth(request)  # type: ignore[arg-type]  # as botocore does


def sent_by(**config: Any) -> tuple[Any, Any]:
    """What a client of DynamoDB would send, and as what it had it signed."""
    session = botocore.session.get_session()
    session.set_credentials("key", "secret", "token")
    client: Any = session.create_client("dynamodb", "eu-central-1", config=Config(**config))
    install_signer(client)
    requests, versions = [], []

    def note(request: Any, **_: Any) -> AWSResponse:
        requests.append(request)
        headers: Any = HeadersDict()
        return AWSResponse(request.url, 200, headers, Answer())

    client.meta.events.register("before-send.dynamodb", note)
    client.meta.events.register(
        "before-sign.dynamodb",
        lambda signature_version, **_: versions.append(signature_version),
    )
    client.list_tables()
    return requests[0], versions[0]


class Answer:
    def stream(self, *_: Any, **__: Any) -> Any:
        yield b"{}"


def test_of_a_client():
    """What a client sends is signed here, and as botocore would sign it."""
    sent, version = sent_by(ignore_configured_endpoint_urls=True)
    assert version == "clew-v4"
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else value
        for name, value in sent.headers.items()
    }
    # Others are added afterwards: the length of the body, the number of the try.
    authorization = headers["authorization"]
    signed = authorization.split("SignedHeaders=")[1].split(",")[0].split(";")
    headers = {name: headers[name] for name in signed if name != "host"}
    again = AWSRequest(sent.method, sent.url, headers, sent.body)
    credentials = ReadOnlyCredentials("key", "secret", "token")
    SigV4Auth(credentials, "dynamodb", "eu-central-1").add_auth(again)
    assert again.headers["Authorization"] == authorization


def test_an_unsigned_client_signs_nothing():
    """A client that is to sign nothing signs nothing."""
    sent, version = sent_by(signature_version=UNSIGNED, ignore_configured_endpoint_urls=True)
    assert version is UNSIGNED
    assert "Authorization" not in sent.headers

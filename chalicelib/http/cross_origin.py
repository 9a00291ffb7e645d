"""Which web pages may send, ask and change things: CORS, and refusals of what other pages have a browser send.

    a page of           may send spans    may read answers    may change anything
    Clew itself         yes               yes                 yes
    CLEW_UI_ORIGINS     yes               yes                 yes
    anywhere else       yes               no                  no

Browsers say on their own where a request comes from, and no page can make them say otherwise. Whoever is no browser
says nothing, and is let through: what it may do is decided by its token. All headers here have lower-case names.
Sources: Fetch standard, "CORS protocol"; W3C, "Fetch Metadata Request Headers".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

REQUEST_HEADER = "x-clew-request"
"""A header by which a request shows that it is none that a page can have sent without a preflight."""
MAX_AGE_SECONDS = 7_200
"""How long a browser may remember a preflight's answer; Chromium remembers none for longer."""
_HEADER_NAMES_CHARACTERS_MAX = 4_096
"""The limit of the header names that a preflight asks for: a page that means well has a dozen."""
_ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]{0,31}://[a-z0-9._~%\[\]:-]{1,255}", re.IGNORECASE)
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER_NAMES = re.compile(rf"{_TOKEN}(?:[ \t]*,[ \t]*{_TOKEN})*")
"""RFC 9110, section 5.6.2: a header's name is a token."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_VARY_OF_PREFLIGHT = (
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, "
    "Access-Control-Request-Private-Network"
)
_EXPOSED = "Retry-After, Warning"
"""What a page may read of an answer beside the few headers that it always may."""


def is_foreign(headers: Mapping[str, str], ui_origins: Collection[str]) -> bool:
    """Whether a page of another origin, which is none of `ui_origins`, has made a browser send this.

    Behind a proxy that changes Host, Sec-Fetch-Site still tells Clew's own pages from others; browsers send it to
    HTTPS and to loopback addresses. A page on another port of the same host is another origin too.
    """
    origin = headers.get("origin", "").lower()
    if origin in ui_origins:
        return False
    if site := headers.get("sec-fetch-site", "").lower():
        return site not in ("same-origin", "none")
    return bool(origin) and not _is_own(origin, headers.get("host", "").lower())


def _is_own(origin: str, host: str) -> bool:
    scheme, _, authority = origin.partition("://")
    return bool(host) and authority == host.removesuffix(_DEFAULT_PORTS.get(scheme, "\0"))


def is_link(method: str, headers: Mapping[str, str]) -> bool:
    """Whether somebody follows a link, of whatever page: what is answered is shown to that person, not to the page."""
    navigates = headers.get("sec-fetch-mode", "").lower() == "navigate"
    return method in ("GET", "HEAD") and navigates


def needed_a_preflight(headers: Mapping[str, str]) -> bool:
    """Whether a request has a header that no page can send to another origin unless a preflight allows it.

    `Authorization: Basic` is none: a browser that knows a password for a site sends it along by itself.
    """
    scheme = headers.get("authorization", "").strip().partition(" ")[0].lower()
    return bool(headers.get(REQUEST_HEADER) or headers.get("x-api-key")) or scheme == "bearer"


def cors_headers(
    headers: Mapping[str, str], ui_origins: Collection[str], *, for_everyone: bool
) -> dict[str, str]:
    """What an answer says to the browser that asked: whether its page may read it.

    The origin itself and not `*`, which browsers do not take where a request has credentials, as every
    `navigator.sendBeacon` has.
    """
    said = {"Vary": "Origin"} if for_everyone or ui_origins else {}
    if (origin := _allowed_origin(headers, ui_origins, for_everyone=for_everyone)) is not None:
        said |= {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": _EXPOSED,
        }
    return said


def preflight_headers(
    headers: Mapping[str, str],
    ui_origins: Collection[str],
    allowed_methods: Collection[str],
    *,
    for_everyone: bool,
) -> dict[str, str]:
    """What a preflight is told: that the request may be sent, with the method and the headers it asks for; or nothing.

    Which headers a page's exporter has, such as traceparent, is not known here: those that are asked for are allowed.
    """
    said = {"Vary": _VARY_OF_PREFLIGHT, "Allow": ", ".join(sorted(allowed_methods))}
    origin = _allowed_origin(headers, ui_origins, for_everyone=for_everyone)
    method = headers.get("access-control-request-method", "")
    if origin is None or method not in allowed_methods:
        return said
    said |= {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": method,
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }
    names = headers.get("access-control-request-headers", "").strip()
    if len(names) <= _HEADER_NAMES_CHARACTERS_MAX and _HEADER_NAMES.fullmatch(names):
        said["Access-Control-Allow-Headers"] = names
    if headers.get("access-control-request-private-network", "").lower() == "true":
        # A page of the internet that sends to a Clew on this machine or in this network.
        said["Access-Control-Allow-Private-Network"] = "true"
    return said


def _allowed_origin(
    headers: Mapping[str, str], ui_origins: Collection[str], *, for_everyone: bool
) -> str | None:
    origin = headers.get("origin", "")
    is_allowed = for_everyone or origin.lower() in ui_origins
    return origin if is_allowed and _ORIGIN.fullmatch(origin) else None

"""The values of a Zipkin span's fields, as Zipkin takes, mends and refuses them.

Source: openzipkin/zipkin, Span.java, Endpoint.java, internal/V2SpanReader.java.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

TIME_MICRO_MAX = (2**64 - 1) // 1_000
"""What OpenTelemetry's nanoseconds can tell: the year 2554."""
ZERO_ID = bytes(8)
_PORT_MAX = 0xFFFF
_HIGH_ZEROS = "0" * 16
_LOWER_HEX = frozenset("0123456789abcdef")


class Fault(ValueError):
    """Why a span cannot be stored, in Zipkin's words."""


def address_text(address: bytes) -> str | None:
    """The text of an address of 4 or 16 bytes; None for any other number."""
    return str(ip_address(address)) if len(address) in (4, 16) else None


def text_of(value: Any) -> str:
    """A string, or a number as its text: JSON's readers in Java make no difference. Raises Fault."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Fault(f"Expected a string but was {type(value).__name__}")
    return str(value)


def flag_of(value: Any) -> bool:
    if value is not None and value is not True and value is not False:
        raise Fault(f"Expected a boolean but was {type(value).__name__}")
    return bool(value)


def time_of(value: Any) -> int:
    """Microseconds; 0 for none. A negative one is none. Raises Fault."""
    if type(value) is int:
        if value > TIME_MICRO_MAX:
            raise Fault(f"{value} microseconds are after 2554")
        return value if value > 0 else 0
    if value is None:
        return 0
    if isinstance(value, str | float):
        return time_of(whole(value))
    raise Fault(f"Expected a long but was {type(value).__name__}")


def whole(value: Any) -> int:
    """A whole number as Java's reader takes it: an integer, its text, or a number without a fraction. Raises Fault."""
    if type(value) is int:
        return value
    try:
        if isinstance(value, str):
            return int(value) if len(value) <= 20 else 2**64
        if isinstance(value, float) and value.is_integer():
            return int(value)
    except (ValueError, OverflowError):
        pass
    raise Fault(f'For input string: "{value!s:.64}"')


def trace_id_of(text: str) -> bytes:
    """16 bytes. Raises Fault."""
    if len(text) == 32 or len(text) == 16:
        with_high = text if len(text) == 32 else _HIGH_ZEROS + text
        try:
            found = bytes.fromhex(with_high)
        except ValueError:
            found = b""
        if found.hex() == with_high and any(found):
            return found
    if not text:
        raise Fault("traceId is empty")
    if len(text) > 32:
        raise Fault("traceId.length > 32")
    if not _LOWER_HEX.issuperset(text):
        raise Fault(f"{text} should be lower-hex encoded with no prefix")
    if not text.strip("0"):
        raise Fault("traceId is all zeros")
    return bytes.fromhex(text.zfill(32))


def span_id_of(text: str, name: str) -> bytes:
    """8 bytes; of a parent they may be zeros. Raises Fault."""
    if len(text) == 16:
        try:
            found = bytes.fromhex(text)
        except ValueError:
            found = b""
        if found.hex() == text and (found != ZERO_ID or name != "id"):
            return found
    if not text:
        raise Fault(f"{name} is empty")
    if len(text) > 16:
        raise Fault(f"{name}.length > 16")
    if not _LOWER_HEX.issuperset(text):
        raise Fault(f"{text} should be lower-hex encoded with no prefix")
    if name == "id" and not text.strip("0"):
        raise Fault("id is all zeros")
    return bytes.fromhex(text.zfill(16))


def incomplete_annotation(annotation: dict[str, Any], span: int, place: int) -> Fault:
    """The fault of an incomplete annotation, in the words of Zipkin, which name the last member that it has read."""
    last = next(reversed(annotation), "")
    return Fault(f"Incomplete annotation at $[{span}].annotations[{place}].{last:.64}")


class Endpoint(NamedTuple):
    """An endpoint as Zipkin normalises it; "" and 0 are absent."""

    service_name: str
    ipv4: str
    ipv6: str
    port: int


def endpoint_of(sent: Mapping[str, Any]) -> Endpoint:
    """The endpoint that JSON has. Raises Fault; AttributeError or TypeError for what is none."""
    name = text_of(sent.get("serviceName") or "").lower()
    addresses: dict[type, str] = {}
    for key in ("ipv4", "ipv6"):
        if text := sent.get(key):
            address = _address(text_of(text))
            addresses.setdefault(type(address), str(address))
    port = whole(sent.get("port") or 0)
    if port > _PORT_MAX:
        raise Fault(f"invalid port {port}")
    return Endpoint(
        name, addresses.get(IPv4Address, ""), addresses.get(IPv6Address, ""), max(0, port)
    )


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """None for what is no address, which Zipkin leaves out. An IPv4 address within an IPv6 one is what it is."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        low = int(address)
        is_compatible = 1 < low < 2**32
        return address.ipv4_mapped or (IPv4Address(low) if is_compatible else address)
    return address

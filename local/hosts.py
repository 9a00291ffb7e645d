"""Checks the Host header where no token is needed. Without it any web page could read Clew through a browser.

An attacker can make a page's own name mean 127.0.0.1 after it was loaded (DNS rebinding): the browser then takes Clew's
answers for the page's own. But the Host header still has the page's name.

    TOKEN set                   any name: a page does not know the token
    HOST of this machine        names of this machine, at a port that is listened at; ALLOWED_HOSTS
    others reach it, by ACCESS  addresses, and names that no public DNS has, at any port; ALLOWED_HOSTS

Sources: RFC 6761 and the ICANN resolution on `.internal` for the names that nobody can have registered.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES_OF_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
PRIVATE_ENDINGS = (".localhost", ".internal", ".local", ".home.arpa", ".test")
"""Endings of names that nobody can register. Containers use one for their host: `host.docker.internal`."""
_CONTAINER_HOST_ENDING = ".internal"


class Hosts(NamedTuple):
    """The names and ports that a Host header may have."""

    names: frozenset[str]
    """Lower-case names without port; an IPv6 address has no brackets."""
    ports: frozenset[int] | None
    """The ports that may stand beside the names; None for any port."""
    private_names: bool = False
    """Whether any address, and any name that no public DNS has, is allowed."""
    allowed: frozenset[str] = frozenset()
    """The names of ALLOWED_HOSTS: a name, at any port, or name:port."""

    def refusal(self, host_header: str, uri: str) -> str:
        """Return why a request is refused; empty if it is not. The URI of a request line may name a host, too."""
        for text in (host_header, _authority(uri)):
            if text and not self._takes(text.lower()):
                return (
                    f"this Clew is not called {text[:200]!r}: without a token it answers to its own names alone, "
                    "so that no web page can ask it. Set ALLOWED_HOSTS to the names that it is to have, or TOKEN"
                )
        return ""

    def _takes(self, text: str) -> bool:
        name, port = _name_and_port(text)
        if text in self.allowed or name in self.allowed:
            return True
        if self.ports is not None and port not in self.ports:
            return False
        if name in self.names or name.endswith(_CONTAINER_HOST_ENDING):
            return True
        return self.private_names and _is_private(name)


def hosts_of(host: str, ports: Iterable[int], allowed: Iterable[str], *, opened: bool) -> Hosts:
    """Return the hosts of a Clew that listens at `host`; `opened` says whether other machines may ask it."""
    names = NAMES_OF_THIS_MACHINE | {host.lower()}
    its_own = frozenset(name.lower() for name in allowed)
    return Hosts(
        names=names,
        ports=None if opened else frozenset(ports),
        private_names=opened,
        allowed=its_own,
    )


def allowed_hosts_from(text: str) -> frozenset[str]:
    """Return the names of ALLOWED_HOSTS, separated by commas. Raises ValueError for a text that is no host."""
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if not _name_and_port(name)[0] or any(mark in name for mark in "/*@? "):
            raise ValueError(f"{name!r} is not a host, nor host:port")
    return frozenset(name.strip("[]") if name.endswith("]") else name for name in names)


def _authority(uri: str) -> str:
    if uri.startswith("/"):
        return ""
    try:
        return urlsplit(uri).netloc
    except ValueError:
        return uri


def _name_and_port(text: str) -> tuple[str, int]:
    """Return host and port of a Host header; without a port it is 80. The host is empty if the header is invalid."""
    try:
        parts = urlsplit(f"//{text}")
        if parts.netloc != text or parts.username is not None:
            return "", 0
        return parts.hostname or "", 80 if parts.port is None else parts.port
    except ValueError:
        return "", 0


def _is_private(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(name) and ("." not in name or name.endswith(PRIVATE_ENDINGS))
    return True

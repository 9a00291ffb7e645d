"""Secrets of every kind, made by chance, as the rules by value find them: for the tests of redaction."""

from __future__ import annotations

import base64
import string
from typing import NamedTuple

from hypothesis import strategies as st

_WORD = string.ascii_letters + string.digits
_BASE64URL = _WORD + "-_"


class Secret(NamedTuple):
    text: str
    """A text that a sender writes."""
    canary: str
    """The part of it that nobody may see."""


def _texts(alphabet: str, least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most)


_canaries = _texts(_WORD, 10, 30).map(lambda text: f"canary7{text}")
_names = st.sampled_from(
    (
        *("password", "Password", "db_passwd", "PWD", "client_secret", "accessToken", "x-api-key"),
        *("refresh_token", "API_KEY", "apikey", "privateKey", "AWS_SECRET_ACCESS_KEY", "creds"),
    )
)


def _with_check_digit(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 - place % 2)
        total += doubled - 9 * (doubled > 9)
    return digits + str(-total % 10)


def _cards() -> st.SearchStrategy[Secret]:
    def made(start: str, rest: str, separator: str) -> Secret:
        digits = _with_check_digit((start + rest)[:15])
        text = separator.join(digits[at : at + 4] for at in range(0, 16, 4))
        return Secret(text, text)

    starts = st.sampled_from(["4", "51", "55", "2221", "2720", "6011", "65", "3528", "62"])
    return st.builds(made, starts, _texts(string.digits, 15, 15), st.sampled_from(["", " ", "-"]))


def _pairs() -> st.SearchStrategy[Secret]:
    forms = st.sampled_from(
        (
            *("{0}={1}", "{0}: {1}", '{{"{0}":"{1}"}}', '{{"a":1,"{0}" : "{1}", "b":2}}'),
            *('{{\\"{0}\\":\\"{1}\\"}}', "?{0}={1}&page=2", "<{0}>{1}</{0}>", "--{0} {1}"),
            *("https://h.example/a?b=c&{0}={1}#top", "{{'{0}': '{1}'}}", '"{0}":["{1}","{1}"]'),
            *("Server=db;User Id=a;{0}={1};X=1", "{0} => {1}", "{0}='{1}'", "--{0}={1}"),
        )
    )
    return st.builds(
        lambda form, name, canary: Secret(form.format(name, canary), canary),
        forms,
        _names,
        _canaries,
    )


def _jwts() -> st.SearchStrategy[Secret]:
    def made(*parts: str) -> Secret:
        text = "eyJ" + ".".join(parts)
        return Secret(text, text)

    part = _texts(_BASE64URL, 10, 40)
    return st.builds(made, part, part, part)


def _looks(prefixes: list[str], alphabet: str, size: int) -> st.SearchStrategy[Secret]:
    return st.builds(
        lambda prefix, rest: Secret(prefix + rest, prefix + rest),
        st.sampled_from(prefixes),
        _texts(alphabet, size, size),
    )


SECRETS: dict[str, st.SearchStrategy[Secret]] = {
    "pair": _pairs(),
    "bearer": _canaries.map(lambda canary: Secret(f"Bearer {canary}", canary)),
    "basic": _canaries.map(lambda canary: base64.b64encode(f"user:{canary}".encode()).decode()).map(
        lambda text: Secret(f"Basic {text}", text)
    ),
    "userinfo": st.builds(
        lambda scheme, canary: Secret(f"{scheme}://user:{canary}@host.example:5432/x", canary),
        st.sampled_from(["https", "postgres", "amqp", "redis"]),
        _canaries,
    ),
    "jwt": _jwts(),
    "pem": st.builds(
        lambda kind, body, newline: Secret(
            f"-----BEGIN {kind}PRIVATE KEY-----{newline}{body}{newline}-----END {kind}PRIVATE KEY-----",
            body,
        ),
        st.sampled_from(["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "]),
        _texts(_WORD + "+/=", 40, 200).map(lambda body: f"canary7{body}"),
        st.sampled_from(["\n", "\r\n", "\\n"]),
    ),
    "aws": _looks(["AKIA", "ASIA"], string.ascii_uppercase + string.digits, 16),
    "vendor": _looks(["ghp_", "ghs_", "github_pat_", "sk_live_"], _WORD, 36)
    | _looks(["xoxb-", "xoxp-", "glpat-", "AIza"], _WORD + "-", 35),
    "card": _cards(),
    "statement": _canaries.map(
        lambda canary: Secret(f"CREATE USER a IDENTIFIED BY '{canary}' PASSWORD EXPIRE", canary)
    ),
    "cookie": _canaries.map(lambda canary: Secret(f"Cookie: a=b; sid={canary}", canary)),
}
"""By kind."""

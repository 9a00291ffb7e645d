"""Secrets in a text: found by what they look like, or by the name that stands before them.

    text ──redacted_text──▶ text with REDACTED in their place, and the name of a rule for each

Every pattern takes what it looks at once, possessively, and a function then decides: no text makes it look again. All
that is not a secret stays as it is, so that a URL or a statement can still be read.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.receive.redaction_rules import (
    DIGITS_OF_A_CARD,
    DROP,
    HASH,
    HASH_DIGITS,
    KEY_PROBES,
    MASK,
    REDACTED,
    RULE_NAMES,
    KeyMatch,
    folded,
    has_userinfo,
    is_suspect,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.receive.redaction_rules import Rules

_logger = logging.getLogger(__name__)

FAULT = "fault"
"""The rule that is named where a rule failed, and the value was masked for that."""
TOO_MANY = "too-many"
"""The rule that is named for what may be a secret, where there was more of it than is looked at closely."""
_PASSES_MAX = 4
_PAIRS_MAX = 200_000
"""Names with values that are looked at in one text, more than `cost_of` lets pass in a payload; with more it is masked
whole."""
_SIGNS = (b"=", b":", b">", b',"', b",'", b"eyj")
"""The signs in a folded text at each of which some pattern may stop and ask."""
_WORDS = (b"@", b"bearer", b"basic", b"identified", b"auth", b"passw")
"""The words in a folded text at which some pattern may stop, and find a secret."""
COST_MIN, _COST_IN_TEXT, _COST_OF_SIGN, _COST_OF_FINDING = 10, 10, 2, 8
"""The costs of a suspect; of one that has signs or words; of each sign; of a word, and of a secret's name before a
sign."""
_COST_OF_MEMBER = 2
"""The cost of a member of an array or a map."""
_TEXT_CHARACTERS_MIN = 5
"""No shorter text has a secret that is known by its look: `pwd=x`."""
_PLACEHOLDER = re.compile(
    r"\*+|\?|\$[0-9]{1,3}|%s|null|none|nil|undefined|true|false|\[?(?:redacted|filtered|masked)\]?"
    rf"|hmac:[0-9a-f]{{{HASH_DIGITS}}}",
    re.IGNORECASE | re.ASCII,
)


class Found:
    """What was found in a value, or in a span: the rule of each secret."""

    def __init__(self) -> None:
        self.rules: list[str] = []
        self.is_dropped = False
        """Whether a rule leaves out the whole attribute that has the secret."""


def replaced(secret: str, match: KeyMatch, rules: Rules, found: Found) -> str:
    """What stands in the place of a secret."""
    found.rules.append(match.rule)
    if match.action == DROP:
        found.is_dropped = True
    if match.action == HASH:
        digest = hmac.digest(rules.hash_key, secret.encode(errors="surrogatepass"), "sha256")
        return f"hmac:{digest.hex()[:HASH_DIGITS]}"
    return REDACTED


def is_placeholder(text: str) -> bool:
    """Whether a text stands for a secret and is none: what somebody wrote in its place, or a parameter's mark."""
    return not text or _PLACEHOLDER.fullmatch(text) is not None


def cost_of(content: bytes) -> int:
    """About how many microseconds of a slow processor it takes at most to look closely at a text or an attribute."""
    fold = folded(content)
    # Folded, there are no hyphens.
    signs = sum(map(fold.count, _SIGNS)) + content.count(b"--")
    names = min(signs, sum(map(fold.count, KEY_PROBES))) if signs else 0
    found = names + sum(map(fold.count, _WORDS)) + 2 * fold.count(DIGITS_OF_A_CARD)
    cost = cost_of_members(content) + len(content) // 32
    if not (signs or found):
        return cost
    return cost + _COST_IN_TEXT + _COST_OF_SIGN * signs + _COST_OF_FINDING * found


def cost_of_members(content: bytes) -> int:
    """The same of an attribute whose texts nobody looks at."""
    return COST_MIN + _COST_OF_MEMBER * (content.count(b"\n") // 2)


def tell_fault(error: Exception) -> None:
    """Log that a rule failed: never with the error's own words, which may hold what must not be told."""
    _logger.error("a redaction rule failed, its value is left out: %s", type(error).__name__)


def redacted_text(text: str, rules: Rules, found: Found) -> str:
    """The text without its secrets; the same text where it has none.

    Raises nothing: a text on which a rule fails is masked whole.
    """
    if len(text) < _TEXT_CHARACTERS_MIN and not rules.looks_at_all:
        return text
    try:
        for _ in range(_PASSES_MAX):
            if not is_suspect(text.encode(errors="surrogateescape"), rules):
                return text
            before, text = text, _pass(text, rules, found)
            if text == before:
                return text
    except Exception as error:
        tell_fault(error)
    found.rules.append(FAULT)
    return REDACTED


def _pass(text: str, rules: Rules, found: Found) -> str:
    fold = folded(text.encode(errors="surrogateescape"))
    for own in rules.own_patterns:
        if own.probe in fold:
            match = KeyMatch(own.name, own.action)
            text = own.pattern.sub(partial(_own, match=match, rules=rules, found=found), text)
    if has_userinfo(fold) and "url-userinfo" not in rules.off:
        text = _USERINFO.sub(partial(_userinfo, rules=rules, found=found), text)
    if b"privatekey" in fold and "private-key-block" not in rules.off:
        text = _PEM.sub(partial(_whole, rule="private-key-block", rules=rules, found=found), text)
    if rules.key_probe.search(fold):
        text = _values_of_names(text, fold, rules, found)
    for rule in _LOOKS if _LOOK_PROBE.search(fold) else ():
        if rule.name not in rules.off and rule.probe.search(fold):
            text = rule.pattern.sub(
                partial(rule.decide, rule=rule.name, rules=rules, found=found), text
            )
    if DIGITS_OF_A_CARD in fold and "card-number-value" not in rules.off:
        text = _DIGITS.sub(partial(_cards, rules=rules, found=found), text)
    return text


def _own(matched: re.Match[str], match: KeyMatch, rules: Rules, found: Found) -> str:
    text = matched[0]
    return text if is_placeholder(text) else replaced(text, match, rules, found)


def _masked(secret: str, rule: str, rules: Rules, found: Found) -> str:
    return replaced(secret, KeyMatch(rule, MASK), rules, found)


def _whole(matched: re.Match[str], rule: str, rules: Rules, found: Found) -> str:
    return _masked(matched[0], rule, rules, found)


# user:password@ in URLs, also with slashes that JSON has escaped, and with those in a password that belong escaped:
# what follows a host's colon is else a port, or a placeholder of one.
_USERINFO = re.compile(
    r"(?P<slashes>:\\?/\\?/)(?:"
    r"(?P<quoting>[^\s\"'<>/?#\\@:]*+):(?P<quoted>[^\s\"'<>/?#\\@]*+'[^\s\"<>/?#\\@,:;()\[\]{}]{0,100}+)@(?=[\w\[])|"
    r"(?P<user>[^\s\"'<>/?#\\@:]*+):(?P<odd>[^\s\"'<>/?#\\@0-9{$\[][^\s\"'<>/?#\\@]*+[/?#][^\s\"'<>@]{0,100})@"
    r"|(?P<authority>[^\s\"'<>/?#\\]*+))"
)
_TOKEN_USER_PASSWORDS = ("", "x-oauth-basic", "x-token-auth")
_TOKEN_USER_CHARACTERS_MIN = 16
_TOKEN_USER = re.compile(
    rf"(?=[A-Za-z_\-]*+[0-9])[\w\-]{{{_TOKEN_USER_CHARACTERS_MIN},}}+", re.ASCII
)
"""A user without even a colon: people's names have no digits, or are shorter."""


def _userinfo(matched: re.Match[str], rules: Rules, found: Found) -> str:
    slashes, rule = matched["slashes"], "url-userinfo"
    if matched["quoted"]:
        return f"{slashes}{matched['quoting']}:{_masked(matched['quoted'], rule, rules, found)}@"
    if matched["odd"]:
        return f"{slashes}{matched['user']}:{_masked(matched['odd'], rule, rules, found)}@"
    userinfo, _, host = matched["authority"].rpartition("@")
    user, colon, password = userinfo.partition(":")
    if colon and password in _TOKEN_USER_PASSWORDS:
        if len(user) < _TOKEN_USER_CHARACTERS_MIN:
            return matched[0]
        user = _masked(user, rule, rules, found)
    elif not colon and _TOKEN_USER.fullmatch(user):
        return f"{slashes}{_masked(user, rule, rules, found)}@{host}"
    elif not is_placeholder(password):
        password = _masked(password, rule, rules, found)
    else:
        return matched[0]
    return f"{slashes}{user}:{password}@{host}"


_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)


# name=value, "name": "value", <name>value<; --name value; PASSWORD 'value', IDENTIFIED BY value.
_PAIR = re.compile(
    r"""(?<![\w.\-])(?P<name>[\w.\-]++)(?:\[[0-9]{0,5}+\]|%5[Bb][0-9]{0,5}+%5[Dd])?+(?P<quote>\\*+["'`])?+\]?+\s{0,20}+(?P<sign>=>|[=:>]=?+)\s{0,20}+""",
    re.ASCII,
)
_FLAG = re.compile(r"(?<![\w\-])(?P<name>--[A-Za-z][\w.\-]*+)[ ]{1,4}+(?!-)", re.ASCII)
_STATEMENT = re.compile(
    r"""(?<!\w)(?:identified\s{1,20}+(?:with\s{1,20}+[^\s]{1,80}+\s{1,20}+)?by(?:\s{1,20}+password)?|password|passwd)"""
    r"""(?:\s{1,20}+(?=["'])|(?<=by)\s{1,20}+(?=[^\s"']))""",
    re.IGNORECASE | re.ASCII,
)
_HEADER = re.compile(
    r"""[(\[]\s{0,20}+[bu]?(?P<quote>\\*+["'])(?P<name>[A-Za-z][\w\-]{0,63}+)(?P=quote)\s{0,20}+,\s{0,20}+"""
    r"""(?=[bu]?\\*+["'])""",
    re.ASCII,
)
"""("Cookie", "sid=x"), ["Cookie", "sid=x"]: headers as programs print them."""
_CONDITION = re.compile(
    r"""(?<![\w.\-])(?P<name>[\w.\-]++)["`\]]?+\s{1,20}+(?:not\s{1,20}+)?+"""
    r"""(?:i?like\s{1,20}+(?=')|in\s{0,20}+(?=\(\s{0,20}+'))""",
    re.IGNORECASE | re.ASCII,
)
"""token LIKE 'x', token IN ('x', 'y')."""
_ELEMENT = re.compile(r"<(?P<name>[\w.\-:]++)\s[^<>]{0,300}+(?<!/)>", re.ASCII)
"""<Password Type="text">x</Password>; one without attributes is a _PAIR."""
_MEMBERS = re.compile(
    r"""(?P<quote>\\*+["'])(?:name|key)(?P=quote)\s{0,20}+:\s{0,20}+(?P=quote)(?P<name>[\w.\-]{1,64}+)(?P=quote)"""
    r"""\s{0,20}+,\s{0,20}+(?P=quote)value(?P=quote)\s{0,20}+:\s{0,20}+""",
    re.IGNORECASE | re.ASCII,
)
"""{"name": "password", "value": "x"}: lists of headers, and of variables."""
_IN_PARENTHESES = re.compile(r"(?:[^'()]|'(?:[^'\\]|\\.|'')*+(?:'|\Z))*+", re.DOTALL)
_OPENING = re.compile(r"(?:[A-Za-z]\w{0,39}+\(\s{0,20}+)?+[bBuUrREN]?+(\\*+[\"'])", re.ASCII)
"""The opening of a literal, also as programs and statements write some: b'x', E'x', N'x', md5('x'), SecretStr('x')."""
_QUOTED = {
    '"': re.compile(r'(?:[^"\\]|\\.)*+', re.DOTALL),
    "'": re.compile(r"(?:[^'\\]|\\.|'')*+", re.DOTALL),
}
_RUN = {quote: re.compile(rf"\\*+{quote}") for quote in _QUOTED}
_BRACKET = re.compile(
    r"""[\[\]{}]|(?P<quote>\\*+")(?:.*?(?<!\\)(?P=quote)|.*+)""",
    re.DOTALL,
)
"""A bracket, or a text between two quotes, whose own brackets do not count."""
_CDATA = re.compile(r"<!\[CDATA\[")
_BLOCK = re.compile(
    r"[|>][+\-0-9]{0,2}+[ ]*+\r?\n(?P<indent>[ \t]++)[^\n]*+(?:\n(?P=indent)[^\n]*+)*+"
)
"""What a YAML key has in the lines below it."""
_COOKIES = re.compile(
    r"[^\s&,;\"'<>\\]*+(?:;[ ]{0,2}+[\w.\-]{1,64}+=[^\s&,;\"'<>\\]*+)*+", re.ASCII
)
_SCHEMES = r"(?:(?:basic|bearer|digest|negotiate|token|apikey|aws4-hmac-sha256)[ ]{1,4}+)?+"
_BARE = re.compile(rf"{_SCHEMES}(?:[^\s&;,\"'<>\\]|,(?=[^\s\"'&;]))*+", re.IGNORECASE | re.ASCII)
_IN_QUERY = re.compile(rf"{_SCHEMES}[^\s&#;\"'<>\\]*+", re.IGNORECASE | re.ASCII)
_TO_LINE_END = re.compile(r"(?:[^\r\n\\]|\\(?![rn]))*+")
_TO_QUOTE = {'"': re.compile(r'[^\r\n"\\]*+'), "'": re.compile(r"[^\r\n'\\]*+")}
_IN_CONNECTION = re.compile(r"[^;\r\n\"'<>]*+")
"""A value in a database's connection string: Server=x;Password=y;"""
_IN_ELEMENT = re.compile(r"[^<]*+")
_LINES = frozenset({"authorization", "cookie"})
"""Rules of headers, whose values go to the end of the line."""
_PASSWORD = KeyMatch("password", MASK)


def _values_of_names(text: str, fold: bytes, rules: Rules, found: Found) -> str:
    """The text with the values of names that are secrets replaced."""
    text = _pairs(text, _PAIR, lambda pair: _match_of(pair, rules), rules, found)
    if "--" in text:
        text = _pairs(text, _FLAG, lambda pair: rules.of_key(pair["name"]), rules, found)
    if "'," in text or '",' in text:
        text = _pairs(text, _HEADER, lambda pair: _match_of_header(pair, rules), rules, found)
    if "</" in text:
        text = _pairs(text, _ELEMENT, lambda pair: rules.of_key(pair["name"]), rules, found)
    if b"value" in fold:
        text = _pairs(text, _MEMBERS, lambda pair: rules.of_key(pair["name"]), rules, found)
    if b"in(" in fold or b"like" in fold:
        text = _pairs(text, _CONDITION, lambda pair: rules.of_key(pair["name"]), rules, found)
    if (b"identified" in fold or b"passw" in fold) and "password" not in rules.off:
        text = _pairs(text, _STATEMENT, lambda _: _PASSWORD, rules, found)
    return text


def _pairs(
    text: str,
    pattern: re.Pattern[str],
    match_of: Callable[[re.Match[str]], KeyMatch | None],
    rules: Rules,
    found: Found,
) -> str:
    parts: list[str] = []
    done = at = 0
    for _ in range(_PAIRS_MAX):
        pair = pattern.search(text, at)
        if pair is None:
            return "".join([*parts, text[done:]]) if parts else text
        at = pair.end()
        match = match_of(pair)
        if match is None:
            continue
        start, end, quote = _value_at(pair, match)
        value = text[start:end].strip(" \t)]}")
        may_be_word = start == at and match.rule in RULE_NAMES
        if not is_placeholder(value) and not (may_be_word and _is_word(value, pair)):
            new = replaced(text[start:end], match, rules, found)
            parts += [text[done:start], f"{quote}{new}{quote}"]
            done = at = end
    found.rules.append(FAULT)
    return REDACTED


_SENTENCES = (
    "a an and access are at be been by can cannot changed contains could denied did disabled does empty "
    "enabled error expected expired fail failed failure for from got had has have id if in incorrect int "
    "integer invalid is it malformed mandatory match mismatch missing must no none not number of ok on "
    "only optional or parse passed rejected required reset revoked should string success successful "
    "succeeded that the this to too type unauthorized unknown unsupported updated valid was will with "
    "wrong you your"
)
_WORDS_OF_SENTENCES = frozenset(_SENTENCES.split())
_VARIABLE = re.compile(r"[$:@]\{?(\w+)\}?|%\((\w+)\)s|\{\{?(\w+)\}?\}?|(\w+)", re.ASCII)
_EXPRESSION = re.compile(
    r"(?:self|this|os|request|req|config|settings|args|kwargs|params|options|form|env|process)"
    r"(?:\.[A-Za-z_]{1,40}){1,8}(?:[(\[].*)?",
    re.ASCII | re.DOTALL,
)


def _is_word(value: str, pair: re.Match[str]) -> bool:
    """Whether what follows a secret's name without quotes is a word of a sentence, or of a program: no secret."""
    if value.rstrip(".,:;!?").lower() in _WORDS_OF_SENTENCES:
        return True
    if value.isdigit() and len(value) < 3:
        # pass=2 of 3
        return "name" in pair.re.groupindex and pair["name"].lower() == "pass"
    if (variable := _VARIABLE.fullmatch(value)) and "name" in pair.re.groupindex:
        # password = :password
        return _letters(variable[variable.lastindex or 0]) == _letters(
            pair["name"].rpartition(".")[2]
        )
    return _EXPRESSION.fullmatch(value) is not None


def _letters(name: str) -> str:
    return name.lower().replace("_", "").lstrip("-")


def _match_of(pair: re.Match[str], rules: Rules) -> KeyMatch | None:
    name, sign = pair["name"], pair["sign"]
    if sign.startswith(">") and _before(pair) not in ("<", ":"):
        # A comparison, not the end of an element's tag.
        return None
    match = rules.of_query_name(name) if sign == "=" else rules.of_key(name)
    return None if match and _is_name_of_secret(pair) else match


def _match_of_header(pair: re.Match[str], rules: Rules) -> KeyMatch | None:
    """Names that only headers have: other lists of two texts are names of fields, and columns."""
    name = pair["name"]
    match = rules.of_key(name)
    is_header = match and (match.rule in _LINES or "-" in name)
    return match if is_header else None


_ARN = re.compile(r"arn:[\w\-]{1,20}:secretsmanager:[\w\-]{0,30}:[0-9]{0,12}:\Z", re.ASCII)
_ARN_CHARACTERS_MAX = 100


def _is_name_of_secret(pair: re.Match[str]) -> bool:
    """Whether what follows is where AWS Secrets Manager keeps a secret, not the secret."""
    start = pair.start()
    if pair["name"] != "secret" or _before(pair) != ":":
        return False
    return _ARN.search(pair.string, max(0, start - _ARN_CHARACTERS_MAX), start) is not None


def _before(pair: re.Match[str]) -> str:
    start = pair.start()
    return pair.string[start - 1] if start else ""


def _value_at(pair: re.Match[str], match: KeyMatch) -> tuple[int, int, str]:
    """Start and end of a pair's value, and the quote that must be put around what replaces it."""
    text, at = pair.string, pair.end()
    quote, sign = "", ""
    if pair.re is _PAIR:
        quote, sign = (pair["quote"] or "").replace("`", ""), pair["sign"]
    if cdata := _CDATA.match(text, at):
        end = text.find("]]>", at)
        return cdata.end(), end if end >= 0 else len(text), ""
    if sign == ":" and (block := _BLOCK.match(text, at)):
        return block.end("indent"), block.end(), ""
    if opening := _OPENING.match(text, at):
        return opening.end(), _end_of_quoted(text, opening.end(), opening[1]), ""
    if text[at : at + 1] in ("[", "{"):
        return at, _end_of_brackets(text, at), quote
    if pair.re is _CONDITION:
        matched = _IN_PARENTHESES.match(text, at + 1)
        return at + 1, matched.end() if matched else len(text), "'"
    before = _before(pair)
    if sign == ">" or pair.re is _ELEMENT:
        pattern = _IN_ELEMENT
    elif before in ("?", "&"):
        pattern = _IN_QUERY
    elif before == ";" and sign == "=":
        pattern = _IN_CONNECTION
    elif match.rule == "cookie" and sign == "=":
        pattern = _COOKIES
    elif match.rule in _LINES and sign == ":":
        pattern = _TO_QUOTE.get(before, _TO_LINE_END)
    else:
        pattern = _BARE
    matched = pattern.match(text, at)
    end = matched.end() if matched else at
    if quote:
        # In JSON a number, whose neighbours stay.
        end = at + len(text[at:end].rstrip("}] \t"))
    return at, end, quote


def _end_of_quoted(text: str, start: int, quote: str) -> int:
    if len(quote) == 1:
        matched = _QUOTED[quote].match(text, start)
        return matched.end() if matched else len(text)
    # Each literal within a literal doubles what stands before a quote; one that is escaped once more is content.
    for run in _RUN[quote[-1]].finditer(text, start):
        if (len(run[0]) - len(quote)) % (2 * len(quote)) == 0:
            return run.end() - len(quote)
    return len(text)


def _end_of_brackets(text: str, start: int) -> int:
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        if bracket["quote"]:
            continue
        depth += 1 if bracket[0] in "[{" else -1
        if not depth:
            return bracket.end()
    return len(text)


def _credentials(matched: re.Match[str], rule: str, rules: Rules, found: Found) -> str:
    """Find the credentials of `Bearer x` and `Basic x`, if x is no word of a sentence."""
    scheme, space, credentials = matched[1], matched[2], matched[3]
    if is_placeholder(credentials) or not _are_credentials(scheme.lower(), credentials):
        return matched[0]
    return f"{scheme}{space}{_masked(credentials, rule, rules, found)}"


_WORDS_AFTER_BEARER = frozenset(
    "authentication authorization certificate credentials security accessToken instrument".lower().split()
)


def _are_credentials(scheme: str, text: str) -> bool:
    if scheme == "basic":
        try:
            return b":" in base64.b64decode(f"{text.rstrip('=.)]}')}===", altchars=b"-_")
        except (binascii.Error, ValueError):
            return False
    if _NAMED.match(text):
        # A name of its own, which is looked at as such.
        return False
    word = text.rstrip(".:!?)]}=")
    return not word.isalpha() or (len(word) >= 8 and word.lower() not in _WORDS_AFTER_BEARER)


_NAMED = re.compile(r"[A-Za-z_]{2,40}=[^=]")
_DOTTED_JWT_CHARACTERS_MIN = 20


def _jwt(matched: re.Match[str], rule: str, rules: Rules, found: Found) -> str:
    token = matched[0]
    if token.count(".") < 2 or len(token) < _DOTTED_JWT_CHARACTERS_MIN:
        return token
    return _masked(token, rule, rules, found)


def _last_part(matched: re.Match[str], rule: str, rules: Rules, found: Found) -> str:
    """What begins so, with its last group masked."""
    secret = matched[matched.lastindex or 0]
    if is_placeholder(secret):
        return matched[0]
    return matched[0][: -len(secret)] + _masked(secret, rule, rules, found)


class _Look(NamedTuple):
    """Secrets that are known by what they look like."""

    name: str
    probe: re.Pattern[bytes]
    """What a text must have, folded."""
    pattern: re.Pattern[str]
    decide: Callable[..., str] = _whole


_LOOKS = (
    _Look(
        "authorization-value",
        re.compile(rb"bearer|basic"),
        re.compile(
            r"(bearer|basic)((?:\s|%20|\+){1,8}+)([^\s\"',;<>\\]++)", re.IGNORECASE | re.ASCII
        ),
        _credentials,
    ),
    _Look("jwt", re.compile(rb"eyj"), re.compile(r"eyJ[\w\-]*+(?:\.[\w\-]*+)*+", re.ASCII), _jwt),
    _Look(
        "aws-access-key",
        re.compile(rb"akia|asia|abia|acca"),
        re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])"),
    ),
    _Look(
        "vendor-key",
        re.compile(
            rb"gh[pousr]|githubpat|xox|xapp|[sr]k(?:live|test)|whsec|glpat|aiza|sk(?:ant|proj)|npm|gocspx"
            rb"|t0blbkfj|apikey|dopv|pypiage|hv[sb]|dckrpat|shp(?:at|ss|ca|pa)|sksvcacct|skorv0|sq0(?:atp|csp)"
            rb"|xkeysib|glsa|linapi|atatt0|nvapi|pmak|sntrys|ya00|figd|rubygems|tskey|pplx|sg[a-z0]{45}"
            rb"|hf[a-z0]{30}|gsk[a-z0]{40}|dapi[a-f0]{32}"
        ),
        re.compile(
            r"gh[pousr]_[A-Za-z0-9]{20,255}+"
            r"|github_pat_[A-Za-z0-9_]{20,255}+"
            r"|(?:xox[abeoprs]|xapp)-[A-Za-z0-9\-]{10,255}+"
            r"|(?:[sr]k_(?:live|test)_|whsec_)[A-Za-z0-9]{10,255}+"
            r"|glpat-[A-Za-z0-9_\-.]{16,255}+"
            r"|AIza[A-Za-z0-9_\-]{30,255}+"
            r"|sk-(?:ant|proj)-[A-Za-z0-9_\-]{16,255}+"
            r"|npm_[A-Za-z0-9]{30,255}+"
            r"|GOCSPX-[A-Za-z0-9_\-]{16,255}+"
            r"|(?<![A-Za-z0-9])sk-[A-Za-z0-9_\-]{20,255}+"
            r"|do[opr]_v1_[a-f0-9]{32,255}+"
            r"|pypi-AgE[A-Za-z0-9_\-]{16,255}+"
            r"|hv[sb]\.[A-Za-z0-9_\-]{20,255}+"
            r"|dckr_pat_[A-Za-z0-9_\-]{16,255}+"
            r"|shp(?:at|ss|ca|pa)_[A-Fa-f0-9]{32}"
            r"|(?<![A-Za-z0-9])(?:"
            r"SG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{32,64}+"
            r"|hf_[A-Za-z0-9]{30,64}+"
            r"|sk-(?:svcacct|or-v1)-[A-Za-z0-9_\-]{16,255}+"
            r"|sq0(?:atp|csp)-[A-Za-z0-9_\-]{20,64}+"
            r"|xkeysib-[A-Za-z0-9_\-]{32,255}+"
            r"|glsa_[A-Za-z0-9_]{32,64}+"
            r"|lin_api_[A-Za-z0-9]{32,64}+"
            r"|ATATT3[A-Za-z0-9_\-=]{32,255}+"
            r"|gsk_[A-Za-z0-9]{40,64}+"
            r"|nvapi-[A-Za-z0-9_\-]{32,255}+"
            r"|PMAK-[A-Za-z0-9_\-]{32,128}+"
            r"|sntrys_[A-Za-z0-9_\-=+/]{32,255}+"
            r"|dapi[a-f0-9]{32}(?![A-Za-z0-9])"
            r"|ya29\.[A-Za-z0-9_\-]{16,255}+"
            r"|figd_[A-Za-z0-9_\-]{32,64}+"
            r"|rubygems_[a-f0-9]{40,64}+"
            r"|tskey-[a-z]{2,20}-[A-Za-z0-9_\-]{16,128}+"
            r"|pplx-[A-Za-z0-9]{40,64}+"
            r")"
        ),
    ),
    _Look(
        "vendor-key",
        re.compile(rb"hooksslack|api/webhooks|apitelegram"),
        re.compile(
            r"(hooks\.slack\.com/(?:services|workflows|triggers)/)([^\s\"'<>\\?#]++)"
            r"|(/api/webhooks/[0-9]{5,25}/)([\w\-]{20,255}+)"
            r"|(api\.telegram\.org/bot[0-9]{5,20}:)([\w\-]{20,255}+)",
            re.ASCII,
        ),
        _last_part,
    ),
    _Look(
        "url-userinfo",
        re.compile(rb"@(?:tcp|unix|udp)\(|oracle:thin:"),
        re.compile(
            r"((?<![^\s\"'])[\w.\-=]{1,64}+:)([^\s\"'<>]{1,200}?)(?=@(?:tcp|unix|udp)\()"
            r"|(oracle:thin:[\w.\-]{1,64}+/)([^\s\"'<>@]{1,200}+)(?=@)",
            re.ASCII,
        ),
        _last_part,
    ),
    _Look(
        "password",
        re.compile(rb"auth|requirepass"),
        re.compile(
            r"(?<![^\n])((?:HELLO [23] )?AUTH (?:[^\s]{1,64}+ )?)(?![A-Z]+(?:\s|\Z))([^\s]++)(?=[ ]?(?:\n|\Z))"
            r"|((?:requirepass|masterauth) )([^\s]++)",
            re.ASCII,
        ),
        _last_part,
    ),
)


_LOOK_PROBE = re.compile(b"|".join(each.probe.pattern for each in _LOOKS))
"""A probe for any of the looks."""


# Digits with a space or a hyphen between groups, before which there is no letter, point or other digit.
_DIGITS = re.compile(r"(?<![A-Za-z0-9_])(?<![A-Za-z0-9][.\-])[0-9]{3,}+(?:[ \-][0-9]{3,}+)*+")
_GOES_ON = re.compile(r"[A-Za-z_]|[.\-][A-Za-z0-9]")
"""What follows digits that are part of something longer."""
_GROUP = re.compile(r"[0-9]+")
_ISSUERS = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"
    r"|5[1-5][0-9]{14}"
    r"|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"
    r"|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11,16}"
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12,15}"
    r"|6(?:011|4[4-9][0-9]|5[0-9]{2}|2[0-9]{2})[0-9]{12,15}"
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])[0-9]{9,15}"
)
"""Visa, Mastercard (two series), American Express, Diners, JCB, Discover and UnionPay, Maestro."""
_CARD_DIGITS_MIN, _CARD_DIGITS_MAX = 13, 19
_CARD_GROUPS_MAX = 5
"""Cards are written as 4 4 4 4, 4 6 5, 4 4 4 4 3 and the like, or in one: no group has less than three digits."""


def _cards(matched: re.Match[str], rules: Rules, found: Found) -> str:
    """A run of digits without the card numbers in it, which begin and end where groups do."""
    run = matched[0]
    groups = list(_GROUP.finditer(run))
    if _GOES_ON.match(matched.string, matched.end()):
        groups.pop()
    parts: list[str] = []
    done = first = 0
    while first < len(groups):
        last = _last_of_card(groups, first)
        if last is None:
            first += 1
            continue
        start, end = groups[first].start(), groups[last].end()
        parts += [run[done:start], _masked(run[start:end], "card-number-value", rules, found)]
        done, first = end, last + 1
    return "".join([*parts, run[done:]]) if parts else run


def _last_of_card(groups: list[re.Match[str]], first: int) -> int | None:
    """The last group of a card's number that begins with this one, if one does."""
    digits = groups[first][0]
    for place in range(first, min(first + _CARD_GROUPS_MAX, len(groups))):
        if place > first:
            digits += groups[place][0]
        if len(digits) > _CARD_DIGITS_MAX:
            return None
        if len(digits) >= _CARD_DIGITS_MIN and _ISSUERS.fullmatch(digits) and _passes_luhn(digits):
            return place
    return None


_VALUE_OF_DIGIT = bytes.maketrans(b"0123456789", bytes(range(10)))
_VALUE_OF_DOUBLED = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))


def _passes_luhn(digits: str) -> bool:
    """The check digit's rule. Source: ISO/IEC 7812-1, annex B."""
    backwards = digits[::-1].encode()
    single, doubled = backwards[::2], backwards[1::2]
    total = sum(single.translate(_VALUE_OF_DIGIT)) + sum(doubled.translate(_VALUE_OF_DOUBLED))
    return not total % 10

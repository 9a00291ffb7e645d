"""What is a secret, as data: by the key of a value, and which words a text must have before anybody looks closely.

Own rules are JSON (docs/redaction.md); `rules_from` checks them before the first span is taken.
"""

from __future__ import annotations

import re
import warnings
from functools import cache, cached_property
from importlib import import_module
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class KeyRule(NamedTuple):
    """A built-in rule by key. What is compared is the key's letters, its separators and case left out."""

    name: str
    endings: tuple[str, ...]
    kept: tuple[str, ...] = ()
    """Endings of keys that have one of `endings` and are no secrets."""
    words: tuple[str, ...] = ()
    """Last words of keys, whole: `card.pin`, not `ping`."""


KEY_RULES = (
    KeyRule("authorization", ("authorization", "authorisation", "xauth")),
    KeyRule("cookie", ("cookie", "cookies")),
    KeyRule(
        "password",
        (
            *("password", "passwords", "passwd", "pwd", "passphrase", "passcode"),
            *("userpass", "dbpass", "rootpass", "adminpass", "smtppass", "mailpass"),
            *("redispass", "mysqlpass", "sshpass", "ftppass", "otpcode"),
        ),
        words=("otp", "pin"),
    ),
    KeyRule("secret", ("secret",)),
    KeyRule(
        "token",
        ("token", "jwt", "bearer", "samlresponse", "samlassertion"),
        # Places in a list, and what language models and parsers count.
        tuple(
            f"{word}token"
            for word in (
                *("page", "paging", "pagination", "next", "continuation", "cursor", "sync"),
                *("resume", "watermark", "cancellation", "max", "min", "first", "last", "per"),
                *("input", "output", "prompt", "completion", "stop", "eos", "bos", "pad", "unk"),
                *("mask", "sep", "cls", "special", "unexpected"),
            )
        ),
    ),
    KeyRule(
        "api-key",
        (
            *("apikey", "apikeys", "accesskey", "secretkey", "signingkey", "encryptionkey"),
            *("accountkey", "masterkey", "authkey", "subscriptionkey", "functionskey"),
        ),
    ),
    KeyRule("private-key", ("privatekey", "privkey", "sshkey", "hmackey")),
    KeyRule("credential", ("credential", "credentials", "creds")),
    KeyRule(
        "session-id",
        (
            *("jsessionid", "netsessionid", "headerxsessionid"),
            *("sessid", "connectsid", "sessionkey"),
        ),
        # Of cookies: session_id and session.id are sessions that are counted, not logged in by.
        words=("sessionid",),
    ),
    KeyRule("card-number", ("cardnumber", "cardno", "ccnumber", "creditcard", "cvv", "cvc")),
    KeyRule("social-security-number", ("socialsecuritynumber",), words=("ssn",)),
    KeyRule(
        "signature",
        (
            *("hubsignature", "stripesignature", "slacksignature", "twiliosignature"),
            *("webhooksignature", "xsignature", "amzsignature", "googsignature"),
        ),
    ),
)
_ENDINGS = tuple(ending for rule in KEY_RULES for ending in rule.endings)
_WORDS_OF_RULES = frozenset(word for rule in KEY_RULES for word in rule.words)
NEUTRAL_WORDS = frozenset(
    {
        "header",
        "value",
        "raw",
        "plain",
        "plaintext",
        "text",
        "string",
        "encoded",
        "base64",
        "b",
        "hash",
    }
)
"""Words at the end of a key that say how a secret is written, as digits say which of several it is."""
_QUERY_NAMES = {
    **dict.fromkeys(("sig", "signature", "xamzsignature", "xgoogsignature"), "signature"),
    **dict.fromkeys(("pass", "pw"), "password"),
    "auth": "authorization",
}
"""Whole names that are secrets in `name=value` alone."""

VALUE_RULES = (
    *("url-userinfo", "authorization-value", "jwt", "private-key-block"),
    *("aws-access-key", "vendor-key", "card-number-value"),
)
RULE_NAMES = frozenset({*(rule.name for rule in KEY_RULES), *VALUE_RULES})
"""What can be switched off by name."""

KEY_PROBES = (
    *(b"auth", b"cookie", b"pass", b"pw", b"secret", b"token", b"jwt", b"bearer", b"key", b"cred"),
    *(b"sessi", b"sessid", b"connectsid", b"card", b"ccnumber", b"cvv", b"cvc", b"otpcode"),
    *(b"saml", b"socialsecurity", b"sig", b"identified"),
)
"""One of these, or a word of WORD_PROBES, is in each key that a rule is for, as `folded` writes it; the last is of
texts alone."""
_WORD_PROBES = {
    **dict.fromkeys((b"otp", b"pin", b"ssn"), rb"(?![a-z])"),
    b"sg": rb"[a-z0]{45}",
    b"hf": rb"[a-z0]{30}",
    b"gsk": rb"[a-z0]{40}",
    b"dapi": rb"[a-f0]{32}",
}
"""What is a part of many a word, and what must follow it: a code is no letter, the rest of a key is long."""
_KEY_CHARACTERS_LOOKED_AT = 200
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_KEYS_REMEMBERED_MAX = 20_000

_OWN_RULES_MAX = 50
_OWN_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_PATTERN_CHARACTERS_MAX = 500
_REPEATS_MAX = 256
STEPS_MAX = 300
"""The most steps of a pattern for each character that it may begin at, if a word must be there first."""
STEPS_WITHOUT_WORD_MAX = 64
ALL_STEPS_MAX = 500
"""The most steps of all patterns together: 16 MB of text that is made for them take some ten seconds."""
_HASH_KEY_CHARACTERS_MIN = 16
REDACTED = "REDACTED"
"""The mask: what OpenTelemetry's semantic conventions write for credentials in `url.full`."""
HASH_DIGITS = 16
MASK, HASH, DROP = "mask", "hash", "drop"


class RedactionRulesError(Exception):
    """The own rules cannot be used; the message says which and why."""


class KeyMatch(NamedTuple):
    rule: str
    action: str


class _OwnKeys(NamedTuple):
    name: str
    action: str
    globs: tuple[tuple[str, ...], ...]
    """Each the parts between its `*`s, in lower case."""


class OwnPattern(NamedTuple):
    name: str
    action: str
    pattern: re.Pattern[str]
    probe: bytes
    """What a text must have, as `folded` writes it; empty: nothing."""
    steps: int
    """The pattern takes at most so many steps for each character that it begins at."""


class Rules:
    """The built-in rules that are on, and the own ones."""

    def __init__(
        self,
        off: frozenset[str] = frozenset(),
        kept_keys: frozenset[str] = frozenset(),
        own_keys: Sequence[_OwnKeys] = (),
        own_patterns: Sequence[OwnPattern] = (),
        hash_key: bytes = b"",
    ) -> None:
        self.off = off
        self.own_patterns = tuple(own_patterns)
        self.hash_key = hash_key
        self._kept_keys = kept_keys
        self._own_keys = tuple(own_keys)
        self._matches: dict[str, KeyMatch | None] = {}
        self.clean_keys: set[str] = set()
        """Keys in which no secret was found."""
        probes = [_probe_of_glob(glob) for own in own_keys for glob in own.globs]
        probes += [own.probe for own in own_patterns]
        self.looks_at_all = b"" in probes
        """Whether a rule is for keys or texts that no word marks: then each new one is looked at closely."""
        self.probes = (*KEY_PROBES, *_VALUE_PROBES, *filter(None, probes))
        self._key_probes = (*KEY_PROBES, *filter(None, probes))

    @cached_property
    def probe(self) -> re.Pattern[bytes]:
        """A pattern of all probes. It is made where something may be a secret, for that takes milliseconds."""
        return _probe_for(self.probes)

    @cached_property
    def key_probe(self) -> re.Pattern[bytes]:
        """A pattern of the probes which say that a text may have a secret's name."""
        return _probe_for(self._key_probes)

    def may_be_in(self, together: bytes) -> bool:
        """Whether a probe is in what is folded."""
        return any(probe in together for probe in self.probes) or (
            any(word in together for word in _WORD_PROBES)
            and _word_probe().search(together) is not None
        )

    def of_key(self, key: str) -> KeyMatch | None:
        """What is done with the value under this key. Remembered, for keys repeat."""
        if len(key) > _KEY_CHARACTERS_LOOKED_AT:
            return self._of_key(key)
        try:
            return self._matches[key]
        except KeyError:
            if len(self._matches) >= _KEYS_REMEMBERED_MAX:
                self._matches = {}
            found = self._matches[key] = self._of_key(key)
            return found

    def remember_clean(self, key: str) -> None:
        """Add to `clean_keys`."""
        if len(key) <= _KEY_CHARACTERS_LOOKED_AT:
            if len(self.clean_keys) >= _KEYS_REMEMBERED_MAX:
                self.clean_keys = set()
            self.clean_keys.add(key)

    def of_query_name(self, name: str) -> KeyMatch | None:
        """The same of a name in `name=value`."""
        if found := self.of_key(name):
            return found
        rule = _QUERY_NAMES.get("".join(_words_of(name)))
        return KeyMatch(rule, MASK) if rule and rule not in self.off else None

    def _of_key(self, key: str) -> KeyMatch | None:
        lowered = key.lower()
        if lowered in self._kept_keys:
            return None
        for own in self._own_keys:
            if any(_is_like(glob, lowered) for glob in own.globs):
                return KeyMatch(own.name, own.action)
        words = _words_of(key)
        letters, last = "".join(words), words[-1] if words else ""
        if not letters.endswith(_ENDINGS) and last not in _WORDS_OF_RULES:
            return None
        for rule in KEY_RULES:
            has_ending = letters.endswith(rule.endings) and not letters.endswith(rule.kept)
            if has_ending or last in rule.words:
                return KeyMatch(rule.name, MASK) if rule.name not in self.off else None
        return None


_VALUE_PROBES = (
    *(b"basic", b"eyj", b"akia", b"asia", b"abia", b"acca", b"ghp", b"gho", b"ghu", b"ghs", b"ghr"),
    *(b"githubpat", b"xox", b"xapp", b"sklive", b"sktest", b"rklive", b"rktest", b"whsec"),
    *(b"glpat", b"aiza", b"skant", b"skproj", b"npm", b"gocspx", b"t0blbkfj", b"dopv", b"pypiage"),
    *(b"hvs", b"hvb", b"dckrpat", b"shpat", b"shpss", b"shpca", b"shppa", b"sksvcacct", b"skorv0"),
    *(b"sq0atp", b"sq0csp", b"xkeysib", b"glsa", b"linapi", b"atatt0", b"nvapi", b"pmak"),
    *(b"sntrys", b"ya00", b"figd", b"rubygems", b"tskey", b"pplx"),
    *(b"hooksslack", b"api/webhooks", b"apitelegram"),
    *(b"@tcp(", b"@unix(", b"@udp(", b"oracle:thin:"),
)


@cache
def _word_probe() -> re.Pattern[bytes]:
    return re.compile(b"|".join([word + follows for word, follows in _WORD_PROBES.items()]))


def _probe_for(probes: Iterable[bytes]) -> re.Pattern[bytes]:
    """A pattern for any of these, by their first byte, which makes it several times as fast; and for the words."""
    rests: dict[bytes, list[bytes]] = {}
    for probe in probes:
        rests.setdefault(probe[:1], []).append(re.escape(probe[1:]))
    alternatives = [re.escape(first) + b"(?:" + b"|".join(of) + b")" for first, of in rests.items()]
    return re.compile(b"|".join([*alternatives, _word_probe().pattern]))


def _words_of(key: str) -> list[str]:
    """A key's words in lower case, without what follows its name: digits, `value`, `header`."""
    words = [word.lower() for word in _WORD.findall(key[-_KEY_CHARACTERS_LOOKED_AT:])]
    while len(words) > 1 and (words[-1] in NEUTRAL_WORDS or words[-1].isdigit()):
        words.pop()
    return words


def _is_like(glob: tuple[str, ...], key: str) -> bool:
    """Whether a key is the parts of a glob with anything between them."""
    first, *middle = glob
    if not middle:
        return key == first
    last = middle.pop()
    if not key.startswith(first):
        return False
    at = len(first)
    for part in middle:
        at = key.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return key.endswith(last) and len(key) - len(last) >= at


BETWEEN = b"\x0b"
"""Between contents that are folded together."""
_TO_ONE_CASE = bytes(
    0x30 if chr(code).isdigit() else code for code in bytes(range(128)).lower()
) + bytes(128)
_LEFT_OUT = bytes({*range(0x20), *b" -_.\\", *range(0x7F, 0x100)} - {*BETWEEN})
DIGITS_OF_A_CARD = b"0" * 13
TEXT_MARK = b"\xff"
"""A mark before a text, where texts and attributes are together: no attribute begins with it."""


def folded(content: bytes) -> bytes:
    """The text that probes look into: in lower case, each digit a 0, without ` -_.\\` and all that is not printed
    ASCII.

    What stood apart may stand together then: that a probe is there says no more than `maybe`.
    """
    return content.translate(_TO_ONE_CASE, _LEFT_OUT)


def has_userinfo(fold: bytes) -> bool:
    """Whether a text, folded, may have user and password in a URL."""
    return b"@" in fold and 0 <= fold.find(b"//") < fold.rfind(b"@")


def is_suspect(content: bytes, rules: Rules) -> bool:
    """Whether a text or an attribute (its bytes) may have a secret: one with a probe, or one that has no letters.

    False is certain.
    """
    return rules.looks_at_all or _is_suspicious(folded(content), rules.probe)


def _is_suspicious(fold: bytes, probe: re.Pattern[bytes]) -> bool:
    return probe.search(fold) is not None or DIGITS_OF_A_CARD in fold or has_userinfo(fold)


def suspects_of(contents: set[bytes], rules: Rules) -> set[bytes]:
    """The values of which `is_suspect` is true."""
    if rules.looks_at_all:
        return contents
    probe, folds = rules.probe, list(map(folded, contents))
    # Many differ only in their digits.
    suspicious = {fold for fold in set(folds) if _is_suspicious(fold, probe)}
    return {each for each, fold in zip(contents, folds, strict=True) if fold in suspicious}


def _probe_of(text: str) -> bytes:
    return max(re.findall(rb"[a-z]+", folded(text.encode())), key=len, default=b"")


def _probe_of_glob(glob: tuple[str, ...]) -> bytes:
    return max(map(_probe_of, glob), key=len)


def rules_from(document_text: str, hash_key: str) -> Rules:
    """The rules of CLEW_REDACTION_RULES (JSON; empty for none) and CLEW_REDACTION_KEY.

    Raises RedactionRulesError.
    """
    try:
        document = orjson.loads(document_text) if document_text.strip() else {}
    except orjson.JSONDecodeError as error:
        raise RedactionRulesError(f"they are not JSON: {error}") from error
    _check(isinstance(document, dict), "they must be a JSON object")
    _check_members(document, {"off", "keep", "rules"}, "the object")
    off = _texts(document, "off")
    for name in off:
        known = ", ".join(sorted(RULE_NAMES))
        _check(name in RULE_NAMES, f"off: there is no built-in rule {name!r}; there are {known}")
    rules = document.get("rules", [])
    _check(isinstance(rules, list), "rules must be an array")
    _check(len(rules) <= _OWN_RULES_MAX, f"there may be {_OWN_RULES_MAX} rules")
    own_keys: list[_OwnKeys] = []
    own_patterns: list[OwnPattern] = []
    names: set[str] = set(RULE_NAMES)
    for number, rule in enumerate(rules, 1):
        name, action = _name_and_action(rule, f"rule {number}", names)
        names.add(name)
        if "keys" in rule:
            globs = [tuple(key.lower().split("*")) for key in _texts(rule, "keys", name)]
            _check(bool(globs), f"rule {name!r}: keys must name a key")
            own_keys.append(_OwnKeys(name, action, tuple(globs)))
        else:
            own_patterns.append(_own_pattern(name, action, rule["pattern"]))
        if action == HASH:
            _check(
                len(hash_key) >= _HASH_KEY_CHARACTERS_MIN,
                f"rule {name!r}: the action hash needs CLEW_REDACTION_KEY, "
                f"a secret of at least {_HASH_KEY_CHARACTERS_MIN} characters",
            )
    steps = sum(own.steps for own in own_patterns)
    _check(
        steps <= ALL_STEPS_MAX,
        f"the patterns may take {steps} steps together for each character, of {ALL_STEPS_MAX}",
    )
    kept = frozenset(key.lower() for key in _texts(document, "keep"))
    return Rules(frozenset(off), kept, own_keys, own_patterns, hash_key.encode())


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise RedactionRulesError(message)


def _check_members(document: dict[str, Any], known: set[str], where: str) -> None:
    for member in document:
        names = ", ".join(sorted(known))
        _check(member in known, f"{where} has a member {member!r}; known are {names}")


def _texts(document: dict[str, Any], member: str, where: str = "") -> list[str]:
    texts = document.get(member, [])
    is_list = isinstance(texts, list) and all(isinstance(text, str) and text for text in texts)
    _check(is_list, f"{where and f'rule {where!r}: '}{member} must be an array of strings")
    return list(texts)


def _name_and_action(rule: Any, where: str, names: set[str]) -> tuple[str, str]:
    _check(isinstance(rule, dict), f"{where} must be an object")
    _check_members(rule, {"name", "action", "keys", "pattern"}, where)
    name, action = rule.get("name"), rule.get("action")
    _check(
        isinstance(name, str) and _OWN_NAME.fullmatch(name) is not None,
        f"{where}: name must be up to 40 of a-z, 0-9 and -, and begin with a letter",
    )
    _check(name not in names, f"{where}: the name {name!r} is taken")
    _check(action in (MASK, HASH, DROP), f"rule {name!r}: action must be {MASK}, {HASH} or {DROP}")
    _check(("keys" in rule) != ("pattern" in rule), f"rule {name!r}: needs keys or pattern")
    return name, action


def _own_pattern(name: str, action: str, text: Any) -> OwnPattern:
    where = f"rule {name!r}: pattern"
    _check(isinstance(text, str) and bool(text), f"{where} must be a string")
    _check(
        len(text) <= _PATTERN_CHARACTERS_MAX,
        f"{where} may have {_PATTERN_CHARACTERS_MAX} characters",
    )
    pattern, parsed = _compiled(text, where)
    _check(pattern.search("") is None, f"{where} must not match nothing at all")
    masks = [REDACTED]
    if action == HASH:
        masks += [f"hmac:{digit * HASH_DIGITS}" for digit in "0af"]
    _check(
        not any(map(pattern.search, masks)), f"{where} finds what Clew writes in a secret's place"
    )
    probe = max((_probe_of(run) for run in _literals_in(parsed)), key=len, default=b"")
    if len(probe) < 3:
        probe = b""
    steps, _ = _steps_and_ways(parsed, where)
    allowed = STEPS_MAX if probe else STEPS_WITHOUT_WORD_MAX
    _check(
        steps <= allowed,
        f"{where} may take {steps} steps for each character, of {allowed}: bound its repeats "
        "closer, or begin it with a word of three letters that it always has",
    )
    return OwnPattern(name, action, pattern, probe, steps)


def _compiled(text: str, where: str) -> tuple[re.Pattern[str], Any]:
    """A pattern, and its tree. What Python warns of will mean something else one day, or means nothing now."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            parsed = import_module("re._parser").parse(text, re.ASCII)
            return re.compile(text, re.ASCII), parsed
    except (re.error, RecursionError, OverflowError) as error:
        raise RedactionRulesError(f"{where} is no regular expression: {error}") from error
    except Warning as warning:
        raise RedactionRulesError(
            f"{where} may be read in two ways: {warning}; write \\ before a character that stands for itself"
        ) from warning


def _literals_in(parsed: Any) -> list[str]:
    """The runs of fixed characters that each match has."""
    runs = [""]
    for operation, argument in parsed:
        if str(operation) == "LITERAL" and argument < 128:
            runs[-1] += chr(argument)
        else:
            runs.append("")
    return runs


def _steps_and_ways(parsed: Any, where: str) -> tuple[int, int]:
    """Bounds of the work of matching at one place: steps, and ways to match that a failure later makes it try."""
    steps, ways = 0, 1
    items = list(parsed)
    for (operation, argument), following in zip_longest(items, items[1:]):
        of_it, ways_of_it = _steps_and_ways_of(str(operation), argument, where)
        if ways_of_it > 1 and _ends_for_certain(str(operation), argument, following):
            of_it, ways_of_it = 2 * of_it, 1
        steps += ways * of_it
        ways *= ways_of_it
        if max(steps, ways) > 10**9:
            return 10**9, 10**9
    return steps, ways


def _ends_for_certain(operation: str, argument: Any, following: Any) -> bool:
    """Whether a repeat of single characters is followed by one that is none of them: there is one way to match."""
    if operation not in ("MAX_REPEAT", "MIN_REPEAT") or following is None:
        return False
    if str(following[0]) != "LITERAL" or len(argument[2]) != 1:
        return False
    kind, allowed = argument[2][0]
    if str(kind) == "LITERAL":
        return bool(allowed != following[1])
    if str(kind) != "IN":
        return False
    return not any(_may_be(following[1], str(each), what) for each, what in allowed)


def _may_be(code: int, kind: str, what: Any) -> bool:
    """Whether a part of a set of characters may have this one."""
    if kind == "LITERAL":
        return bool(what == code)
    if kind == "RANGE":
        return bool(what[0] <= code <= what[1])
    if str(what) == "CATEGORY_DIGIT":
        return chr(code).isdigit()
    if str(what) == "CATEGORY_WORD":
        return chr(code).isalnum() or chr(code) == "_"
    return True


def _steps_and_ways_of(operation: str, argument: Any, where: str) -> tuple[int, int]:
    match operation:
        case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN" | "AT" | "CATEGORY":
            return 1, 1
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, repeated = argument
            _check(
                int(most) <= _REPEATS_MAX,
                f"{where} has a repeat without a bound, or above {_REPEATS_MAX}: write {{1,64}}, not + or *",
            )
            steps, ways = _steps_and_ways(repeated, where)
            if ways == 1:
                return int(most) * steps, int(most) - int(least) + 1
            total = min(ways ** min(int(most), 30), 10**9)
            return min(total * steps, 10**9), total
        case "SUBPATTERN":
            return _steps_and_ways(argument[-1], where)
        case "ATOMIC_GROUP":
            return _steps_and_ways(argument, where)[0], 1
        case "ASSERT" | "ASSERT_NOT":
            return _steps_and_ways(argument[1], where)[0], 1
        case "BRANCH":
            branches = [_steps_and_ways(branch, where) for branch in argument[1]]
            return sum(steps for steps, _ in branches), sum(ways for _, ways in branches)
    raise RedactionRulesError(f"{where} refers to a group, which is not supported")

"""Secrets in texts and under keys: what is found, what is not one, and what no text can do."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.receive.redaction_rules import (
    KEY_RULES,
    RULE_NAMES,
    RedactionRulesError,
    Rules,
    folded,
    is_suspect,
    rules_from,
)
from chalicelib.receive.redaction_text import Found, redacted_text
from tests.receive.secrets import SECRETS, Secret

RULES = Rules()


def redacted(text: str, rules: Rules = RULES) -> str:
    return redacted_text(text, rules, Found())


def rules_in(text: str, rules: Rules = RULES) -> list[str]:
    found = Found()
    redacted_text(text, rules, found)
    return found.rules


SECRET_KEYS = {
    "authorization": "authorization Authorization proxy-authorization Proxy_Authorization"
    " http.request.header.authorization http.request.header.authorization.0 authorization_header"
    " rpc.grpc.request.metadata.authorization X-Auth",
    "cookie": "cookie Set-Cookie set_cookie http.response.header.set-cookie http.cookies setCookie",
    "password": "password PASSWORD passwd pwd db.password dbPassword user_password newPassword"
    " password1 password.value smtp-pass mysql_pwd passphrase ssh.passphrase password_hash"
    " otp user.otp otpCode pin card_pin userPin",
    "secret": "secret client_secret clientSecret ClientSecret app.secret secret_value webhook-secret",
    "token": "token access_token accessToken refresh-token id_token idToken X-Auth-Token csrf_token"
    " TOKEN github.token jwt auth.jwt session_token X-Amz-Security-Token botToken"
    " saml_response SAMLResponse",
    "api-key": "api-key apikey apiKey API_KEY x-api-key X-Api-Key http.request.header.x-api-key"
    " stripe.api.key aws.secret_access_key AccountKey Ocp-Apim-Subscription-Key APIKey",
    "private-key": "private_key privateKey rsa.private-key PRIVATEKEY ssh_key",
    "credential": "credential credentials aws.credentials X-Amz-Credential user_creds",
    "session-id": "sessionid JSESSIONID PHPSESSID connect.sid http.request.header.x-session-id"
    " ASP.NET_SessionId",
    "social-security-number": "ssn SSN user.ssn socialSecurityNumber",
    "signature": "x-hub-signature-256 X-Hub-Signature http.request.header.stripe-signature"
    " x-slack-signature X-Amz-Signature",
    "card-number": "card_number cardNumber credit-card cc_number cvv payment.cvc",
}
HARMLESS_KEYS = (
    "llm.token.count gen_ai.usage.input_tokens gen_ai.usage.output_tokens tokens_used token_type"
    " token.count max_tokens max_token next_page_token nextPageToken continuation_token eos_token"
    " auth.method auth auth_type authenticated author authorization.type authorization_type"
    " cookie_consent cookie.count cookies_enabled password.length password_changed_at passwordless"
    " bypass compass pass passed passenger secret.name k8s.secret.name secrets.count secretary"
    " session.id session_id sessionId session.previous_id mcp.session.id mcp-session-id session.count"
    " pinned pinterest shopping ping spin pins option otpauth ssn_valid method.signature process.name"
    "  key cache.key routing_key"
    " messaging.kafka.message.key partition_key idempotency_key public_key primary_key api_version"
    " monkey keyboard credential.type card.brand discard http.route url.path db.system.name"
    " service.name tokenizer keypress cwd process.pid user.id enduser.id sidecar"
    " gen_ai.server.time_to_first_token time_per_output_token"
)


@pytest.mark.parametrize(
    ("rule", "key"), [(rule, key) for rule, keys in SECRET_KEYS.items() for key in keys.split()]
)
def test_secret_keys(rule, key):
    """A secret's key is known in any case, with any separators, with anything before it."""
    match = RULES.of_key(key)
    assert match
    assert match.rule == rule
    assert is_suspect(key.encode(), RULES)


@pytest.mark.parametrize("key", HARMLESS_KEYS.split())
def test_harmless_keys(key):
    """A key that only has a secret's word in it is no secret's."""
    assert RULES.of_key(key) is None


def test_every_ending_is_looked_for():
    """The cheap test stops no key that a rule is for."""
    for rule in KEY_RULES:
        for ending in rule.endings:
            assert is_suspect(ending.encode(), RULES), ending


FOUND = {
    "the token is Bearer abcdefgh1, ok": "the token is Bearer REDACTED, ok",
    "Basic dXNlcjpwYXNz": "Basic REDACTED",
    "https://u:p@h.example/x?token=abc&y=1#f": "https://u:REDACTED@h.example/x?token=REDACTED&y=1#f",
    "postgres://u:p@ss@h/db": "postgres://u:REDACTED@h/db",
    "postgres://u:pa/ss@h/db": "postgres://u:REDACTED@h/db",
    "redis://:pw@h:6379/0": "redis://:REDACTED@h:6379/0",
    r'{"u":"https:\/\/u:p@h\/"}': r'{"u":"https:\/\/u:REDACTED@h\/"}',
    "https://h/?X-Amz-Credential=AKIA/a&X-Amz-Signature=ab&X-Amz-Security-Token=cd&code=1": (
        "https://h/?X-Amz-Credential=REDACTED&X-Amz-Signature=REDACTED"
        "&X-Amz-Security-Token=REDACTED&code=1"
    ),
    "page=2&sig=abc": "page=2&sig=REDACTED",
    '{"password":"a \\" b","n":1}': '{"password":"REDACTED","n":1}',
    '{"password":12345,"n":1}': '{"password":"REDACTED","n":1}',
    '{"tokens":1,"token":{"a":[1,"x"]},"n":1}': '{"tokens":1,"token":"REDACTED","n":1}',
    '{"body":"{\\"password\\":\\"x y\\"}","n":1}': '{"body":"{\\"password\\":\\"REDACTED\\"}","n":1}',
    '{"password":"cut off': '{"password":"REDACTED',
    "login failed: password=hunter2, user=a": "login failed: password=REDACTED, user=a",
    "Server=h;User Id=a;Password=p w;X=1": "Server=h;User Id=a;Password=REDACTED;X=1",
    "ALTER ROLE a PASSWORD 'it''s' VALID": "ALTER ROLE a PASSWORD 'REDACTED' VALID",
    "create user a identified by hunter2 account lock": (
        "create user a identified by REDACTED account lock"
    ),
    "UPDATE u SET password = 'x' WHERE id = 7": "UPDATE u SET password = 'REDACTED' WHERE id = 7",
    "run --password hunter2 --verbose": "run --password REDACTED --verbose",
    "Authorization: Digest user=a, realm=b\r\nHost: c": "Authorization: REDACTED\r\nHost: c",
    "curl -H 'Authorization: token abc' https://h": "curl -H 'Authorization: REDACTED' https://h",
    "Cookie: a=b; c=d": "Cookie: REDACTED",
    "<wsse:Password>x</wsse:Password>": "<wsse:Password>REDACTED</wsse:Password>",
    "paid with 4111 1111 1111 1111 (visa)": "paid with REDACTED (visa)",
    "12 3782-822463-10005 34": "12 REDACTED 34",
    "https://ghp_0123456789abcdefghij0123456789ABCDEF@github.com/a": "https://REDACTED@github.com/a",
    "https://0123456789abcdefghij:x-oauth-basic@github.com": (
        "https://REDACTED:x-oauth-basic@github.com"
    ),
    "user[password]=abc&user[name]=x": "user[password]=REDACTED&user[name]=x",
    "https://hooks.slack.com/services/T024/B024/abcXYZ?x=1": (
        "https://hooks.slack.com/services/REDACTED?x=1"
    ),
    "https://discord.com/api/webhooks/123456789/abcdefghijklmnopqrstuvwxyz": (
        "https://discord.com/api/webhooks/123456789/REDACTED"
    ),
    "https://api.telegram.org/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/getMe": (
        "https://api.telegram.org/bot110201543:REDACTED/getMe"
    ),
    "shop:p@ss@tcp(db:3306)/shop?a=b": "shop:REDACTED@tcp(db:3306)/shop?a=b",
    "jdbc:oracle:thin:scott/tiger@//h:1521/s": "jdbc:oracle:thin:scott/REDACTED@//h:1521/s",
    "HELLO 3 AUTH default hunter2": "HELLO 3 AUTH default REDACTED",
    "AUTH hunter2": "AUTH REDACTED",
    "CONFIG SET requirepass hunter2": "CONFIG SET requirepass REDACTED",
    "SELECT 1 FROM t WHERE `t`.`token` = 'x'": "SELECT 1 FROM t WHERE `t`.`token` = 'REDACTED'",
    "WHERE token IN ('a)b', 'c') AND x": "WHERE token IN ('REDACTED') AND x",
    "WHERE api_key LIKE 'x%' AND y": "WHERE api_key LIKE 'REDACTED' AND y",
    "Incorrect API key provided: sk-abcdefghijklmnopqrstuv.": (
        "Incorrect API key provided: REDACTED."
    ),
    "[('Authorization', 'Bearer x'), ('Cookie', 'sid=abc'), ('Accept', 'a')]": (
        "[('Authorization', 'REDACTED'), ('Cookie', 'REDACTED'), ('Accept', 'a')]"
    ),
    "[(b'authorization', b'Token x')]": "[(b'authorization', b'REDACTED')]",
    '[["Cookie","sid=abc; a=b"],["X-Api-Key", "k1"],["Host","a"]]': (
        '[["Cookie","REDACTED"],["X-Api-Key", "REDACTED"],["Host","a"]]'
    ),
    r'{"h":"[[\"Cookie\",\"sid=abc\"]]"}': r'{"h":"[[\"Cookie\",\"REDACTED\"]]"}',
    "Cookie => sid=abc": "Cookie => REDACTED",
    "otp=123456 pin: 1234, ssn=078-05-1120": "otp=REDACTED pin: REDACTED, ssn=REDACTED",
    "SAMLResponse=PHNhbWw&RelayState=x": "SAMLResponse=REDACTED&RelayState=x",
    "x-hub-signature-256: sha256=abcdef0123": "x-hub-signature-256: REDACTED",
    "Stripe-Signature: t=1,v1=abc": "Stripe-Signature: REDACTED",
    "JSESSIONID=abc; PHPSESSID=def": "JSESSIONID=REDACTED; PHPSESSID=REDACTED",
    **{
        f"key {prefix}{'a1B' * 20} was refused": "key REDACTED was refused"
        for prefix in (
            *("hf_", "sq0atp-", "xkeysib-", "glsa_", "lin_api_", "ATATT3xFfGF0", "gsk_", "nvapi-"),
            *(
                "PMAK-",
                "sntrys_",
                "ya29.",
                "figd_",
                "sk-svcacct-",
                "sk-or-v1-",
                "tskey-auth-",
                "pplx-",
            ),
            *("SG.ngeVfQFYQlKU0ufo8x5d1A.", "hvb."),
        )
    },
    f"dapi{'a1' * 16} rubygems_{'a1' * 24}": "REDACTED REDACTED",
}
HARMLESS = [
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf was read",
    'session_id=abc session.id: abc {"session_id":"abc"}',
    "ping=5 pinned=x shopping=y pinterest: z mapping=a, the pin is 4 mm, hotpin",
    '["password","email"] ("token", "user") in ("cookies", 5)',
    "msg hf_ SG.a.b gsk_ pplx-7b ya29 figd_",
    "the bearer authentication scheme; Bearer token; Bearer of news",
    "basic information about basic auth",
    "https://h.example:8080/users/a@b.example?code=1&page_token=x&state=abc",
    "https://{host}:{port}/a@b",
    "git@github.com:a/b.git ssh://git@github.com/a/b",
    "SELECT id, password FROM users WHERE password = $1 AND token = ? AND secret = %s",
    "token_type=bearer tokens=7 token.count: 8 next_token=abc",
    "Unexpected token < in JSON at position 0",
    "password: null, token=None, secret=***** and password=REDACTED",
    "id 4111111111111112 41111111111111110 a4111111111111111 1.4111111111111111",
    "0f8fad5b-d9cb-469f-a165-4111111111111111 1790000000000000000 2024-11-22 10:11:12",
    "eyJhbGciOiJIUzI1NiJ9 is a header, eyJ.a.b nothing",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "AKIA is a prefix, AKIAIOSFODNN7EXAMPLEX1 is too long, asia-east1",
    "ghp_short sk_live_ xox glpat-",
    "Invalid password: must be at least 8 characters",
    "password: required. token: not found; secret=missing, auth=ok, cookie: disabled",
    "token = self.client.get(key); authenticate(password=password, token=self.token)",
    "mutation Login($password: String!) { login(password: $password) { token } }",
    "WHERE password = :password AND token = %(token)s AND secret = @secret",
    "test passes=3 pass=2",
    "AUTH FAILED",
    "if (token == null) return token >= secret;",
    "",
    "pwd",
]


@pytest.mark.parametrize(("text", "left"), FOUND.items())
def test_a_secret_is_replaced_and_its_surroundings_stay(text, left):
    """A secret is replaced, and the text around it stays."""
    assert redacted(text) == left
    assert is_suspect(text.encode(), RULES)


@pytest.mark.parametrize("text", HARMLESS)
def test_a_text_without_a_secret_stays_as_it_is(text):
    """A text without a secret stays as it is."""
    assert redacted(text) == text


_around = st.text(st.characters(exclude_categories=["Cs", "L", "N", "P", "S"]), max_size=4) | (
    st.sampled_from(["see ", "\n", "  (", "x=1, ", "a: ", "/a/b ", "ключ ", "é "])
)
_after = st.sampled_from(["", " ", "\n", " and more", ", next", ") ", "\t7"])


@pytest.mark.parametrize("kind", SECRETS)
@given(data=st.data(), before=_around, after=_after)
def test_no_canary_survives(kind, data, before, after):
    """Whatever stands around a secret, no part of it stays; what is left is left alone; the cheap test sees it."""
    secret = data.draw(SECRETS[kind])
    text = f"{before}{secret.text}{after}"
    left = redacted(text)
    assert secret.canary not in left
    assert redacted(left) == left
    assert is_suspect(text.encode(), RULES)


@given(st.lists(st.one_of(*SECRETS.values()), max_size=3), st.text())
def test_redacting_twice_changes_nothing_more(secrets: list[Secret], between: str):
    """Of any text, however its secrets meet, what is left once is left."""
    left = redacted(between.join(secret.text for secret in secrets))
    assert redacted(left) == left


@given(st.text())
def test_a_text_that_the_cheap_test_lets_pass_is_clean(text: str):
    """The cheap test is never mistaken where it says no."""
    if not is_suspect(text.encode(), RULES):
        assert redacted(text) == text


@pytest.mark.parametrize("rule", sorted(RULE_NAMES))
def test_each_rule_can_be_switched_off(rule):
    """Without its rule a secret stays, and the others go."""
    without = rules_from(f'{{"off": ["{rule}"]}}', "")
    for text in FOUND:
        assert rule not in rules_in(text, without)
    for key in SECRET_KEYS.get(rule, "").split():
        assert without.of_key(key) is None


def test_own_rules():
    """Own rules come first, by key or pattern, and mask or hash; a kept key is kept."""
    rules = rules_from(
        '{"keep": ["Harbour.Token"], "rules": ['
        '{"name": "customer", "keys": ["customer.email", "*.phone", "a*b*c"], "action": "hash"},'
        '{"name": "order", "pattern": "ORD-[0-9]{8}", "action": "mask"},'
        '{"name": "ours", "keys": ["our_password"], "action": "drop"}]}',
        "k" * 16,
    )
    assert rules.of_key("harbour.token") is None
    assert rules.of_key("other.token") is not None
    matches = {key: rules.of_key(key) for key in ("Customer.Email", "home.phone", "axbxc", "abc")}
    assert {match and match.rule for match in matches.values()} == {"customer"}
    assert rules.of_key("phone") is None
    ours = rules.of_key("our_password")
    assert ours
    assert ours.rule == "ours"
    assert redacted("see ORD-12345678.", rules) == "see REDACTED."
    hashed = redacted("home.phone=123", rules)
    assert hashed.startswith("home.phone=hmac:")
    assert hashed == redacted("home.phone=123", rules)
    assert hashed != redacted("home.phone=124", rules)
    assert redacted(hashed, rules) == hashed


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("{", "not JSON"),
        ("[]", "JSON object"),
        ('{"of": []}', "'of'"),
        ('{"off": ["passwords"]}', "no built-in rule 'passwords'"),
        ('{"off": "password"}', "array of strings"),
        ('{"rules": {}}', "array"),
        ('{"rules": [7]}', "rule 1 must be an object"),
        ('{"rules": [{"name": "A", "keys": ["a"], "action": "mask"}]}', "name"),
        ('{"rules": [{"name": "token", "keys": ["a"], "action": "mask"}]}', "taken"),
        ('{"rules": [{"name": "a", "keys": ["a"], "action": "hide"}]}', "action"),
        ('{"rules": [{"name": "a", "action": "mask"}]}', "keys or pattern"),
        ('{"rules": [{"name": "a", "keys": ["a"], "action": "hash"}]}', "CLEW_REDACTION_KEY"),
        ('{"rules": [{"name": "a", "keys": [], "action": "mask"}]}', "name a key"),
        ('{"rules": [{"name": "a", "pattern": "(", "action": "mask"}]}', "regular expression"),
        ('{"rules": [{"name": "a", "pattern": "x*", "action": "mask"}]}', "nothing at all"),
        ('{"rules": [{"name": "a", "pattern": "[A-Z]", "action": "mask"}]}', "secret's place"),
        ('{"rules": [{"name": "a", "pattern": "ORD[0-9]+", "action": "mask"}]}', "without a bound"),
        ('{"rules": [{"name": "a", "pattern": "(abc|abcd){1,9}e", "action": "mask"}]}', "steps"),
        (r'{"rules": [{"name": "a", "pattern": "(abc)\\1", "action": "mask"}]}', "refers"),
        *(
            (f'{{"rules": [{{"name": "a", "pattern": "{text}", "action": "mask"}}]}}', "two ways")
            for text in ("[[a]bc", "[0--]x", "[a&&b]c", "[a||b]c", "[a~~b]c")
        ),
    ],
)
def test_rules_that_cannot_be_used(document, says):
    """Rules that cannot be used are refused, with what is wrong with them."""
    with pytest.raises(RedactionRulesError, match=says):
        rules_from(document, "")


@given(st.text(st.sampled_from("abc()[]{}|*+?.\\\\^$,-0123456789<>=!:Pi")))
def test_any_pattern_is_taken_or_refused(pattern: str):
    """Whatever stands where a pattern should, it is used or refused in words."""
    document = {"rules": [{"name": "a", "pattern": pattern, "action": "mask"}]}
    try:
        rules = rules_from(orjson.dumps(document).decode(), "")
    except RedactionRulesError:
        return
    redacted("a" * 1_000 + "b", rules)


def test_a_pattern_of_an_address_is_taken():
    """A repeat that ends where the next character is none of it counts as one way to match."""
    rules = rules_from(
        '{"rules": [{"name": "mail", "pattern": "[\\\\w.]{1,64}@harbour.example", "action": "mask"}]}',
        "",
    )
    assert redacted("to ann.b@harbour.example now", rules) == "to REDACTED now"


@given(st.binary())
def test_folding_keeps_letters(content: bytes):
    """What is folded twice is folded, and no letter is lost on the way."""
    assert folded(folded(content)) == folded(content)
    assert folded(content).count(b"k") == content.lower().count(b"k")


CANARY = "canary7XqZw9"


class TestWholeValues:
    """A value that is written in more than one piece is taken out as a whole: no part of it stays behind a mask."""

    @pytest.mark.parametrize(
        "text",
        [
            *("SET PASSWORD = PASSWORD('{}')", "password=md5( '{}')", "password = E'{}'"),
            *("User(password=SecretStr('{}'), a=1)", "password=N'{}'", "token=Token(b'{}')"),
            *('password: ["a]b", "{}"]', 'password: {{"a":"}}","b":"{}"}}'),
            *('{{\\"password\\":[\\"a]\\",\\"{}\\"]}}', '{{\\"password\\":\\"a\\\\\\"{}\\"}}'),
            *("Cookie=a=b; sid={}", "set-cookie=a=b; sid={}", "password: |\n  a\n  {}\nb: c"),
            *("a:\n  password: >-\n    {}\n  b: c", "password: |2\r\n  a\r\n  {}"),
            *(
                "<wsse:Password Type='x'>{}</wsse:Password>",
                "<password><![CDATA[<a>{}]]></password>",
            ),
            *("postgres://app:pa'{}@db/x", "https://app:{}'x@db/x"),
        ],
    )
    def test_nothing_stays(self, text):
        """Calls, prefixed literals, brackets and quotes within texts, cookies, blocks, elements, quotes in a URL."""
        found = redacted(text.format(CANARY))
        assert CANARY not in found
        assert "REDACTED" in found
        assert redacted(found) == found

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("password = md5('x1') AND a = 1", "password = md5('REDACTED') AND a = 1"),
            ('{"token":["a]","b"],"c":1}', '{"token":"REDACTED","c":1}'),
            ('{\\"token\\":\\"a\\\\\\"b\\",\\"c\\":1}', '{\\"token\\":\\"REDACTED\\",\\"c\\":1}'),
            ("a:\n  token: |\n    x\n    y\n  b: c", "a:\n  token: |\n    REDACTED\n  b: c"),
            ("<Token a='b'>x</Token><c>d</c>", "<Token a='b'>REDACTED</Token><c>d</c>"),
            ("<token a='b'/>text<c></c>", "<token a='b'/>text<c></c>"),
        ],
    )
    def test_what_stands_around_it_stays(self, text, expected):
        """Only the value is replaced: what comes before and after it can still be read."""
        assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *('{{"name":"password","value":"{}"}}', '{{"key":"Authorization","value":{{"a":"{}"}}}}'),
        *(
            "[{{'name': 'x-api-key', 'value': '{}'}}]",
            '{{\\"name\\":\\"token\\",\\"value\\":\\"{}\\"}}',
        ),
        *("?a=b&token[]={}&c=d", "?token%5B%5D={}", "token[0]={}"),
    ],
)
def test_names_beside_their_values(text):
    """A name that is a member of its own, and one of a list's, says of the value after it what it is."""
    assert CANARY not in redacted(text.format(CANARY))


def test_a_user_that_is_a_token():
    """A user without a password that is long and has digits is a token; a name of a person or machine is none."""
    assert redacted(f"https://{CANARY}0123456@host/x") == "https://REDACTED@host/x"
    for harmless in (
        "ssh://git@host/x",
        "https://ann@host/x",
        "sftp://a-long-user-of-letters@host/x",
    ):
        assert redacted(harmless) == harmless


def test_urls_beside_addresses():
    """A quote that ends a URL does not make a password of what stands between it and an address."""
    text = "['http://host:8080','ann@example.com'] 'https://a:b' or 'c@d.example'"
    assert redacted(text) == text

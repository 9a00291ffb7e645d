"""Every setting and every limit, with the reason for its number.

A setting is read from the environment once, when the module is imported: Lambda and the laptop stack set it before.
"""

from __future__ import annotations

import os


def _integer(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


def origins_in(text: str) -> frozenset[str]:
    """The origins of a list that is separated by commas. `null`, which is many pages' origin, is never one of them."""
    listed = {each.strip().rstrip("/").lower() for each in text.split(",")}
    return frozenset(listed - {"", "null"})


PREFIX = os.environ.get("CLEW_PREFIX", "clew")
"""The first part of the name of every queue and table; one Clew a prefix and region."""
SPAN_QUEUE = f"{PREFIX}-spans"
DEAD_LETTER_QUEUE = f"{PREFIX}-dead-letters"
SPANS_TABLE = f"{PREFIX}-spans"
INDEX_TABLE = f"{PREFIX}-index"
STATISTICS_TABLE = f"{PREFIX}-statistics"

TENANT = os.environ.get("CLEW_TENANT", "default")
"""Part of every message's identity, so that two tenants' equal bytes stay two."""

ACCESS_OPEN = os.environ.get("CLEW_ACCESS", "tokens") == "open"
"""Whether everyone may send and ask; any value but `open` means that tokens are required."""
UI_ORIGINS = origins_in(os.environ.get("CLEW_UI_ORIGINS", ""))
"""Origins, such as `https://ui.example.com`, whose pages may ask and change things as Clew's own may."""

# What one request may bring.
BODY_BYTES_MAX = _integer("CLEW_BODY_BYTES_MAX", 4_500_000)
"""A Lambda event holds 6 MB of JSON, in which the body is base64: 4.5 MB of it."""
UNCOMPRESSED_BYTES_MAX = _integer("CLEW_UNCOMPRESSED_BYTES_MAX", 16_000_000)
"""The limit after gzip or deflate is taken away; a 512 MB Lambda holds a body of this size several times over."""
SPANS_PER_REQUEST_MAX = _integer("CLEW_SPANS_PER_REQUEST_MAX", 100_000)
"""Ten times the largest batch that exporters make in practice (8,192 by the Collector's default)."""
GROUPS_PER_REQUEST_MAX = _integer("CLEW_GROUPS_PER_REQUEST_MAX", 10_000)
"""Resources and scopes of one request; real ones have a handful. Bounds what empty ones can cost."""
SPAN_BYTES_MAX = _integer("CLEW_SPAN_BYTES_MAX", 384_000)
"""A span with its resource and scope must fit one DynamoDB item (400 KB) even if nothing compresses."""
ATTRIBUTES_PER_SPAN_MAX = _integer("CLEW_ATTRIBUTES_PER_SPAN_MAX", 1_024)
"""Eight times what OpenTelemetry SDKs keep by default (128)."""
JSON_BYTES_MAX = _integer("CLEW_JSON_BYTES_MAX", 10_000_000)
"""The limit of an uncompressed JSON body, which costs several times as much as protobuf: API Gateway would take as
much."""
JSON_STRUCTURE_MAX = _integer("CLEW_JSON_STRUCTURE_MAX", 900_000)
"""Commas, braces and brackets of a JSON body: one each eleven bytes of the longest. Attributes have one each 15."""
JSON_PART_STRUCTURE_MAX = 2 * SPAN_BYTES_MAX
"""The limit of commas, braces and brackets in the JSON of one span or resource: what is stored of a value has at least
a byte."""
JSON_PART_BYTES_MAX = 20 * SPAN_BYTES_MAX
"""The limit of the JSON of one span or resource, which is built at once: what is stored of it has a fraction of its
bytes."""
RETRY_AFTER_SECONDS = _integer("CLEW_RETRY_AFTER_SECONDS", 5)

# Redaction, before the queue.
REDACTION = os.environ.get("CLEW_REDACTION", "on") != "off"
"""Whether secrets are taken out of spans; any value but `off` means that they are."""
REDACTION_RULES = os.environ.get("CLEW_REDACTION_RULES", "")
"""JSON, or the path of a file of it; checked by `receive/redaction_rules.py`."""
REDACTION_KEY = os.environ.get("CLEW_REDACTION_KEY", "")
"""The key of the keyed hash with which own rules may replace a secret."""

# The queue.
MESSAGE_PAYLOAD_BYTES_MAX = 1_000_000
"""Uncompressed. SQS takes 1 MiB a message and a batch; zstd never adds more than 0.4 %."""

DEAD_LETTER_RETENTION_SECONDS = 14 * 86_400
"""The queue keeps dead letters for the same time (infra/stack.yaml)."""

# The store.
GROUP_MESSAGES_MAX = 80
"""Markers of one commit: a transaction has 100 actions, and segments need some of them."""
GROUP_SPANS_MAX = _integer("CLEW_GROUP_SPANS_MAX", 10_000)
"""Larger groups leave the CPU's cache and cost more a span."""
GROUP_CONTENT_BYTES_MAX = 16_000_000
"""Uncompressed: three times what so many usual spans have. Of spans that are made of tiny events, which compress to
nothing, a megabyte takes up to 30 MB and a second."""
RETENTION_SECONDS = _integer("CLEW_RETENTION_SECONDS", 14 * 86_400)
"""Chunks and search blocks, from their arrival."""
CLOCK_AHEAD_SECONDS = 86_400
"""Lists of names reach so far past now: a clock that shows another zone's time, or is not set, is of use all the same,
and what is later than a day ahead is a mistake that nobody looks for."""
MARKER_RETENTION_SECONDS = 90 * 86_400
"""Longer than a message can live in both queues (4 + 14 days), with weeks to redrive it by hand."""
SHARDS = _integer("CLEW_SHARDS", 1)
"""Segments of a commit; more for scale (each costs write units of its own)."""
SHARDS_READ = max(SHARDS, _integer("CLEW_SHARDS_READ", SHARDS))
"""Shards that are folded and read. Before SHARDS is made smaller, keep the old number here."""
INDEX_SHARDS = _integer("CLEW_INDEX_SHARDS", 1)
"""Partitions of a service's hour in the index. One takes 1,000 write units a second; a search reads each."""
INDEX_SHARDS_READ = max(INDEX_SHARDS, _integer("CLEW_INDEX_SHARDS_READ", INDEX_SHARDS))

# Statistics.
MINUTE_RETENTION_SECONDS = _integer("CLEW_MINUTE_RETENTION_SECONDS", 8 * 86_400)
HOUR_RETENTION_SECONDS = _integer("CLEW_HOUR_RETENTION_SECONDS", 92 * 86_400)
DAY_RETENTION_SECONDS = _integer("CLEW_DAY_RETENTION_SECONDS", 400 * 86_400)
PENDING_WINDOW_SECONDS = _integer("CLEW_PENDING_WINDOW_SECONDS", 3_600)
"""How long half an edge waits for its other half."""
ROLL_UP_DELAY_SECONDS = 600
"""The roll-up waits so long after an hour's end, so that most late spans are in before its minutes move up."""

SERVICES_MAX = _integer("CLEW_SERVICES_MAX", 2_000)
"""The services of a shard and day that are counted by themselves: this cardinality limit bounds the catalogue, which a
fold writes anew."""

# Answers.
SEARCH_LIMIT_DEFAULT = 20
SEARCH_LIMIT_MAX = 1_000
DEAD_LETTERS_LIMIT_DEFAULT = 20
DEAD_LETTERS_LIMIT_MAX = 100
"""A note has a kilobyte or two: one page of a query."""
ZIPKIN_AUTOCOMPLETE_KEYS = [
    key.strip()
    for key in os.environ.get("CLEW_ZIPKIN_AUTOCOMPLETE_KEYS", "").split(",")
    if key.strip()
]
"""Tags that Zipkin's UI offers to search by; separated by commas."""
CLOCK_SKEW_MAX_MILLISECONDS = _integer("CLEW_CLOCK_SKEW_MAX_MILLISECONDS", 0)
"""Jaeger's own default. What is queued starts long after its parent by every clock: moved into it, it misleads."""
RESPONSE_BYTES_MAX = 4_400_000
"""Lambda returns at most 6 MB of JSON, in which a body is base64."""
ANSWER_SECONDS_MAX = _integer("CLEW_ANSWER_SECONDS_MAX", 20)
"""The time for one question: API Gateway waits 29 s, the Lambda 25, and what is begun last takes a while to end."""
ANSWER_CPU_SECONDS_MAX = _integer("CLEW_ANSWER_CPU_SECONDS_MAX", 6)
"""What 512 MB of Lambda, which are 0.29 of a processor, have in those seconds: where there is more, all do not wait."""
SEARCH_SECONDS_MAX, SEARCH_CPU_SECONDS_MAX = 15, 4
"""A search looks further for so long within that time: what it has found by then is answered."""
ANSWER_ITEMS_READ_MAX = 200_000
"""A search of 5,000 traces in a few chunks each reads a tenth, a year of edges a hundredth."""
ANSWER_BYTES_READ_MAX = 256_000_000
"""The limit of the items' values that one question reads, page by page: twenty seconds' worth."""
ANSWER_BYTES_MAX = 100_000_000
"""The limit of an answer before gzip, which makes a tenth or less of it: a larger one would not fit, or take too
long."""
ANSWER_FIGURES_MAX = 1_000_000
"""Series and histogram buckets of statistics, of which a point of a series has a dozen; a search's hours of services,
of which 2,000 services have 672,000 in two weeks. Each takes some 100 bytes."""
INDENTED_BYTES_MAX = 8_000_000
"""The limit of an answer that is to be indented for a person to read, before it is indented."""
TRACES_ASKED_MAX = 100
"""The traces that may be asked for by id at once: a page of a search in Jaeger's UI shows as many by default."""
METRICS_SERVICES_MAX = 20
"""The services of one question in Jaeger's dialect: its Monitor tab asks for one."""
TRACE_SPANS_MAX = 100_000
"""The spans of a trace that is answered whole: more would not fit an answer, nor a 512 MB Lambda. As columns it has
pages."""
TRACE_CONTENT_BYTES_MAX = 40_000_000
"""The bytes of the spans of a trace that is answered whole, 400 for each: in memory spans take twice their bytes."""
TRACE_PARTS_MAX = 500_000
"""The distinct attributes, events and links of a trace that is answered whole, of 150 bytes each."""
TRACE_SPANS_SEARCHED_MAX = 50_000
"""The spans of one trace that a search or a look-up of a caller reads: a trace of a million must not end the
function."""
TRACE_CONTENT_BYTES_SEARCHED_MAX = 20_000_000
"""The bytes of the spans of one trace that a search reads: 400 for each."""
TRACE_PARTS_SEARCHED_MAX = 200_000
"""The distinct attributes, events and links of one trace that a search reads: less than an answer holds, for both are
in memory at once."""
SEARCH_SPANS_MAX = 500_000
"""The spans of all traces that one search looks at: two seconds of CPU. 5,000 usual traces have a fifth of them."""
SEARCH_ROWS_HELD_MAX = 100_000
"""Rows of the index whose turn has not come: where an hour's blocks all span the hour, most of them."""
CHUNKS_ASKED_MAX = SPAN_IDS_ASKED_MAX = 100
"""The chunks or span ids of one trace that may be asked for: as many as DynamoDB reads in a batch, and as fit a URL."""
PAGE_SPANS = _integer("CLEW_PAGE_SPANS", 50_000)
"""A page of a trace as columns ends with the chunk that brings it there: 1.2 MB gzipped, 0.3 s of CPU."""
PAGE_STORED_BYTES = 3_600_000
"""The stored bytes of the chunks of such a page: gzipped, columns are about half as large as the chunks they are made
of."""
PAGE_CONTENT_BYTES = 20_000_000
"""The bytes of those chunks uncompressed, 400 for each span: a million events take two seconds of CPU, and 150 MB."""
PAGE_SHARE_WITH_ATTRIBUTES = 2
"""A page with attributes has that part of either: its columns are larger, and an object for each distinct attribute."""

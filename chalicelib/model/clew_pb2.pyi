from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Measure(_message.Message):
    __slots__ = ("calls", "errors", "duration_sum_nano", "bucket_gaps", "bucket_counts")
    CALLS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    DURATION_SUM_NANO_FIELD_NUMBER: _ClassVar[int]
    BUCKET_GAPS_FIELD_NUMBER: _ClassVar[int]
    BUCKET_COUNTS_FIELD_NUMBER: _ClassVar[int]
    calls: int
    errors: int
    duration_sum_nano: int
    bucket_gaps: _containers.RepeatedScalarFieldContainer[int]
    bucket_counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, calls: _Optional[int] = ..., errors: _Optional[int] = ..., duration_sum_nano: _Optional[int] = ..., bucket_gaps: _Optional[_Iterable[int]] = ..., bucket_counts: _Optional[_Iterable[int]] = ...) -> None: ...

class Statistics(_message.Message):
    __slots__ = ("series", "entry", "other", "renamed_calls")
    class Series(_message.Message):
        __slots__ = ("span_name", "kind", "measure")
        SPAN_NAME_FIELD_NUMBER: _ClassVar[int]
        KIND_FIELD_NUMBER: _ClassVar[int]
        MEASURE_FIELD_NUMBER: _ClassVar[int]
        span_name: str
        kind: int
        measure: Measure
        def __init__(self, span_name: _Optional[str] = ..., kind: _Optional[int] = ..., measure: _Optional[_Union[Measure, _Mapping]] = ...) -> None: ...
    SERIES_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    RENAMED_CALLS_FIELD_NUMBER: _ClassVar[int]
    series: _containers.RepeatedCompositeFieldContainer[Statistics.Series]
    entry: Measure
    other: Measure
    renamed_calls: int
    def __init__(self, series: _Optional[_Iterable[_Union[Statistics.Series, _Mapping]]] = ..., entry: _Optional[_Union[Measure, _Mapping]] = ..., other: _Optional[_Union[Measure, _Mapping]] = ..., renamed_calls: _Optional[int] = ...) -> None: ...

class Edges(_message.Message):
    __slots__ = ("edges", "other")
    class Edge(_message.Message):
        __slots__ = ("caller", "callee", "kind", "measure", "exemplar_trace_id")
        CALLER_FIELD_NUMBER: _ClassVar[int]
        CALLEE_FIELD_NUMBER: _ClassVar[int]
        KIND_FIELD_NUMBER: _ClassVar[int]
        MEASURE_FIELD_NUMBER: _ClassVar[int]
        EXEMPLAR_TRACE_ID_FIELD_NUMBER: _ClassVar[int]
        caller: str
        callee: str
        kind: int
        measure: Measure
        exemplar_trace_id: bytes
        def __init__(self, caller: _Optional[str] = ..., callee: _Optional[str] = ..., kind: _Optional[int] = ..., measure: _Optional[_Union[Measure, _Mapping]] = ..., exemplar_trace_id: _Optional[bytes] = ...) -> None: ...
    EDGES_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    edges: _containers.RepeatedCompositeFieldContainer[Edges.Edge]
    other: Measure
    def __init__(self, edges: _Optional[_Iterable[_Union[Edges.Edge, _Mapping]]] = ..., other: _Optional[_Union[Measure, _Mapping]] = ...) -> None: ...

class Halves(_message.Message):
    __slots__ = ("caller_profiles", "callee_profiles", "minutes", "trace_ids", "caller_counts", "callee_counts", "callers", "callees")
    class CallerProfile(_message.Message):
        __slots__ = ("service", "peer", "kind", "error")
        SERVICE_FIELD_NUMBER: _ClassVar[int]
        PEER_FIELD_NUMBER: _ClassVar[int]
        KIND_FIELD_NUMBER: _ClassVar[int]
        ERROR_FIELD_NUMBER: _ClassVar[int]
        service: str
        peer: str
        kind: int
        error: bool
        def __init__(self, service: _Optional[str] = ..., peer: _Optional[str] = ..., kind: _Optional[int] = ..., error: _Optional[bool] = ...) -> None: ...
    class CalleeProfile(_message.Message):
        __slots__ = ("service", "kind", "error")
        SERVICE_FIELD_NUMBER: _ClassVar[int]
        KIND_FIELD_NUMBER: _ClassVar[int]
        ERROR_FIELD_NUMBER: _ClassVar[int]
        service: str
        kind: int
        error: bool
        def __init__(self, service: _Optional[str] = ..., kind: _Optional[int] = ..., error: _Optional[bool] = ...) -> None: ...
    CALLER_PROFILES_FIELD_NUMBER: _ClassVar[int]
    CALLEE_PROFILES_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    TRACE_IDS_FIELD_NUMBER: _ClassVar[int]
    CALLER_COUNTS_FIELD_NUMBER: _ClassVar[int]
    CALLEE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    CALLERS_FIELD_NUMBER: _ClassVar[int]
    CALLEES_FIELD_NUMBER: _ClassVar[int]
    caller_profiles: _containers.RepeatedCompositeFieldContainer[Halves.CallerProfile]
    callee_profiles: _containers.RepeatedCompositeFieldContainer[Halves.CalleeProfile]
    minutes: _containers.RepeatedScalarFieldContainer[int]
    trace_ids: bytes
    caller_counts: _containers.RepeatedScalarFieldContainer[int]
    callee_counts: _containers.RepeatedScalarFieldContainer[int]
    callers: bytes
    callees: bytes
    def __init__(self, caller_profiles: _Optional[_Iterable[_Union[Halves.CallerProfile, _Mapping]]] = ..., callee_profiles: _Optional[_Iterable[_Union[Halves.CalleeProfile, _Mapping]]] = ..., minutes: _Optional[_Iterable[int]] = ..., trace_ids: _Optional[bytes] = ..., caller_counts: _Optional[_Iterable[int]] = ..., callee_counts: _Optional[_Iterable[int]] = ..., callers: _Optional[bytes] = ..., callees: _Optional[bytes] = ...) -> None: ...

class TraceFilter(_message.Message):
    __slots__ = ("gaps",)
    GAPS_FIELD_NUMBER: _ClassVar[int]
    gaps: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, gaps: _Optional[_Iterable[int]] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("entries",)
    class Entry(_message.Message):
        __slots__ = ("service", "minute", "statistics", "edges", "halves")
        SERVICE_FIELD_NUMBER: _ClassVar[int]
        MINUTE_FIELD_NUMBER: _ClassVar[int]
        STATISTICS_FIELD_NUMBER: _ClassVar[int]
        EDGES_FIELD_NUMBER: _ClassVar[int]
        HALVES_FIELD_NUMBER: _ClassVar[int]
        service: str
        minute: int
        statistics: Statistics
        edges: Edges
        halves: Halves
        def __init__(self, service: _Optional[str] = ..., minute: _Optional[int] = ..., statistics: _Optional[_Union[Statistics, _Mapping]] = ..., edges: _Optional[_Union[Edges, _Mapping]] = ..., halves: _Optional[_Union[Halves, _Mapping]] = ...) -> None: ...
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Segment.Entry]
    def __init__(self, entries: _Optional[_Iterable[_Union[Segment.Entry, _Mapping]]] = ...) -> None: ...

class StatisticsTarget(_message.Message):
    __slots__ = ("total", "pending", "all_pending")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    ALL_PENDING_FIELD_NUMBER: _ClassVar[int]
    total: Statistics
    pending: Statistics
    all_pending: bool
    def __init__(self, total: _Optional[_Union[Statistics, _Mapping]] = ..., pending: _Optional[_Union[Statistics, _Mapping]] = ..., all_pending: _Optional[bool] = ...) -> None: ...

class EdgesTarget(_message.Message):
    __slots__ = ("total", "pending", "all_pending")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    ALL_PENDING_FIELD_NUMBER: _ClassVar[int]
    total: Edges
    pending: Edges
    all_pending: bool
    def __init__(self, total: _Optional[_Union[Edges, _Mapping]] = ..., pending: _Optional[_Union[Edges, _Mapping]] = ..., all_pending: _Optional[bool] = ...) -> None: ...

class Catalogue(_message.Message):
    __slots__ = ("services",)
    class Service(_message.Message):
        __slots__ = ("name", "hours", "hours_dirty", "day_dirty")
        NAME_FIELD_NUMBER: _ClassVar[int]
        HOURS_FIELD_NUMBER: _ClassVar[int]
        HOURS_DIRTY_FIELD_NUMBER: _ClassVar[int]
        DAY_DIRTY_FIELD_NUMBER: _ClassVar[int]
        name: str
        hours: int
        hours_dirty: int
        day_dirty: bool
        def __init__(self, name: _Optional[str] = ..., hours: _Optional[int] = ..., hours_dirty: _Optional[int] = ..., day_dirty: _Optional[bool] = ...) -> None: ...
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    services: _containers.RepeatedCompositeFieldContainer[Catalogue.Service]
    def __init__(self, services: _Optional[_Iterable[_Union[Catalogue.Service, _Mapping]]] = ...) -> None: ...

class FoldState(_message.Message):
    __slots__ = ("version", "progress", "pending", "checked_sequence", "checked_traces", "dirty_hours", "dirty_days", "has_other_services", "looked_sequence", "looked_trace_id")
    class Progress(_message.Message):
        __slots__ = ("segment", "entries")
        SEGMENT_FIELD_NUMBER: _ClassVar[int]
        ENTRIES_FIELD_NUMBER: _ClassVar[int]
        segment: str
        entries: int
        def __init__(self, segment: _Optional[str] = ..., entries: _Optional[int] = ...) -> None: ...
    class Pending(_message.Message):
        __slots__ = ("sequence", "folded_unix_seconds", "has_filter")
        SEQUENCE_FIELD_NUMBER: _ClassVar[int]
        FOLDED_UNIX_SECONDS_FIELD_NUMBER: _ClassVar[int]
        HAS_FILTER_FIELD_NUMBER: _ClassVar[int]
        sequence: int
        folded_unix_seconds: int
        has_filter: bool
        def __init__(self, sequence: _Optional[int] = ..., folded_unix_seconds: _Optional[int] = ..., has_filter: _Optional[bool] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    CHECKED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CHECKED_TRACES_FIELD_NUMBER: _ClassVar[int]
    DIRTY_HOURS_FIELD_NUMBER: _ClassVar[int]
    DIRTY_DAYS_FIELD_NUMBER: _ClassVar[int]
    HAS_OTHER_SERVICES_FIELD_NUMBER: _ClassVar[int]
    LOOKED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LOOKED_TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    version: int
    progress: _containers.RepeatedCompositeFieldContainer[FoldState.Progress]
    pending: _containers.RepeatedCompositeFieldContainer[FoldState.Pending]
    checked_sequence: int
    checked_traces: int
    dirty_hours: _containers.RepeatedScalarFieldContainer[int]
    dirty_days: _containers.RepeatedScalarFieldContainer[int]
    has_other_services: bool
    looked_sequence: int
    looked_trace_id: bytes
    def __init__(self, version: _Optional[int] = ..., progress: _Optional[_Iterable[_Union[FoldState.Progress, _Mapping]]] = ..., pending: _Optional[_Iterable[_Union[FoldState.Pending, _Mapping]]] = ..., checked_sequence: _Optional[int] = ..., checked_traces: _Optional[int] = ..., dirty_hours: _Optional[_Iterable[int]] = ..., dirty_days: _Optional[_Iterable[int]] = ..., has_other_services: _Optional[bool] = ..., looked_sequence: _Optional[int] = ..., looked_trace_id: _Optional[bytes] = ...) -> None: ...

class SearchBlock(_message.Message):
    __slots__ = ("names", "trace_ids", "first_start_time_unix_nano", "longest_duration_nano", "shortest_duration_nano", "errors", "service", "span_name_counts", "span_names", "attribute_hash_counts", "attribute_hashes", "has_event_hashes", "longest_span_names", "others_longest_steps", "common_hashes", "common_hash_name_counts", "common_hash_names", "has_scope_and_link_hashes")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    TRACE_IDS_FIELD_NUMBER: _ClassVar[int]
    FIRST_START_TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    LONGEST_DURATION_NANO_FIELD_NUMBER: _ClassVar[int]
    SHORTEST_DURATION_NANO_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    SPAN_NAME_COUNTS_FIELD_NUMBER: _ClassVar[int]
    SPAN_NAMES_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_HASH_COUNTS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_HASHES_FIELD_NUMBER: _ClassVar[int]
    HAS_EVENT_HASHES_FIELD_NUMBER: _ClassVar[int]
    LONGEST_SPAN_NAMES_FIELD_NUMBER: _ClassVar[int]
    OTHERS_LONGEST_STEPS_FIELD_NUMBER: _ClassVar[int]
    COMMON_HASHES_FIELD_NUMBER: _ClassVar[int]
    COMMON_HASH_NAME_COUNTS_FIELD_NUMBER: _ClassVar[int]
    COMMON_HASH_NAMES_FIELD_NUMBER: _ClassVar[int]
    HAS_SCOPE_AND_LINK_HASHES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    trace_ids: bytes
    first_start_time_unix_nano: _containers.RepeatedScalarFieldContainer[int]
    longest_duration_nano: _containers.RepeatedScalarFieldContainer[int]
    shortest_duration_nano: _containers.RepeatedScalarFieldContainer[int]
    errors: bytes
    service: _containers.RepeatedScalarFieldContainer[int]
    span_name_counts: _containers.RepeatedScalarFieldContainer[int]
    span_names: _containers.RepeatedScalarFieldContainer[int]
    attribute_hash_counts: _containers.RepeatedScalarFieldContainer[int]
    attribute_hashes: bytes
    has_event_hashes: bool
    longest_span_names: bytes
    others_longest_steps: bytes
    common_hashes: bytes
    common_hash_name_counts: _containers.RepeatedScalarFieldContainer[int]
    common_hash_names: _containers.RepeatedScalarFieldContainer[int]
    has_scope_and_link_hashes: bool
    def __init__(self, names: _Optional[_Iterable[str]] = ..., trace_ids: _Optional[bytes] = ..., first_start_time_unix_nano: _Optional[_Iterable[int]] = ..., longest_duration_nano: _Optional[_Iterable[int]] = ..., shortest_duration_nano: _Optional[_Iterable[int]] = ..., errors: _Optional[bytes] = ..., service: _Optional[_Iterable[int]] = ..., span_name_counts: _Optional[_Iterable[int]] = ..., span_names: _Optional[_Iterable[int]] = ..., attribute_hash_counts: _Optional[_Iterable[int]] = ..., attribute_hashes: _Optional[bytes] = ..., has_event_hashes: _Optional[bool] = ..., longest_span_names: _Optional[bytes] = ..., others_longest_steps: _Optional[bytes] = ..., common_hashes: _Optional[bytes] = ..., common_hash_name_counts: _Optional[_Iterable[int]] = ..., common_hash_names: _Optional[_Iterable[int]] = ..., has_scope_and_link_hashes: _Optional[bool] = ...) -> None: ...

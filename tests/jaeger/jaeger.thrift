// What the tests write batches with: the wire's own schema, in another library than the reader.
struct Tag { 1: string key, 2: i32 vType, 3: string vStr, 4: double vDouble, 5: bool vBool, 6: i64 vLong, 7: binary vBinary }
struct Log { 1: i64 timestamp, 2: list<Tag> fields }
struct SpanRef { 1: i32 refType, 2: i64 traceIdLow, 3: i64 traceIdHigh, 4: i64 spanId }
struct Span {
  1: i64 traceIdLow, 2: i64 traceIdHigh, 3: i64 spanId, 4: i64 parentSpanId, 5: string operationName,
  6: list<SpanRef> references, 7: i32 flags, 8: i64 startTime, 9: i64 duration, 10: list<Tag> tags, 11: list<Log> logs
}
struct Process { 1: string serviceName, 2: list<Tag> tags }
struct Batch { 1: Process process, 2: list<Span> spans, 3: i64 seqNo }
service Agent { oneway void emitBatch(1: Batch batch) }

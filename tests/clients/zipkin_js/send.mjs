// A server's span and its call to a database, by zipkin-js in each of its encodings: `START_UNIX_SECONDS URL`.
// A TOKEN in the environment goes into a header: Node's fetch takes none in a URL.
import zipkin from 'zipkin'
import transport from 'zipkin-transport-http'

const { Annotation, BatchRecorder, ExplicitContext, InetAddress, TraceId, Tracer, jsonEncoder } = zipkin
const { Some, None } = zipkin.option
const ENCODERS = [
  ['/api/v1/spans', jsonEncoder.JSON_V1],
  ['/api/v2/spans', jsonEncoder.JSON_V2],
]
const SECOND = 1_000_000
const first = Number(process.argv[2]) * SECOND
const url = process.argv[3]
const token = process.env.TOKEN
const headers = token ? { Authorization: `Bearer ${token}` } : {}

function record(tracer, traceId, start) {
  const ids = { traceId, sampled: new Some(true) }
  const rootId = traceId.slice(16)
  const root = new TraceId({ ...ids, parentId: None, spanId: rootId })
  const call = new TraceId({ ...ids, parentId: new Some(rootId), spanId: `00${rootId.slice(2)}` })
  const local = { host: new InetAddress('192.0.2.1'), port: 8080 }
  const server = { serviceName: 'Postgres', host: new InetAddress('192.0.2.9'), port: 5432 }
  const at = (id, seconds, annotation) =>
    tracer.letId(id, () => tracer.recordAnnotation(annotation, start + seconds * SECOND))
  at(root, 0, new Annotation.ServiceName('ZipkinJS'))
  at(root, 0, new Annotation.Rpc('GET /order'))
  at(root, 0, new Annotation.LocalAddr(local))
  at(root, 0, new Annotation.ServerRecv())
  at(root, 0, new Annotation.BinaryAnnotation('http.method', 'GET'))
  at(root, 0.125, new Annotation.Message('cache miss'))
  at(call, 0.25, new Annotation.ServiceName('ZipkinJS'))
  at(call, 0.25, new Annotation.Rpc('SELECT'))
  at(call, 0.25, new Annotation.LocalAddr(local))
  at(call, 0.25, new Annotation.ClientSend())
  at(call, 0.25, new Annotation.ServerAddr(server))
  at(call, 0.5, new Annotation.BinaryAnnotation('error', 'no such table'))
  at(call, 0.75, new Annotation.ClientRecv())
  at(root, 1, new Annotation.ServerSend())
}

for (const [number, [path, encoder]] of ENCODERS.entries()) {
  const logger = new transport.HttpLogger({
    endpoint: url + path,
    jsonEncoder: encoder,
    httpInterval: 20,
    headers,
  })
  // However long ago a span started, it is sent when it has ended, and not before.
  const recorder = new BatchRecorder({ logger, timeout: Number.MAX_SAFE_INTEGER - first })
  const tracer = new Tracer({ ctxImpl: new ExplicitContext(), recorder, localServiceName: 'ZipkinJS' })
  const sent = new Promise((resolve, reject) => {
    logger.on('success', resolve)
    logger.on('error', reject)
  })
  record(tracer, `d${number}`.repeat(16), first + number * SECOND)
  // Its own timer keeps no program alive.
  const alive = setTimeout(() => {}, 20_000)
  await sent
  clearTimeout(alive)
}

import brave.Span;
import brave.Tracing;
import brave.propagation.TraceContext;
import java.util.List;
import java.util.concurrent.TimeUnit;
import okhttp3.OkHttpClient;
import zipkin2.Endpoint;
import zipkin2.reporter.AsyncReporter;
import zipkin2.reporter.BytesMessageSender;
import zipkin2.reporter.Encoding;
import zipkin2.reporter.SpanBytesEncoder;
import zipkin2.reporter.brave.AsyncZipkinSpanHandler;
import zipkin2.reporter.okhttp3.OkHttpSender;
import zipkin2.reporter.urlconnection.URLConnectionSender;

/**
 * A server's span and its call to a database: `brave|reporter START_UNIX_SECONDS URL`.
 *
 * <p>The reporter sends by URLConnectionSender in each of its encodings, Brave by OkHttpSender. A TOKEN in the
 * environment goes into a header, for which URLConnectionSender has no setting: OkHttpSender then stands for it.
 */
public class Send {
  static final long SECOND = 1_000_000;
  static final String TOKEN = System.getenv("TOKEN");

  record Way(String path, Encoding encoding, SpanBytesEncoder encoder) {}

  static final List<Way> REPORTER =
      List.of(
          new Way("/api/v1/spans", Encoding.JSON, SpanBytesEncoder.JSON_V1),
          new Way("/api/v1/spans", Encoding.THRIFT, SpanBytesEncoder.THRIFT),
          new Way("/api/v2/spans", Encoding.JSON, SpanBytesEncoder.JSON_V2),
          new Way("/api/v2/spans", Encoding.PROTO3, SpanBytesEncoder.PROTO3));
  static final List<Way> BRAVE =
      List.of(
          new Way("/api/v2/spans", Encoding.JSON, null),
          new Way("/api/v2/spans", Encoding.PROTO3, null));

  public static void main(String[] arguments) throws Exception {
    boolean isBrave = arguments[0].equals("brave");
    long start = Long.parseLong(arguments[1]) * SECOND;
    int number = 0;
    for (Way way : isBrave ? BRAVE : REPORTER) {
      BytesMessageSender sender = sender(arguments[2] + way.path, way.encoding, isBrave);
      if (isBrave) brave(sender, 0xf0f0f0f0f0f0f0f0L + number * 0x0101010101010101L, start);
      else reporter(sender, way.encoder, ("e" + number).repeat(8), start);
      sender.close();
      start += SECOND;
      number++;
    }
  }

  static BytesMessageSender sender(String endpoint, Encoding encoding, boolean isBrave) {
    if (!isBrave && TOKEN == null) {
      return URLConnectionSender.newBuilder().endpoint(endpoint).encoding(encoding).build();
    }
    OkHttpSender.Builder builder = OkHttpSender.newBuilder().endpoint(endpoint).encoding(encoding);
    if (TOKEN != null) {
      OkHttpClient.Builder client = builder.clientBuilder();
      client.addInterceptor(
          chain ->
              chain.proceed(
                  chain.request().newBuilder().header("Authorization", "Bearer " + TOKEN).build()));
    }
    return builder.build();
  }

  static void reporter(BytesMessageSender sender, SpanBytesEncoder encoder, String id, long start) {
    Endpoint local = Endpoint.newBuilder().serviceName("Reporter").ip("192.0.2.1").port(8080).build();
    Endpoint database =
        Endpoint.newBuilder().serviceName("Postgres").ip("192.0.2.9").port(5432).build();
    zipkin2.Span root =
        zipkin2.Span.newBuilder()
            .traceId(id + id)
            .id(id)
            .name("GET /order")
            .kind(zipkin2.Span.Kind.SERVER)
            .timestamp(start)
            .duration(SECOND)
            .localEndpoint(local)
            .addAnnotation(start + SECOND / 8, "cache miss")
            .putTag("http.method", "GET")
            .build();
    zipkin2.Span call =
        zipkin2.Span.newBuilder()
            .traceId(id + id)
            .parentId(id)
            .id("00" + id.substring(2))
            .name("SELECT")
            .kind(zipkin2.Span.Kind.CLIENT)
            .timestamp(start + SECOND / 4)
            .duration(SECOND / 2)
            .localEndpoint(local)
            .remoteEndpoint(database)
            .putTag("error", "no such table")
            .build();
    // Without a timeout it has no thread of its own, and all goes in one request.
    AsyncReporter<zipkin2.Span> reporter =
        AsyncReporter.builder(sender).messageTimeout(0, TimeUnit.SECONDS).build(encoder);
    reporter.report(call);
    reporter.report(root);
    reporter.flush();
    reporter.close();
  }

  static void brave(BytesMessageSender sender, long id, long start) {
    AsyncZipkinSpanHandler handler =
        AsyncZipkinSpanHandler.newBuilder(sender).messageTimeout(0, TimeUnit.SECONDS).build();
    try (Tracing tracing =
        Tracing.newBuilder()
            .localServiceName("Brave")
            .localIp("192.0.2.1")
            .localPort(8080)
            .addSpanHandler(handler)
            .build()) {
      TraceContext.Builder context =
          TraceContext.newBuilder().traceIdHigh(id).traceId(id).sampled(true);
      Span root = tracing.tracer().toSpan(context.spanId(id).build());
      root.kind(Span.Kind.SERVER).name("GET /order").tag("http.method", "GET").start(start);
      root.annotate(start + SECOND / 8, "cache miss");
      Span call = tracing.tracer().toSpan(context.parentId(id).spanId(id & 0xffffffffffffffL).build());
      call.kind(Span.Kind.CLIENT).name("SELECT").start(start + SECOND / 4);
      call.remoteServiceName("Postgres").remoteIpAndPort("192.0.2.9", 5432);
      call.error(new IllegalStateException("no such table"));
      call.finish(start + 3 * SECOND / 4);
      root.finish(start + SECOND);
    }
    handler.flush();
    handler.close();
  }
}

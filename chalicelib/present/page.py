"""The page at `/` where the web UI is not built."""

from __future__ import annotations

from html import escape


def page(path: str) -> bytes:
    """The HTML. `path` is what the client asked for, such as `/` or `/clew`: links lead on from there."""
    return _PAGE.replace("BASE", escape(base_of(path))).encode(errors="replace")


def base_of(path: str) -> str:
    """The path with one slash at either end, lest two of them begin the name of another host."""
    inner = path.strip("/")
    return f"/{inner}/" if inner else "/"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<base href="BASE">
<title>Clew</title>
<meta name="viewport" content="width=device-width">
</head>
<body>
<h1>Clew</h1>
<p>A distributed-tracing backend without a server. This one is running, and its web UI is not built:
<code>make ui</code> builds it; <code>make run</code> and <code>make deploy</code> do so by themselves.</p>
<h2>Send spans</h2>
<p>Point any OpenTelemetry SDK or Collector with an OTLP/HTTP exporter at this address:</p>
<pre>OTEL_EXPORTER_OTLP_ENDPOINT=THIS-ADDRESS  OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf</pre>
<h2>Look</h2>
<ul>
<li><a href="v1/services">Services</a></li>
<li><a href="v1/traces">Traces of the last hour</a></li>
<li><a href="v1/edges">Calls between services in the last hour</a></li>
<li><a href="openapi.json">The whole API (OpenAPI)</a></li>
<li><a href="health">Health</a></li>
</ul>
</body>
</html>
"""

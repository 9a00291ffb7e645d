"""`make bench-ui`: the benchmark of the web UI in a browser."""

"""What the web UI takes in a browser; `make bench-ui`."""

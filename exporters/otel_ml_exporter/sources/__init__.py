"""Where counts come from: a Prometheus-compatible server, or OTLP received by the exporter itself."""

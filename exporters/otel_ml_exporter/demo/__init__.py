"""The whole loop on one machine with real data: train, serve, drift, evaluate, page. What `otel-ml demo` runs."""

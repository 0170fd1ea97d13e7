"""The companion exporter: turns counts into numbers and serves them to Prometheus."""

"""The catalogue for readers: the reference page of metrics, and the registry in OpenTelemetry's form."""

"""`python -m otel_ml_exporter.cli` is `otel-ml`."""

import sys

from otel_ml_exporter.cli import main

if __name__ == "__main__":
    sys.exit(main())

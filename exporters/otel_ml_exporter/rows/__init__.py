"""Sampled rows: what a model was given, kept in memory for a while and compared with a sample of the baseline's rows."""

from typing import Final

MAX_ROWS: Final = 50_000
"""Rows that a sample of a baseline may have: more cost memory and time, and tell no more."""

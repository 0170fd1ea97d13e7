"""Answers of several outputs: which part of an answer belongs to which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from otel_ml._outputs import as_array


def heads(answer: Any, names: Sequence[str]) -> tuple[Any, ...]:
    """The part of each output, in the order of `names`, which are at least one.

    Understands a mapping or a frame (by name), a list of mappings (a row each), a tuple or a list of arrays with a part for each output,
    and a table with a column for each. Raises `ValueError` for anything else.

    >>> heads({"sold": [True], "price": [3.0]}, ["price", "sold"]), heads((3.0, True), ["price", "sold"])
    (([3.0], [True]), (3.0, True))
    """
    try:
        if isinstance(answer, Mapping) or hasattr(answer, "columns"):
            return tuple(answer[name] for name in names)
        if isinstance(answer, list) and answer and isinstance(answer[0], Mapping):
            return tuple([row[name] for row in answer] for name in names)
    except KeyError as error:
        raise ValueError(f"the answer has no output {error}; the baseline has {', '.join(names)}") from error
    listed = isinstance(answer, tuple) or (isinstance(answer, list) and all(getattr(part, "ndim", 0) for part in answer))
    parts = tuple(answer) if listed else tuple(np.atleast_2d(as_array(answer)).T)
    if len(parts) != len(names):
        raise ValueError(f"the answer has {len(parts)} outputs where the baseline has {', '.join(names)}")
    return parts

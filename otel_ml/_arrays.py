"""Tensors and sparse matrices of any framework as numpy arrays, without importing the framework."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

DENSE = 1 << 20
"""Values of a sparse matrix that are made dense at a time."""


def as_numpy(data: Any) -> npt.NDArray[Any]:
    """`data` as an array, not copied where that can be; a type that numpy lacks, such as bfloat16, becomes float32.

    A PyTorch tensor is detached, brought to the CPU and made dense.
    """
    if isinstance(data, np.ndarray):
        return data
    if is_sparse(data):
        return data.toarray()  # type: ignore[no-any-return]
    if hasattr(data, "detach"):
        return _from_torch(data)
    array = np.asarray(data)
    return array.astype(np.float32) if array.dtype.kind == "V" and not array.dtype.names else array


def _from_torch(tensor: Any) -> npt.NDArray[Any]:
    tensor = tensor.detach().cpu()
    if str(tensor.layout) != "torch.strided":
        tensor = tensor.to_dense()
    try:
        return tensor.numpy()  # type: ignore[no-any-return]
    except TypeError:
        return tensor.float().numpy()  # type: ignore[no-any-return]


def is_tensor(data: Any) -> bool:
    """Whether a framework of tensors made this, and neither numpy nor a library of tables."""
    return (
        hasattr(data, "__array__")
        and not (hasattr(data, "to_numpy") or hasattr(data, "columns"))
        and not isinstance(data, np.ndarray | np.generic)
    )


def is_sparse(data: Any) -> bool:
    """Whether this is a matrix or array of scipy.sparse."""
    return hasattr(data, "tocsr") and hasattr(data, "toarray")


def dense_parts(matrix: Any) -> Iterator[npt.NDArray[Any]]:
    """The rows of a sparse matrix, some at a time."""
    rows = matrix.tocsr()
    step = max(1, DENSE // max(rows.shape[1], 1))
    for start in range(0, rows.shape[0], step):
        yield rows[start : start + step].toarray()

"""Objects that are rows: dataclasses, named tuples, and the models of pydantic, attrs and msgspec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any
from weakref import WeakKeyDictionary

_known: WeakKeyDictionary[type, tuple[str, ...]] = WeakKeyDictionary()


def fields_of(kind: type) -> tuple[str, ...]:
    """The names of the fields of such a class, in their order; none for any other class."""
    if kind not in _known:
        _known[kind] = _fields_of(kind)
    return _known[kind]


def _fields_of(kind: type) -> tuple[str, ...]:
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind))
    for attribute in ("model_fields", "__fields__", "__struct_fields__", "_fields"):
        found = getattr(kind, attribute, None)
        if isinstance(found, Mapping | tuple):
            return tuple(map(str, found))
    return tuple(attribute.name for attribute in getattr(kind, "__attrs_attrs__", ()))


def is_record(value: Any) -> bool:
    """Whether `value` is such an object, and neither a class nor a table."""
    return not isinstance(value, type) and bool(fields_of(type(value)))


def as_mapping(record: Any) -> dict[str, Any]:
    """The fields of such an object by name, those that a pydantic model was given beyond its own among them; not copied."""
    found = {name: getattr(record, name) for name in fields_of(type(record)) if hasattr(record, name)}
    return found | (getattr(record, "__pydantic_extra__", None) or {})

"""Objects that are rows: dataclasses, named tuples, and the models of pydantic, attrs and msgspec; and objects within rows."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

DEPTH: Final = 4
"""Objects within objects that columns are made of, at most."""

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


def aliases_of(kind: type) -> Mapping[str, tuple[str, ...]]:
    """The other names that fields of such a class have outside: the aliases of pydantic, the renamed fields of msgspec."""
    encoded = getattr(kind, "__struct_encode_fields__", ())
    if encoded:
        return {name: (outside,) for name, outside in zip(fields_of(kind), encoded, strict=True)}
    declared = next((found for of in ("model_fields", "__fields__") if isinstance(found := getattr(kind, of, None), Mapping)), {})
    ways = ("alias", "validation_alias", "serialization_alias")
    return {str(name): tuple(alias for way in ways for alias in _texts(getattr(field, way, None))) for name, field in declared.items()}


def _texts(alias: Any) -> Iterable[str]:
    """An alias, or those of several that are plain names."""
    return [text for text in getattr(alias, "choices", [alias]) if isinstance(text, str)]


def is_record(value: Any) -> bool:
    """Whether `value` is such an object, and neither a class nor a table."""
    return not isinstance(value, type) and bool(fields_of(type(value)))


def as_mapping(record: Any, known: Collection[str] = (), prefix: str = "") -> dict[str, Any]:
    """The fields of such an object by name, those that a pydantic model was given beyond its own among them; not copied.

    A field goes by an alias where that is among the `known` names, which begin with `prefix`, and its own name is not.
    """
    kind = type(record)
    found = {name: getattr(record, name) for name in fields_of(kind) if hasattr(record, name)}
    if known and not all(map(known.__contains__, [prefix + name for name in found] if prefix else found)):
        aliases = aliases_of(kind)
        found = {_outside(name, aliases.get(name, ()), known, prefix): value for name, value in found.items()}
    return found | (getattr(record, "__pydantic_extra__", None) or {})


def _outside(name: str, aliases: Iterable[str], known: Collection[str], prefix: str) -> str:
    return next((outside for outside in (name, *aliases) if prefix + outside in known), name)


def heads_of(names: Iterable[str]) -> frozenset[str]:
    """What stands before a dot in names such as `address.zip`: `address`."""
    return frozenset(name[:place] for name in names for place, letter in enumerate(name) if letter == ".")


def flattened(row: Mapping[Any, Any], names: Collection[str], heads: Collection[str], prefix: str = "") -> dict[str, Any]:
    """A row whose mappings and objects are laid out in it where `names` ask for their parts; these include the `heads` of others.

    A part of what is None is None.
    """
    found: dict[str, Any] = {}
    for name, value in row.items():
        path = f"{prefix}{name}"
        inner = _opened(value, names, f"{path}.") if path in heads else None
        if inner is not None:
            found |= flattened(inner, names, heads, f"{path}.")
        elif path in heads and value is None:
            found |= {part: None for part in names if part.startswith(f"{path}.") and part not in heads}
        else:
            found[path] = value
    return found


def unfolded(row: Mapping[Any, Any], depth: int = DEPTH, prefix: str = "") -> dict[str, Any]:
    """The same for a row of which nothing is known yet: all is laid out, down to a depth."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        inner = _opened(value) if depth else None
        found |= {f"{prefix}{name}": value} if inner is None else unfolded(inner, depth - 1, f"{prefix}{name}.")
    return found


def part_of(row: Any, path: str) -> Any:
    """What a row holds under a name, or within what it holds under the first part of it; None where it holds nothing."""
    if isinstance(row, Mapping):
        if path in row or "." not in path:
            return row.get(path)
    elif hasattr(row, path):
        return getattr(row, path)
    head, _, rest = path.partition(".")
    return part_of(part_of(row, head), rest) if rest else None


def with_part(row: Any, path: str, value: Any) -> Any:
    """A copy of a row in which another value stands there."""
    head, _, rest = path.partition(".")
    if rest and not (isinstance(row, Mapping) and path in row):
        path, inner = head, part_of(row, head)
        value = None if inner is None else with_part(inner, rest, value)
    if isinstance(row, Mapping):
        return {**row, path: value}
    if hasattr(row, "_replace"):
        return row._replace(**{path: value})
    changed = copy.copy(row)
    object.__setattr__(changed, path, value)  # as frozen ones are made, too
    return changed


def nested(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as it was before it was laid out.

    >>> nested({"age": 61, "address.zip": "10115", "address.city": "Berlin"})
    {'age': 61, 'address': {'zip': '10115', 'city': 'Berlin'}}
    """
    found: dict[str, Any] = {}
    for name, value in row.items():
        *heads, last = name.split(".")
        place = found
        for head in heads:
            place = place.setdefault(head, {})
        place[last] = value
    return found


def _opened(value: Any, known: Collection[str] = (), prefix: str = "") -> Mapping[Any, Any] | None:
    """The parts of a mapping or an object; None for anything else."""
    if isinstance(value, Mapping):
        return value
    return as_mapping(value, known, prefix) if is_record(value) else None

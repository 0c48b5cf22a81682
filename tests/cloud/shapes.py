"""Values against the shapes of botocore's service models: members, types, enums, patterns, lengths and ranges.

botocore's own validator knows no enum and no pattern, and takes no value as it is on the wire. `check_of` turns a shape
into a function once; a value that is right costs it a few look-ups.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import regex

Check = Callable[[Any], list[str]]
"""The faults of a value, each as `member.member: the fault`; a value without faults has none."""

NONE: list[str] = []


class Form:
    """Where a protocol's messages keep the parts of a value; here, of JSON."""

    typed = True

    def __init__(self) -> None:
        self._checks: dict[tuple[Any, ...], Check] = {}

    def name(self, name: str, member: Any) -> str:
        """The name of a member in a message."""
        return member.serialization.get("name", name)

    def items(self, shape: Any, value: Any) -> Any:
        """The items of a list; None where the value is no list."""
        return value if type(value) is list else None

    def entries(self, shape: Any, value: Any) -> Any:
        """The keys and values of a map; None where the value is no map."""
        return value.items() if type(value) is dict else None

    def check_of(self, shape: Any) -> Check:
        """The check of a shape, made once; one that contains itself finds itself here."""
        traits = shape.serialization
        key = (shape.name, traits.get("flattened"), traits.get("timestampFormat"), traits.get("name"))
        if key not in self._checks:
            make = _COMPOUND.get(shape.type_name)
            self._checks[key] = make(shape, self) if make else _scalar(shape, self.typed)
        return self._checks[key]


class Query(Form):
    """The parameters of a query as a tree: `Tags.member.1.Key=k` is `{"Tags": {"member": {"1": {"Key": "k"}}}}`."""

    typed = False

    def name(self, name: str, member: Any) -> str:
        """The name of a member; a flattened list has that of its items."""
        if member.type_name == "list" and member.serialization.get("flattened"):
            return member.member.serialization.get("name", super().name(name, member))
        return super().name(name, member)

    def items(self, shape: Any, value: Any) -> Any:
        """Items are numbered from 1; an empty list is an empty text."""
        if value == "":
            return []
        wrapper = "" if self._flat(shape) else shape.member.serialization.get("name", "member")
        if wrapper:
            value = value.get(wrapper) if type(value) is dict and len(value) == 1 else None
        if type(value) is not dict or set(value) != {str(number) for number in range(1, len(value) + 1)}:
            return None
        return list(value.values())

    def entries(self, shape: Any, value: Any) -> Any:
        """Entries are numbered from 1, each with a key and a value."""
        if not shape.serialization.get("flattened"):
            value = value.get("entry") if type(value) is dict else None
        if type(value) is not dict or not all(type(each) is dict and "key" in each for each in value.values()):
            return None
        return [(each["key"], each.get("value")) for each in value.values()]

    def _flat(self, shape: Any) -> bool:
        return bool(shape.serialization.get("flattened"))


class Ec2(Query):
    """The same of EC2, which writes locationName with a capital, and all lists flattened."""

    def name(self, name: str, member: Any) -> str:
        """The name of a member."""
        traits = member.serialization
        located = traits.get("name", name)
        return traits.get("queryName") or (located[0].upper() + located[1:] if "name" in traits else name)

    def _flat(self, shape: Any) -> bool:
        return True


class Xml(Form):
    """An answer in XML, as `tree` reads it."""

    typed = False

    def items(self, shape: Any, value: Any) -> Any:
        """One item is not told from a value: only the shape knows that it is a list."""
        if not shape.serialization.get("flattened"):
            if value == "":
                return []
            wrapper = shape.member.serialization.get("name", "member")
            if type(value) is not dict or set(value) != {wrapper}:
                return None
            value = value[wrapper]
        return value if type(value) is list else [value]

    def entries(self, shape: Any, value: Any) -> Any:
        """Entries, each with a key and a value."""
        if value == "":
            return []
        if not shape.serialization.get("flattened"):
            value = value.get("entry") if type(value) is dict else None
        listed = value if type(value) is list else [value]
        if not all(type(each) is dict and "key" in each for each in listed):
            return None
        return [(each["key"], each.get("value")) for each in listed]


def tree(element: Any) -> Any:
    """An XML element: its text, or its children by name, as a list where a name comes again."""
    if not len(element):
        return element.text or ""
    children: dict[str, Any] = {}
    for child in element:
        name, value = child.tag, tree(child)
        if name not in children:
            children[name] = value
        elif type(children[name]) is list:
            children[name].append(value)
        else:
            children[name] = [children[name], value]
    return children


def _structure(shape: Any, form: Form) -> Check:
    # The other members are in the path, the query or a header.
    inside = {name: member for name, member in shape.members.items() if "location" not in member.serialization}
    members = {form.name(name, member): member for name, member in inside.items()}
    required = [form.name(name, inside[name]) for name in shape.required_members if name in inside]
    union, documented = getattr(shape, "is_tagged_union", False), not getattr(shape, "is_document_type", False)
    checks: dict[str, Check] = {}

    def check(value: Any) -> list[str]:
        if value == "" and not form.typed:
            value = {}
        if type(value) is not dict:
            return [f": a structure is wanted, not {value!r}"] if documented else NONE
        faults = NONE
        for name, part in value.items():
            known = checks.get(name)
            if known is None:
                if name not in members:
                    faults = [*faults, f"{name}: is no member of {shape.name}"]
                    continue
                known = checks[name] = form.check_of(members[name])
            # JSON's null is a member that is left out.
            if part is not None and (found := known(part)):
                faults = [*faults, *within(name, found)]
        for name in required:
            if value.get(name) is None:
                faults = [*faults, f"{name}: is required by {shape.name}"]
        if union and len(value) != 1:
            faults = [*faults, f": a union has one member, not {len(value)}"]
        return faults

    return check


def _list(shape: Any, form: Form) -> Check:
    at_least, at_most = shape.metadata.get("min", 0), shape.metadata.get("max")

    def check(value: Any) -> list[str]:
        items = form.items(shape, value)
        if items is None:
            return [f": a list is wanted, not {value!r}"]
        faults = _size(len(items), at_least, at_most, "items")
        item = form.check_of(shape.member) if items else None
        for number, each in enumerate(items):
            if found := item(each):
                faults = [*faults, *within(str(number), found)]
        return faults

    return check


def _map(shape: Any, form: Form) -> Check:
    at_least, at_most = shape.metadata.get("min", 0), shape.metadata.get("max")

    def check(value: Any) -> list[str]:
        entries = form.entries(shape, value)
        if entries is None:
            return [f": a map is wanted, not {value!r}"]
        faults = _size(len(entries), at_least, at_most, "entries")
        for key, each in entries:
            if found := [*form.check_of(shape.key)(key), *form.check_of(shape.value)(each)]:
                faults = [*faults, *within(str(key), found)]
        return faults

    return check


_COMPOUND: dict[str, Callable[[Any, Form], Check]] = {"structure": _structure, "list": _list, "map": _map}


def _scalar(shape: Any, typed: bool) -> Check:
    kind, traits = shape.type_name, shape.metadata
    enum = frozenset(traits.get("enum") or ())
    # Some patterns have anchors and some have none; all are meant for the whole text.
    pattern = regex.compile(traits["pattern"]) if "pattern" in traits else None
    at_least, at_most = traits.get("min"), traits.get("max")
    bounded = at_least is not None or at_most is not None
    read = _reader(shape, typed)

    def check(value: Any) -> list[str]:
        try:
            meant = read(value)
        except (ValueError, TypeError):
            return [f": {_article(kind)} is wanted, not {value!r}"]
        if enum and meant not in enum:
            return [f": {meant!r} is not in the enum {shape.name}"]
        if pattern and not pattern.fullmatch(meant):
            return [f": {meant!r} does not match {shape.name}, {traits['pattern']}"]
        if not bounded:
            return NONE
        if kind in ("string", "blob"):
            return _size(len(meant), at_least or 0, at_most, "characters" if kind == "string" else "bytes")
        if at_least is not None and meant < at_least or at_most is not None and meant > at_most:
            return [f": {meant} is out of the range of {shape.name}, {at_least} to {at_most}"]
        return NONE

    return check


def _reader(shape: Any, typed: bool) -> Callable[[Any], Any]:
    """Reads a scalar from a message; ValueError or TypeError where it is none of its type."""
    kind = shape.type_name
    if kind == "string":
        return _text
    if kind == "blob":
        return lambda value: base64.b64decode(_text(value), validate=True)
    if kind == "timestamp":
        iso = not typed or shape.serialization.get("timestampFormat") == "iso8601"
        return (lambda value: datetime.fromisoformat(_text(value))) if iso else _number
    if kind == "boolean":
        return _boolean if typed else lambda value: _BOOLEANS[_text(value)] if value in _BOOLEANS else _no(value)
    whole = kind in ("integer", "long", "byte", "short", "bigInteger")
    if typed:
        return _whole if whole else _number
    return lambda value: int(_text(value)) if whole else float(_text(value))


_BOOLEANS = {"true": True, "false": False}


def _no(value: Any) -> Any:
    raise ValueError(value)


def _text(value: Any) -> str:
    return value if type(value) is str else _no(value)


def _boolean(value: Any) -> bool:
    return value if type(value) is bool else _no(value)


def _whole(value: Any) -> int:
    return value if type(value) is int else _no(value)


def _number(value: Any) -> float:
    return value if type(value) in (int, float) else _no(value)


def _size(size: int, at_least: int, at_most: int | None, unit: str) -> list[str]:
    if size < at_least or at_most is not None and size > at_most:
        return [f": {size} {unit}, but {at_least} to {'any number' if at_most is None else at_most} are allowed"]
    return NONE


def within(name: str, faults: list[str]) -> Iterator[str]:
    """The faults of a member, under its name."""
    for fault in faults:
        yield name + fault if fault.startswith(":") else f"{name}.{fault}"


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"

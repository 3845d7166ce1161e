"""YAML events, folded into plain data, places and problems.

A stack of open collections takes the place of recursion, so that a deep file is a finding and not an overflow.
Aliases are expanded, because a schema knows none; what they add is counted before it is added, so that a file of
twenty lines that stands for a billion values is refused at once. Problems are collected: a reader of a file
wants all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from relup.diagnostics import Diagnostic, Location
from relup.document.piece import DEPTH, MOST, TOO_MANY, Place, Plain, Spot

EXPANSION = 100_000
"""How many values the aliases of a file may add."""
VALUES = 1_000_000
"""How many values a file may hold; a plan of fifty thousand modules holds half as many."""
DIGITS = 400
"""How long a number may be; Python refuses to read one of 4,300 digits."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_CONSTANTS = {w: v for n, v in (("null", None), ("true", True), ("false", False)) for w in (n, n.title(), n.upper())}
_CONSTANTS |= {"": None, "~": None}


class GiveUp(Exception):
    """What follows would cost too much to read; why is among the problems already."""


@dataclass(slots=True)
class _Open:
    """A collection whose end was not reached yet."""

    data: Any
    place: Place
    anchor: str | None
    before: int
    """How many values came before it."""
    height: int = 1
    key: str = ""
    """Of a mapping: the key whose value comes next."""
    wants_key: bool = False
    is_key: bool = False


@dataclass(slots=True)
class _Anchored:
    """What an alias stands for; `data` is not there yet while its own collection is open."""

    size: int = 0
    height: int = 0
    data: Any = None
    place: Place | Spot | None = None


@dataclass(slots=True)
class Builder:
    """Folds events into data, places and problems; a stack of open collections instead of recursion."""

    file: str
    problems: list[Diagnostic] = field(default_factory=list)
    documents: int = 0
    root: Any = None
    place: Place | Spot | None = None
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, _Anchored] = field(default_factory=dict)
    count: int = 0
    expanded: int = 0

    def take(self, event: yaml.Event) -> None:
        """Fold one event; the kinds come in the order of how often they occur."""
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent():
                self._open(event, {}, Place(*_start(event), {}, {}))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()
            case yaml.SequenceStartEvent():
                self._open(event, [], Place(*_start(event), []))
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    self._problem("several_documents", "a second document starts here; a file holds one", event)
                    raise GiveUp
            case _:
                pass

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        place = _start(event)
        if self.stack and self.stack[-1].wants_key:
            self._key(event, place)
            return
        data = self._resolved(event)
        self._counted(event)
        if event.anchor:
            self.anchors[event.anchor] = _Anchored(1, 0, data, place)
        self._add(data, place, 0)

    def _resolved(self, event: yaml.ScalarEvent) -> Any:
        text = event.value
        if event.tag is not None:
            if event.tag != "tag:yaml.org,2002:str":
                self._tag(event)
            return text
        if event.style:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if (text[:1].isdecimal() or text[:1] == "-") and _NUMBER.fullmatch(text):
            if len(text) > DIGITS or float(text) in (float("inf"), float("-inf")):
                self._problem(
                    "number_too_large", f"the number {text[:20]}… is too large; quote it if it is text", event
                )
            return Plain(text)
        return text

    def _key(self, event: yaml.ScalarEvent, place: Spot) -> None:
        top, text = self.stack[-1], event.value
        if event.tag is None and not event.style:
            if text == "<<":
                self._problem("merge_key", "merge keys are not read; write the keys out", event)
            elif text in _CONSTANTS or _NUMBER.fullmatch(text):
                found = "nothing" if _CONSTANTS.get(text, text) is None else text[:40]
                self._problem("bad_key", f"a key must be text, found {found}; quote it", event)
        elif event.tag is not None:
            self._tag(event)
        if event.anchor:
            self.anchors[event.anchor] = _Anchored(1, 0, text, place)
        keys: Any = top.place.keys
        if text in keys:
            self._problem(
                "duplicate_key", f"the key {text[:60]!r} is written twice, first in line {keys[text][0]}", event
            )
        keys.setdefault(text, place)
        self._name(text)

    def _name(self, key: str) -> None:
        self.stack[-1].key, self.stack[-1].wants_key = key, False

    def _open(self, event: Any, data: Any, place: Place) -> None:
        is_key = bool(self.stack) and self.stack[-1].wants_key
        if is_key:
            self._problem("bad_key", "a key must be text, found a collection", event)
        if event.tag is not None:
            self._tag(event)
        self._bound_depth(event, 1)
        self._counted(event)
        if event.anchor:
            self.anchors[event.anchor] = _Anchored()
        self.stack.append(_Open(data, place, event.anchor, self.count - 1, wants_key=type(data) is dict, is_key=is_key))

    def _close(self) -> None:
        done = self.stack.pop()
        if done.anchor:
            self.anchors[done.anchor] = _Anchored(self.count - done.before, done.height, done.data, done.place)
        if done.is_key:
            self._name("?")
        else:
            self._add(done.data, done.place, done.height)

    def _alias(self, event: yaml.AliasEvent) -> None:
        found = self.anchors.get(event.anchor or "")
        if self.stack and self.stack[-1].wants_key:
            self._problem("bad_key", f"a key must be text, found the alias *{event.anchor}; write it out", event)
            self._name("?")
            return
        if found is None or found.place is None:
            code, why = ("recursive_alias", "contains itself") if found else ("undefined_alias", "was not defined")
            self._problem(code, f"the alias *{event.anchor} {why}", event)
            self._add(None, _start(event), 0)
            return
        self._bound_depth(event, found.height)
        self.count += found.size
        self.expanded += found.size
        if self.expanded > EXPANSION:
            self._problem("alias_bomb", f"the aliases of this file expand to more than {EXPANSION:,} values", event)
            raise GiveUp
        self._add(found.data, found.place, found.height)

    def _add(self, data: Any, place: Place | Spot, height: int) -> None:
        if not self.stack:
            self.root, self.place = data, place
            return
        top = self.stack[-1]
        if height >= top.height:
            top.height = height + 1
        parts: Any = top.place.parts
        if type(top.data) is list:
            top.data.append(data)
            parts.append(place)
        else:
            top.data[top.key] = data
            parts[top.key] = place
            top.wants_key = True

    def _bound_depth(self, event: yaml.Event, height: int) -> None:
        if len(self.stack) + height > DEPTH:
            self._problem("too_deep", f"collections are nested more than {DEPTH} deep", event)
            raise GiveUp

    def _counted(self, event: Any) -> None:
        self.count += 1
        if self.count > VALUES:
            self._problem("too_many_values", f"the file holds more than {VALUES:,} values", event)
            raise GiveUp

    def _tag(self, event: Any) -> None:
        self._problem("custom_tag", f"tags are not read: {event.tag[:60]}", event)

    def _problem(self, code: str, message: str, event: Any) -> None:
        place = Location(self.file, *_start(event))
        self.problems.append(Diagnostic(code, message, place))
        if len(self.problems) == MOST:
            self.problems.append(Diagnostic("too_many_problems", TOO_MANY, place))
            raise GiveUp


def _start(event: Any) -> Spot:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1

r"""Versions of an appup's entries: patterns that match more or less than meant, and entries that are never used.

OTP's rule is that the first match of a pattern must be the whole version, and that the first entry that fits is used.
Patterns need no anchors for that, and look as if they matched what they do not: `1\.0|1\.0\.1` never takes 1.0.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from relup.diagnostics import Diagnostic
from relup.model.appup import Appup, Entry, VersionPattern
from relup.model.instructions import Direction
from relup.planner.lint.table import finding

_TOKEN = re.compile(r"\\(?P<escaped>.)|\[(?P<set>\^?\]?[^]]*)\]|(?P<times>[*+?]|\{[0-9,]+\})|(?P<other>.)", re.DOTALL)
_LITERAL = re.compile(r"[A-Za-z0-9_ :~-]")
_WORDS = {"up": "from", "down": "to"}


def check_versions(appup: Appup) -> Iterator[Diagnostic]:
    """Find what is wrong with the versions of both lists."""
    for direction, entries in (("up", appup.up), ("down", appup.down)):
        usable = [e for e in entries if e.version.fault() is None]
        for entry in usable:
            if entry.version.regex:
                yield from _loose(entry)
                yield from _dead(entry)
            elif entry.version.text == appup.vsn:
                message = f"this entry leads {_WORDS[direction]} {appup.vsn}, the version of the appup itself"
                yield finding("own_version", message, entry.location, "leave it out, or mend its version")
        yield from _shadowed(usable)
    yield from _one_way("up", appup.up, appup.down, appup)
    yield from _one_way("down", appup.down, appup.up, appup)


# ── patterns ───────────────────────────────────────────────────────────────────────────────────────────


def _loose(entry: Entry) -> Iterator[Diagnostic]:
    """Find dots between what is meant to be digits; `.*`, `.+`, `.{2}` are meant to be anything."""
    text = entry.version.text
    tokens = list(_TOKEN.finditer(text))
    loose = [
        found.start()
        for found, after in zip(tokens, [*tokens[1:], None], strict=True)
        if found["other"] == "." and not (after and after["times"])
    ]
    if loose:
        mended = "".join(f"\\{c}" if n in loose else c for n, c in enumerate(text))
        other = next((v for v in _varied(text, loose) if entry.version.matches(v)), None)
        message = f"the pattern {text} has a dot that matches any character" + (
            f": it matches {other}" if other else ""
        )
        yield finding("loose_pattern", message, entry.location, f"write {mended}")


def _varied(text: str, loose: Sequence[int]) -> Iterator[str]:
    """Yield versions that the pattern should not match, by another character in place of its first dot."""
    dots = {n: "x" if n == loose[0] else "\\." for n in loose}
    sample = _sample("".join(dots.get(n, c) for n, c in enumerate(text)))
    if sample is not None:
        yield sample


def _dead(entry: Entry) -> Iterator[Diagnostic]:
    """Find alternatives whose versions are cut short by one before them."""
    alternatives = _alternatives(entry.version.text)
    for alternative in alternatives if len(alternatives) > 1 else ():
        sample = _sample(alternative)
        if sample and VersionPattern(alternative, regex=True).matches(sample) and not entry.version.matches(sample):
            message = (
                f"the alternative {alternative} is never taken: in {sample} another one matches first, a part of it"
            )
            yield finding("dead_alternative", message, entry.location, "write the longer alternative first")


def _alternatives(text: str) -> list[str]:
    """Return the alternatives of a pattern without groups, else the whole."""
    tokens = list(_TOKEN.finditer(text))
    if any(t["other"] in ("(", ")") for t in tokens if t["other"]):
        return [text]
    bars = [t.start() for t in tokens if t["other"] == "|"]
    starts, ends = [0, *(b + 1 for b in bars)], [*bars, len(text)]
    return [text[a:b] for a, b in zip(starts, ends, strict=True)]


def _sample(text: str) -> str | None:
    """Return a version that looks like a pattern of literals and sets, None for what is more than that."""
    made = ""
    for token in _TOKEN.finditer(text):
        if token["escaped"]:
            made += "0" if token["escaped"] == "d" else token["escaped"]
            if token["escaped"].isalnum() and token["escaped"] != "d":
                return None
        elif token["set"]:
            if token["set"][0] in "^[\\]":
                return None
            made += token["set"][0]
        elif token["times"]:
            if token["times"] not in ("+", "*", "?"):
                return None
        elif _LITERAL.fullmatch(token["other"]):
            made += token["other"]
        elif token["other"] not in "^$":
            return None
    return made


# ── entries ────────────────────────────────────────────────────────────────────────────────────────────


def _shadowed(entries: Sequence[Entry]) -> Iterator[Diagnostic]:
    """Find entries that say a version that an earlier one says or matches; patterns only when they are the same."""
    literal: dict[str, Entry] = {}
    patterns: dict[str, Entry] = {}
    for entry in entries:
        text, mine = entry.version.text, patterns if entry.version.regex else literal
        first = mine.get(text)
        if first is None and not entry.version.regex:
            first = next((p for p in patterns.values() if p.version.matches(text)), None)
        if first is not None:
            line = f" in line {first.location.line}" if first.location else ""
            message = f"this entry for {text} is never used: the one{line}, for {first.version.text}, comes first"
            yield finding(
                "shadowed_entry", message, entry.location, "join the two, or write the more special one first"
            )
        mine.setdefault(text, entry)


def _one_way(
    direction: Direction, entries: Sequence[Entry], others: Sequence[Entry], appup: Appup
) -> Iterator[Diagnostic]:
    """Find versions that no entry of the other list says or matches; one that is empty is told once."""
    other = "down" if direction == "up" else "up"
    alone = [e for e in entries if not _answered(e, others)]
    if alone and not others:
        listed = ", ".join(e.version.text for e in alone)
        message = f"the {other} list is empty, and the {direction} list has {listed}"
        yield finding("one_way_entry", message, appup.location, _remedy(other))
        return
    for entry in alone:
        message = f"version {entry.version.text} is in the {direction} list and not in the {other} list"
        yield finding("one_way_entry", message, entry.location, _remedy(other))


def _remedy(other: str) -> str:
    return f"write an entry for it in `{other}`; `instructions: inverse` may do"


def _answered(entry: Entry, others: Sequence[Entry]) -> bool:
    """Say whether the other list has the version; a pattern also when a version of its kind stands there."""
    if any(o.version == entry.version or o.version.fault() for o in others) or entry.version.fault():
        return True
    if entry.version.regex and any(entry.version.matches(o.version.text) for o in others if not o.version.regex):
        return True
    sample = _sample(entry.version.text) if entry.version.regex else entry.version.text
    if entry.version.regex and (sample is None or not entry.version.matches(sample)):
        return any(o.version.regex for o in others)
    return sample is not None and any(o.version.matches(sample) for o in others)

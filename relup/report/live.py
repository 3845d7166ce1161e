"""What live states said of the next release, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from relup.model.draft import LiveDraft


def live_lines(seen: LiveDraft) -> Iterator[str]:
    """Yield what was found of one server class; a drafted `code_change` as it would stand in it."""
    name = f"{seen.live.module}:{seen.live.server}"
    if not seen.findings:
        yield f"{name}: {seen.live.looked} of {seen.live.processes} live state(s) were looked at: they fit"
    yield from (f"{'  ' if n else f'{name}: '}{finding}" for n, finding in enumerate(seen.findings))
    if seen.source:
        yield from ("", seen.source, "")

"""What live states said of the next release, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from relup.model.draft import LiveDraft


def live_lines(seen: LiveDraft) -> Iterator[str]:
    """Yield what was found of one server class; a drafted `code_change` as it would stand in it."""
    name, fit = f"{seen.live.module}:{seen.live.server}", seen.live.looked and not seen.findings
    own = () if seen.source else seen.todos  # what a code_change that is there leaves out
    lines = [
        *seen.looked,
        *(["they fit, as far as the texts of the two releases tell"] if fit else []),
        *(own or seen.said()),
    ]
    yield from (f"{'  ' if n else f'{name}: '}{line}" for n, line in enumerate(lines))
    if seen.source:
        yield from ("", seen.source, "")

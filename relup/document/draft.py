"""Drafts as files: YAML for a Python release, OTP's language for one of BEAM, with the reasons as comments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relup.document.appup import encode_appup
from relup.document.comments import Comments
from relup.document.writer import write_yaml
from relup.model.appup import Appup, Entry, VersionPattern
from relup.model.draft import Draft, Drafted
from relup.model.release import Release


def draft_text(draft: Draft, release: Release) -> str:
    """Return the appup of a draft, for an application of *release*, as it is written to its file."""
    version = VersionPattern(draft.older)
    lists = {"up": draft.up, "down": draft.down}
    entries = {d: (Entry(version, tuple(i.instruction for i in found)),) for d, found in lists.items()}
    data = encode_appup(Appup(draft.application, draft.newer, entries["up"], entries["down"]), places=False)
    comments = Comments({(): draft.comments, **_said("up", draft.up), **_said("down", draft.down)})
    if release.kind == "python":
        return write_yaml(data, "appup", comments)
    from relup.document.erlang.conversion import write_erlang_appup  # noqa: PLC0415  Python releases need no grammar

    text, _ = write_erlang_appup(data, comments)
    return text


def _said(direction: str, drafted: Sequence[Drafted]) -> dict[tuple[str | int, ...], Sequence[str]]:
    return {(direction, 0, "instructions", n): d.comments for n, d in enumerate(drafted) if d.comments}


def draft_path(draft: Draft, release: Release) -> Path:
    """Return the file in *release* that a draft belongs to: where the release looks for the application's appup."""
    if release.kind == "python":
        return Path(release.given or release.root) / f"{draft.application}.appup.yaml"
    modules = next((a.modules for a in release.applications if a.name == draft.application), ())
    found = (release.code.module(m) for m in modules)
    folder = next((Path(m.path).parent for m in found if m), Path(release.root))
    return folder / f"{draft.application}.appup"

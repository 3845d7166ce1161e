"""`new`: drafts of appups, written where the release looks for them; nothing that exists is written over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from relup.cli.live import unpacked
from relup.cli.output import Output, write_file
from relup.diagnostics import Diagnostic, InvalidInput, Location, Refused, errors
from relup.document import read_release
from relup.document.draft import draft_path, draft_text
from relup.model.draft import Draft
from relup.model.release import Release
from relup.planner import check_extensions, draft


def new(output: Output, paths: tuple[str, str], folder: str | None, libraries: Sequence[str]) -> int:
    """Draft the appups between two releases into the newer one, or into *folder*."""
    older, newer = (read_release(Path(path), libraries, unpacked()) for path in paths)
    output.warn(replace(d, severity="warning") for d in errors(check_extensions(older, newer)))
    drafts = [d for d in draft(older, newer) if folder or not _has_entry(newer, d)]
    files = [_target(d, newer, folder) for d in drafts]
    if drafts and not folder and Path(newer.given).is_file():
        raise Refused([_in_wheel(newer)])
    if existing := list(_existing(files)):
        raise Refused(existing)
    if folder:
        _make(Path(folder))
    texts = [draft_text(d, newer) for d in drafts]
    for file, text in zip(files, texts, strict=True):
        write_file(str(file), text)
    output.result(
        [
            {
                "application": d.application,
                "from": d.older,
                "to": d.newer,
                "file": str(f),
                "todos": d.todos(),
                "text": t,
            }
            for d, f, t in zip(drafts, files, texts, strict=True)
        ],
        [*(_line(d, f) for d, f in zip(drafts, files, strict=True)), *_last(drafts, older, newer)],
    )
    return 0


def _in_wheel(newer: Release) -> Diagnostic:
    message = "a wheel has its appup inside, and nothing is written into one"
    hint = "write the draft elsewhere with -o DIR, put it into the package, and build the wheel again"
    return Diagnostic("not_written", message, Location(newer.given, 1, 1), hint=hint)


def _has_entry(release: Release, found: Draft) -> bool:
    """Say whether the release's own appup says already how to come from the older version."""
    appup = next((a.appup for a in release.applications if a.name == found.application), None)
    return appup is not None and appup.entry("up", found.older) is not None


def _target(found: Draft, release: Release, folder: str | None) -> Path:
    path = draft_path(found, release)
    return Path(folder) / path.name if folder else path


def _existing(files: Sequence[Path]) -> Iterator[Diagnostic]:
    for file in files:
        if file.exists():
            hint = "write the draft elsewhere with -o DIR, and take over what is missing"
            yield Diagnostic("appup_exists", "there is an appup already", Location(str(file), 1, 1), hint=hint)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput([Diagnostic("not_written", f"{folder}: {error.strerror}")]) from error


def _line(found: Draft, file: Path) -> str:
    todos = f", {found.todos()} TODO(s) to answer" if found.todos() else ""
    return f"{found.application} {found.older} → {found.newer}: {len(found.up)} instruction(s){todos}: {file}"


def _last(drafts: Sequence[Draft], older: Release, newer: Release) -> Iterator[str]:
    if older.vsn == newer.vsn:
        yield f"nothing to draft: {older} is both"
    elif not drafts:
        yield f"nothing to draft: every application that differs between {older} and {newer} has its appup"
    elif any(d.todos() for d in drafts):
        yield "relup check refuses a TODO until it is answered: change what it is about, and delete the comment"

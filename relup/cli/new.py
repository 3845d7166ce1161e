"""`new`: drafts of appups, written where the release looks for them; nothing that exists is written over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from relup.cli.live import unpacked
from relup.cli.output import Output, write_file
from relup.diagnostics import Diagnostic, InvalidInput, Location, Refused, errors
from relup.document import read_release
from relup.document.draft import draft_path, draft_text
from relup.model.draft import Draft
from relup.model.release import Release
from relup.model.shapes import LiveStates
from relup.planner import check_extensions, draft
from relup.report.live import live_lines


def new(output: Output, paths: Sequence[str], node: str | None, folder: str | None, libraries: Sequence[str]) -> int:
    """Draft the appups between two releases into the newer one, or into *folder*.

    With a *node* the older one is what it runs, and drafts of `code_change` come from its live states.
    """
    if node == "":
        raise click.UsageError("--from-node: which node? `relup status` shows those that run here")
    if len(paths) != (1 if node else 2):
        raise click.UsageError(_wanted(node, len(paths)))
    if absent := [path for path in paths if not Path(path).exists()]:
        raise InvalidInput([Diagnostic("no_such_file", f"there is no release {path}") for path in absent])
    *given, newer = (read_release(Path(path), libraries, unpacked()) for path in paths)
    older, live = _looked_at(node, newer) if node else (given[0], ())
    output.warn(replace(d, severity="warning") for d in errors(check_extensions(older, newer)))
    found = draft(older, newer, live)
    drafts = [d for d in found if folder or not _has_entry(newer, d)]
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
    written = {d.application: (str(f), t) for d, f, t in zip(drafts, files, texts, strict=True)}
    output.result(
        [_to_data(d, written.get(d.application)) for d in found if d.live or d in drafts],
        [
            *(_line(d, f) for d, f in zip(drafts, files, strict=True)),
            *(line for d in found for seen in d.live for line in live_lines(seen)),
            *_last(drafts, older, newer),
        ],
    )
    return 0


def _looked_at(node: str, newer: Release) -> tuple[Release, Sequence[LiveStates]]:
    from relup.cli.from_node import looked_at

    return looked_at(node, newer)


def _wanted(node: str | None, given: int) -> str:
    if node and given > 1:
        return f"{node} says which release it runs: give the new one alone"
    return "give the new release" if node else "give two releases, or a new one and --from-node"


def _to_data(found: Draft, written: tuple[str, str] | None) -> dict[str, object]:
    """Return a draft as data; of one that was not written, because there is an entry already, what live states say."""
    file, text = written or (None, None)
    return {
        "application": found.application,
        "from": found.older,
        "to": found.newer,
        "file": file,
        "todos": found.todos() if written else 0,
        "text": text,
        **({"live": [asdict(seen) for seen in found.live]} if found.live else {}),
    }


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
        exists = isinstance(error, FileExistsError)
        reason = "a draft is written into a folder, and this is a file" if exists else error.strerror
        raise InvalidInput([Diagnostic("not_written", f"{folder}: {reason}")]) from error


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

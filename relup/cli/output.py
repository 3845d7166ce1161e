"""Where a command's words go: results to stdout, progress and errors to stderr, or one JSON document to stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from relup.diagnostics import Diagnostic, InvalidInput, RelupError


def echo(text: str, *, err: bool = False) -> None:
    """Print a line. When nobody reads any more, as after `| head`, the command goes on and its exit code is true."""
    try:
        click.echo(text, err=err)
    except OSError as error:
        unwritten(error, err=err)


def unwritten(error: OSError, *, err: bool = False) -> None:
    """Write nothing more there, and say why, unless it is nobody's fault."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, (sys.stderr if err else sys.stdout).fileno())
    os.close(nowhere)
    if not (err or isinstance(error, BrokenPipeError)):
        echo(f"the result could not be written: {error.strerror}", err=True)


class Output:
    """The words of one command."""

    def __init__(self, *, as_json: bool) -> None:
        """Speak JSON on stdout if *as_json*, else text."""
        self.as_json = as_json

    def result(self, data: Any, lines: Iterable[str]) -> None:
        """Give the command's result: *data* as one JSON document, or *lines*."""
        if self.as_json:
            echo(json_text(data))
        else:
            for line in lines:
                echo(line)

    def say(self, lines: Iterable[str]) -> None:
        """Say something on the way to the result."""
        for line in lines:
            echo(line, err=self.as_json)

    def warn(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Say what should be known and stops nothing, beside the result."""
        for diagnostic in diagnostics:
            echo(str(diagnostic), err=True)

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Give a function that shows what is going on: a spinner on a terminal, plain lines otherwise."""
        if not sys.stderr.isatty():
            yield lambda message: echo(message, err=True)
            return
        from rich.console import Console

        console = Console(stderr=True)
        with console.status("…") as spinner:

            def show(message: str) -> None:
                console.print(message, highlight=False, markup=False)
                spinner.update(message)

            yield show

    def error(self, error: RelupError) -> None:
        """Say what went wrong, one line each."""
        from relup.targets.python.wire import error_to_data

        if self.as_json:
            echo(json_text(error_to_data(error)))
        for diagnostic in error.diagnostics:
            echo(str(diagnostic), err=True)


def json_text(data: Any) -> str:
    """Return *data* as a JSON document that people can read."""
    return json.dumps(data, ensure_ascii=False, indent=2)


def write_file(path: str, text: str) -> None:
    """Write *text* to a file and say so. Raises `InvalidInput` when it cannot be written."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput([Diagnostic("not_written", f"{path}: {error.strerror}")]) from error
    echo(f"wrote {path}", err=True)


def finish(as_json: bool, work: Callable[[Output], int]) -> NoReturn:
    """Run a command's work and exit with its code; an error that relup raises on purpose is said, not shown raw."""
    output = Output(as_json=as_json)
    try:
        code = work(output)
    except RelupError as error:
        output.error(error)
        code = error.exit_code
    sys.exit(code)

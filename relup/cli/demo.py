"""`demo`: the tutorial case on this machine, in a real second process, narrated by the commands a person would type.

A counter prints 0, 1, 2, … Release 2 counts by 2 and adds 1000 on the way; release 3 cannot take the state over;
and back to release 1. The demo checks what it claims, and fails when the numbers are others.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue

import click

from relup.cli.output import Output
from relup.diagnostics import Diagnostic, Refused, RolledBack

PATIENCE = 10.0
"""Seconds to wait for the node to print the next number."""


def demo(output: Output) -> int:
    """Run the whole tutorial; return 0 when every number was the one it had to be."""
    releases = examples() / "anemone"
    with tempfile.TemporaryDirectory(prefix="relup-demo-") as home:
        environ = {**os.environ, "RELUP_HOME": home, "PYTHONUNBUFFERED": "1"}
        story = Story(output, environ)
        with story.node("start", str(releases / "1"), "--name", "anemone") as counter:
            report = _tell(story, counter, releases)
    output.result(report, ["", "That is all: one process, up, not up, and down, and not one number lost."])
    return 0


def _tell(story: Story, counter: Counter, releases: Path) -> dict[str, object]:
    """Go through the tutorial, and return what was seen."""
    seen: dict[str, object] = {
        "pid": counter.pid,
        "started": counter.expect("counts by 1", lambda a, b: b == a + 1, 12),
    }

    story.say("Release 2 counts by 2, and its code_change adds 1000. The process is not stopped:")
    story.run("apply", "anemone", str(releases / "2"), "--yes")
    seen["upgraded"] = counter.expect_jump("+ 1 + 1000, then by 2", 1001, 2)

    story.say("Release 3 is bad: its code_change raises. A copy of the node shows it before anything is touched:")
    story.run("apply", "anemone", str(releases / "3"), "--yes", exit_code=Refused.exit_code)
    story.say("Without that rehearsal it fails in the window. Everything must stay as it is:")
    story.run("apply", "anemone", str(releases / "3"), "--yes", "--no-rehearse", exit_code=RolledBack.exit_code)
    seen["rolled_back"] = counter.expect("goes on by 2, nothing lost", lambda a, b: b == a + 2, 8)

    story.say("And down again: release 2's code_change takes the 1000 back.")
    story.run("downgrade", "anemone", "1", "--yes")
    seen["downgraded"] = counter.expect_jump("+ 2 - 1000, then by 1", -998, 1)

    story.run("history", "anemone")
    story.run("stop", "anemone")
    return seen


class Story:
    """The commands that are run, and the words between them."""

    def __init__(self, output: Output, environ: dict[str, str]) -> None:
        """Tell it through *output*; nodes live in the home that *environ* names."""
        self.output = output
        self.environ = environ

    def say(self, words: str) -> None:
        """Say what comes next."""
        self.output.say(["", words])

    def run(self, *arguments: str, exit_code: int = 0) -> None:
        """Run a relup command as a person would, and show what it prints. Raises `Refused` for another exit code."""
        self.output.say(["", _prompt(arguments)])
        done = subprocess.run(
            _command(arguments),
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.output.say(f"    {line}" for line in done.stdout.splitlines())
        self.output.say([f"    (exit code {done.returncode})"])
        if done.returncode != exit_code:
            raise _broken(f"`{_prompt(arguments)}` ended with {done.returncode} instead of {exit_code}")

    @contextmanager
    def node(self, *arguments: str) -> Iterator[Counter]:
        """Run a node in a second process for the length of the block."""
        self.output.say([f"{_prompt(arguments)} &"])
        process = subprocess.Popen(
            _command(arguments), env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            yield Counter(process, self.output)
        finally:
            process.terminate()
            process.wait()
            if process.stdout:
                process.stdout.close()


class Counter:
    """The numbers that the node prints."""

    def __init__(self, process: subprocess.Popen[str], output: Output) -> None:
        """Read what *process* prints, in a thread, so that it never waits for its reader."""
        self.pid = process.pid
        self._process = process
        self._output = output
        self._numbers: Queue[int] = Queue()
        self._last: int | None = None
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.match(r"count: (-?\d+)", line):
                self._numbers.put(int(found[1]))

    def _next(self) -> int:
        try:
            return self._numbers.get(timeout=PATIENCE)
        except Empty:
            raise _broken(f"the node printed no number within {PATIENCE:g} s") from None

    def expect(self, claim: str, follows: Callable[[int, int], bool], count: int) -> list[int]:
        """Read on until *count* numbers have been seen, each of which follows the one before."""
        numbers = [self._next() if self._last is None else self._last]
        while len(numbers) < count or not self._numbers.empty():
            numbers.append(self._next())
            if not follows(numbers[-2], numbers[-1]):
                raise _broken(f"{numbers[-2]} was followed by {numbers[-1]}: {claim}")
        return self._show(numbers, claim)

    def expect_jump(self, claim: str, jump: int, step: int) -> list[int]:
        """Read on until the numbers have jumped once, and gone on by *step* a few times after it."""
        numbers = [self._next() if self._last is None else self._last]
        before = numbers[0]
        deadline = time.monotonic() + PATIENCE
        while (number := self._next()) - before != jump:
            if time.monotonic() > deadline:
                raise _broken(f"the numbers never jumped by {jump}")
            numbers.append(number)
            before = number
        numbers += [number]
        for _ in range(5):
            numbers.append(self._next())
            if numbers[-1] - numbers[-2] != step:
                raise _broken(f"{numbers[-2]} was followed by {numbers[-1]}: {claim}")
        return self._show(numbers, claim)

    def _show(self, numbers: list[int], claim: str) -> list[int]:
        self._last = numbers[-1]
        shown = " ".join(map(str, numbers[-12:]))
        self._output.say(["", f"    the node prints  … {shown} …   ({claim}; pid {self.pid} still)"])
        return numbers


def examples() -> Path:
    """Return the examples, of the installed package or of the checkout."""
    package = Path(__file__).resolve().parent.parent
    return next(p for p in (package / "examples", package.parent / "examples") if p.is_dir())


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "relup", *arguments]


def _prompt(arguments: Sequence[str]) -> str:
    return click.style(f"$ relup {' '.join(arguments)}", bold=True)


def _broken(message: str) -> Refused:
    return Refused([Diagnostic("demo_failed", message)])

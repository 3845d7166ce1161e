"""What stands among terms and is none: it keeps its place there until everything was read.

A literal may look right and still stand for nothing: a float beyond every float, a character that Unicode does not
have. And a variable may be a template's VSN, or say that the file is a program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from relup.diagnostics import Diagnostic, Location
from relup.document.erlang.terms import Term
from relup.document.piece import Spot

_GET = 'in Erlang, {ok, T} = file:script("FILE"), io:format("~tp.~n", [T]) prints what it builds'


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong there."""

    code: str
    message: str
    spot: Spot
    hint: str | None = None

    def diagnostic(self, file: str) -> Diagnostic:
        """Return it as a finding in *file*."""
        return Diagnostic(self.code, self.message, Location(file, *self.spot), hint=self.hint)


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable: `VSN` in a template, and no term anywhere else."""

    name: str
    spot: Spot


Read: TypeAlias = Term | Flaw | Variable
"""What stands in a text before it is known to be all terms."""


def program(what: str, spot: Spot) -> Flaw:
    """Return the flaw of what only a program can have."""
    message = f"this file is an Erlang script: it builds its term when it is run; {what} stands here"
    return Flaw("erlang_script", message, spot, _GET)

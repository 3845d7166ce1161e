"""What asking a node may end with, other than an answer.

    BridgeError
    ├── Raised       the function that was called raised, exited or threw
    ├── Gone         the process that was asked is not there, or died before it answered
    ├── Unanswered   no answer in time; what was asked may still be done
    └── Lost         the node or the bridge is gone, and with it all that was asked

They are no `RelupError`: what such an end means for an upgrade (nothing was touched, or the node undoes it by itself)
is known only to whoever asked.
"""

from __future__ import annotations

from relup.diagnostics import Diagnostic
from relup.targets.beam.terms import Term


class BridgeError(Exception):
    """Base of what ends a question without an answer; `diagnostic` says it to people."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic
        super().__init__(str(diagnostic))


class Raised(BridgeError):
    """A call ended with an exception: `kind` is error, exit, throw, or erpc when it was not carried out."""

    def __init__(self, what: str, kind: str, reason: Term, in_words: str, stack: str) -> None:
        self.kind = kind
        self.reason = reason
        """What was raised; `(too_large, Bytes)` when it is too large to be looked at."""
        self.in_words = in_words
        """The reason as Erlang prints it, in one line, shortened."""
        self.stack = stack
        """The reason and the stack as Erlang's shell prints them, over several lines; "" when there is no stack."""
        super().__init__(Diagnostic("call_failed", f"{what} failed on the node: {kind}: {in_words}"))


class Gone(BridgeError):
    """The process that was asked has ended; `reason` is Erlang's: noproc, killed, …"""

    def __init__(self, what: str, reason: Term, in_words: str) -> None:
        self.reason = reason
        self.in_words = in_words
        super().__init__(Diagnostic("process_gone", f"{what} is not there to answer: {in_words}"))


class Unanswered(BridgeError):
    """There was no answer in time."""

    def __init__(self, what: str, timeout: float) -> None:
        super().__init__(Diagnostic("no_answer", f"{what} did not answer within {timeout:g} s"))


class Lost(BridgeError):
    """The node went away, or the bridge to it."""

"""What callbacks return to tell the loop what comes next.

Every other value returned by `init`, `handle_cast` and `handle_info` is the state. `handle_call` must say what becomes
of its caller, so it returns one of these and anything else is `bad_return_value`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Reply(NamedTuple):
    """Answer the caller and go on with `state` (OTP's `{reply, Value, State}`).

    The three are NamedTuples because one is made for every call, and a frozen dataclass takes twice as long.
    """

    value: Any
    state: Any


class NoReply(NamedTuple):
    """Go on with `state`; the caller is answered later, by `self.reply(caller, value)` (OTP's `{noreply, State}`)."""

    state: Any


class _Nothing:
    __slots__ = ()

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = _Nothing()


class Stop(NamedTuple):
    """Call `terminate` and exit with `reason`; a caller gets `reply` first, when there is one (OTP's `{stop, …}`).

    From `init`, `Stop(reason)` means that the start fails with that reason.
    """

    reason: Any
    state: Any = NOTHING
    reply: Any = NOTHING


class Ignore(NamedTuple):
    """From `init`: there is nothing to run, and that is no failure (OTP's `ignore`). The class itself will do."""

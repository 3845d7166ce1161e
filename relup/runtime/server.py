"""GenServer: a process that keeps a state and handles one message after another."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any

from relup.runtime.behaviour import Behaviour
from relup.runtime.messages import Caller
from relup.runtime.replies import NoReply, Reply, Stop

logger = logging.getLogger("relup.runtime")


class GenServer(Behaviour):
    """Subclass it and override what is needed (OTP's gen_server); every callback may be `def` or `async def`.

    The state lives in the process, not on `self`: `init` makes it, each callback gets it and returns the next one,
    `code_change` turns the old version's into this one's. What raises ends the process, through `terminate`.
    """

    def init(self, args: Any) -> Any:
        """Return the first state, or `Stop(reason)`, or `Ignore`."""
        return None

    def handle_call(self, request: Any, caller: Caller, state: Any) -> Reply | NoReply | Stop | Awaitable[Any]:
        """Handle a request: `Reply(value, state)`, `NoReply(state)` and `self.reply` later, or `Stop`."""
        raise NotImplementedError(f"{type(self).__qualname__} has no handle_call for {request!r:.200}")

    def handle_cast(self, message: Any, state: Any) -> Any:
        """Handle a message that nobody waits for; return the next state, or `Stop(reason, state)`."""
        raise NotImplementedError(f"{type(self).__qualname__} has no handle_cast for {message!r:.200}")

    def handle_info(self, message: Any, state: Any) -> Any:
        """Handle any other message; return the next state, or `Stop(reason, state)`. By default it is logged."""
        logger.warning("%s got an unexpected message: %.200r", self._process.label, message)
        return state

    def terminate(self, reason: Any, state: Any) -> Any:
        """Clean up: called with the last state for every end but a kill."""

    def code_change(self, old_vsn: Any, state: Any, extra: Any) -> Any:
        """Return the state as this version needs it; *old_vsn* is `Down(vsn)` on the way down.

        *state* must not be changed in place: it is what a rollback puts back.
        """
        return state

    def _start(self, args: Any) -> Any:
        return self.init(args)

    def _change(self, old_vsn: Any, state: Any, extra: Any) -> Any:
        return self.code_change(old_vsn, state, extra)

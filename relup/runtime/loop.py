"""The life of a process: `init`, message after message, the end.

What makes it upgradable is the shape of the loop. The class is looked up anew for every message, in the cell that the
code server writes, so the message after a swap runs new code, and the message after its undo runs old code again,
without anybody telling the process. While it rests it keeps no instance, no message and no result: a variable that
outlives its use would keep the old version of a module alive for as long as the server is idle.

Callbacks may raise anything: that ends the process, is logged once, and reaches whoever is linked, watches or waits.
"""

from __future__ import annotations

import logging
from asyncio import CancelledError, Future
from collections.abc import Coroutine, Generator
from inspect import isawaitable
from types import CoroutineType, coroutine
from typing import Any, Final

from relup.runtime.behaviour import bind
from relup.runtime.context import exempt_variable, process_variable
from relup.runtime.errors import BadReturnValue, Ignored, ServerDied, is_shutdown
from relup.runtime.messages import Caller, Cast, Info, System, Wait
from relup.runtime.process import Killed, Leave, Process
from relup.runtime.replies import NOTHING, Ignore, NoReply, Reply, Stop

BUDGET: Final = 64
"""Messages that a process handles before it lets others run."""

logger = logging.getLogger("relup.runtime")
_signals = frozenset((Stop, Reply, NoReply))


@coroutine
def _pause() -> Generator[None, None, None]:
    yield


def conceive(process: Process, args: Any) -> Any:
    """Call `init` in the context of its process: a coroutine when it is `async def`, else the first state.

    A plain `init` cannot wait, so it needs no task; that halves what a start costs.
    """
    process_variable.set(process)
    result = bind(process.reference.cls, process)._start(args)
    return result if result.__class__ is CoroutineType else _first_state(process, result)


async def live(  # noqa: PLR0915  # one frame, see below
    process: Process, birth: Coroutine[Any, Any, Any] | None, started: Wait | None
) -> None:
    """Live: the rest of `init`, message after message, the end. What callbacks raise ends the process, not this.

    All of it is one coroutine because its frame is what an idle server weighs; its variables are emptied before a rest.
    """
    task = process.task
    if task is not None:
        task.remove_done_callback(process.stillborn)
    if birth is not None and started is not None and not await _born(process, birth, started):
        return
    del birth, started, task
    if exempt_variable.get():
        exempt_variable.set(False)
    try:
        reference = process.reference
        budget = BUDGET
        instance: Any = None
        message: Any = None
        result: Any = None
        while True:
            process.current = None
            if process.holds:
                message = _system_message(process)
            elif process.mailbox:
                message = process.mailbox.popleft()
            if message is None:
                instance = result = None
                await _rest(process)
                budget = BUDGET
                continue
            process.current = message
            if instance.__class__ is not reference.cls:
                instance = bind(reference.cls, process)
            kind = message.__class__
            if kind is Caller:
                result = instance.handle_call(message.request, message, process.state)
                if result.__class__ is not Reply and isawaitable(result):
                    result = await result
                if result.__class__ is Reply:
                    process.state = result.state
                    message.answer(result.value)
                else:
                    _settle(process, message, result)
                message.request = None
            elif kind is System:
                await _obey(process, message)
            else:
                if kind is Cast:
                    result = instance.handle_cast(message.content, process.state)
                else:
                    result = instance.handle_info(message.content, process.state)
                if result.__class__ is CoroutineType:
                    result = await result
                if result.__class__ in _signals:
                    result = _signal(process, result)
                process.state = result
            message = None
            budget -= 1
            if not budget:
                process.current = None
                await _pause()
                budget = BUDGET
    except GeneratorExit:
        raise
    except BaseException as error:
        process.bury(await _reason(process, error))
        if not isinstance(error, Exception | CancelledError):
            raise


async def _born(process: Process, birth: Coroutine[Any, Any, Any], started: Wait) -> bool:
    """Wait for an `async def init`; say whether there is a process now."""
    try:
        process.state = _first_state(process, await birth)
    except GeneratorExit:
        raise
    except BaseException as error:
        started.fail(miscarry(process, error))
        if not isinstance(error, Exception | CancelledError):
            raise
        return False
    started.succeed()
    return True


def _first_state(process: Process, result: Any) -> Any:
    if result is Ignore or isinstance(result, Ignore):
        raise Ignored(f"{process.label}: init returned Ignore")
    if isinstance(result, Stop):
        raise Leave(result.reason)
    if isinstance(result, Reply | NoReply):
        raise BadReturnValue(f"{process.reference.qualname}.init", result, "a state, Stop or Ignore")
    return result


def miscarry(process: Process, error: BaseException) -> Exception:
    """Remove a process whose `init` raised *error*, and return what its start raises."""
    match error:
        case Leave(reason=Exception() as reason):
            raised: Exception = reason
        case Leave(reason=reason):
            raised = ServerDied(reason, process.label)
        case Exception():
            reason = raised = error
        case CancelledError():
            reason, raised = "killed", ServerDied("killed", process.label)
        case _:
            reason, raised = error, ServerDied(error, process.label)
    process.detach()
    process.bury(reason)
    return raised


def _rest(process: Process) -> Future[None]:
    if not process.mailbox:
        process.mailbox = ()
    node = process.node
    waiter = process.waiter = Future(loop=node.loop)
    if node.drain is not None:
        node.drain.poke()
    return waiter


def _system_message(process: Process) -> System | None:
    """Return the first system message while `sys.suspend` alone holds the process; None while an upgrade does."""
    if process.holds > process.asleep or not process.mailbox:
        return None
    for n, message in enumerate(process.mailbox):
        if isinstance(message, System):
            del process.mailbox[n]
            return message
    return None


def _settle(process: Process, caller: Caller, result: Any) -> None:
    """Do what `handle_call` returned instead of a Reply."""
    match result:
        case NoReply(state):
            process.state = state
            if caller.waits:
                process.deferred = process.deferred or set()
                process.deferred.add(caller)
        case Stop(_, _, reply):
            if reply is not NOTHING:
                caller.answer(reply)
            _signal(process, result)
        case Reply(value, state):
            process.state = state
            caller.answer(value)
        case _:
            name = f"{process.reference.qualname}.handle_call"
            raise BadReturnValue(name, result, "Reply, NoReply or Stop")


def _signal(process: Process, result: Any) -> Any:
    """Do what `handle_cast` or `handle_info` returned instead of a state."""
    match result:
        case Stop(reason, state):
            if state is not NOTHING:
                process.state = state
            raise Leave(reason)
        case NoReply(state):
            return state
        case _:
            callback = "handle_cast" if isinstance(process.current, Cast) else "handle_info"
            raise BadReturnValue(f"{process.reference.qualname}.{callback}", result, "a state or Stop")


async def _obey(process: Process, message: System) -> None:
    """Carry out a system message; what it raises goes to its sender and does the process no harm."""
    if message.abandoned:
        return
    value, error = None, None
    try:
        value = message.action(process)
        if isawaitable(value):
            value = await value
    except (Leave, Killed):
        raise
    except Exception as raised:
        error = raised
    if message.future is not None and not message.future.done():
        if error is None:
            message.future.set_result(value)
        else:
            message.future.set_exception(error)


async def _reason(process: Process, error: BaseException) -> Any:
    """Return the exit reason that *error* means, after `terminate` where it is due."""
    match error:
        case Killed():
            return "killed"
        case CancelledError() if process.task is not None and process.task.cancelling():
            return "killed"
        case Leave(reason=reason, ordered=ordered):
            if not ordered and not is_shutdown(reason):
                _log(process, reason)
            return await terminate(process, reason)
        case Exception() | CancelledError():
            _log(process, error)
            return await terminate(process, error)
        case _:
            return error


def _log(process: Process, reason: Any) -> None:
    error = reason if isinstance(reason, BaseException) else None
    logger.error("%s exits while %s: %r", process.label, _doing(process.current), reason, exc_info=error)


async def terminate(process: Process, reason: Any) -> Any:
    """Let a process clean up; return the reason for which it exits."""
    try:
        result = bind(process.reference.cls, process).terminate(reason, process.state)
        if isawaitable(result):
            await result
    except CancelledError:
        return "killed"
    except GeneratorExit:
        raise
    except BaseException as error:
        logger.exception("%s: terminate raised", process.label)
        if isinstance(error, KeyboardInterrupt | SystemExit):
            process.bury(error)
            raise
        return error
    return reason


def _doing(current: object) -> str:
    match current:
        case Caller(request=request):
            return f"handling the call {request!r:.200}"
        case Cast(content=content):
            return f"handling the cast {content!r:.200}"
        case Info(content=content):
            return f"handling the message {content!r:.200}"
        case _:
            return "at a message boundary"

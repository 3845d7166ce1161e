"""Where the running code is: in which node, and in the callback of which process.

There is no global registry: several nodes may live in one program. The node is entered by `async with`, each process
runs in a context of its own made from its node's, and tasks that a callback spawns inherit it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from relup.runtime.code.current import current_code

if TYPE_CHECKING:
    from relup.runtime.node import Node
    from relup.runtime.process import Process
    from relup.runtime.registry import Server

node_variable: ContextVar[Node | None] = ContextVar("relup_node", default=None)
process_variable: ContextVar[Process | None] = ContextVar("relup_process", default=None)
roots_variable: ContextVar[list[Process] | None] = ContextVar("relup_roots", default=None)
"""Where processes without a parent are noted: an application ends all that its `start` began."""
exempt_variable: ContextVar[bool] = ContextVar("relup_births_exempt", default=False)
"""Whether births in this context pass the closed gate: that of the upgrade itself, and what it starts."""
probe_variable: ContextVar[bool] = ContextVar("relup_probe", default=False)
"""Whether the code that runs is a probe of an upgrade: it alone may read what the upgrade holds."""
deleted_variable: ContextVar[dict[tuple[Server, Any], Any] | None] = ContextVar("relup_deleted_children", default=None)
"""Where an upgrade keeps the specs of children that it deletes, so that it can put them back; nobody else does."""


def current_node() -> Node:
    """Return the node whose code is running; raises LookupError outside of one."""
    node = node_variable.get()
    if node is None:
        raise LookupError("there is no current node: not inside `async with Node()` nor in one of its processes")
    return node


def current_process() -> Process | None:
    """Return the process whose callback (or a task spawned by it) is running; None outside of processes."""
    return process_variable.get()


@contextmanager
def inside(node: Node) -> Iterator[None]:
    """Make *node* the current node for a block, where it was not entered by `async with` in this context."""
    token, code_token = node_variable.set(node), current_code.set(node.code)
    try:
        yield
    finally:
        current_code.reset(code_token)
        node_variable.reset(token)

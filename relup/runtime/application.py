"""Application: what is started and stopped as a unit, and OTP's functions upon it, acting on the current node."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from relup.runtime.context import current_node
from relup.runtime.pid import Pid

if TYPE_CHECKING:
    from relup.runtime.node import Node

StartType: TypeAlias = Literal["permanent", "transient", "temporary"]


@dataclass(frozen=True, slots=True)
class ApplicationSpec:
    """What a node knows of an application (OTP's `.app` file)."""

    name: str
    vsn: str
    start: str | None = None
    """`package.module:Class` of its Application; None for a library, which has no process."""
    args: Any = field(default=None, hash=False)
    modules: tuple[str, ...] = ()
    type: StartType = "permanent"
    applications: tuple[str, ...] = ()
    """The applications that must run before it."""


class Application:
    """Subclass it and override `start` (OTP's application behaviour); a new instance serves every start and stop."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def start(self, args: Any) -> Pid | tuple[Pid, Any] | Awaitable[Pid | tuple[Pid, Any]]:
        """Start the top process and return its pid, or the pid and a state for `stop`."""
        raise NotImplementedError(f"{type(self).__qualname__} has no start")

    def stop(self, state: Any) -> Any:
        """Clean up after all its processes are gone."""


def load(application: ApplicationSpec) -> None:
    """Make an application known to the node. Raises ApplicationError `already_loaded`."""
    current_node().applications.load(application)


def unload(application: str) -> None:
    """Forget an application that is not running. Raises ApplicationError `not_loaded` or `running`."""
    current_node().applications.unload(application)


async def start(application: str, type: StartType | None = None) -> None:  # noqa: A002  # OTP's name
    """Start a loaded application; see ApplicationController.start."""
    await current_node().applications.start(application, type)


async def stop(application: str) -> None:
    """Stop an application. Raises ApplicationError `not_started`."""
    await current_node().applications.stop(application)


def which_applications() -> list[ApplicationSpec]:
    """Return the running applications, in the order in which they started."""
    return current_node().applications.which_applications()

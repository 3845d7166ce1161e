"""A small OTP for asyncio programs, made to be upgraded while it runs."""

from relup.runtime.application import Application, ApplicationSpec
from relup.runtime.births import Births
from relup.runtime.children import ChildSpec, SupervisorSpec
from relup.runtime.code import ClassReference, CodeServer, counterpart
from relup.runtime.context import current_node, current_process, inside
from relup.runtime.controller import ApplicationController
from relup.runtime.errors import (
    AlreadyStarted,
    ApplicationError,
    BadReturnValue,
    CallingSelf,
    CallTimeout,
    ChildError,
    FailedToStartChild,
    Ignored,
    InvalidSpec,
    NodeStopped,
    NoProcess,
    ProcessError,
    ServerDied,
)
from relup.runtime.family import ChildInfo
from relup.runtime.messages import Caller, Exited, Monitor, ProcessDown
from relup.runtime.migrate import Down, migrate
from relup.runtime.node import Node
from relup.runtime.pid import Pid
from relup.runtime.process import Process
from relup.runtime.replies import Ignore, NoReply, Reply, Stop
from relup.runtime.server import GenServer
from relup.runtime.supervisor import Supervisor
from relup.runtime.suspension import Stuck
from relup.runtime.timer import Timer

__all__ = [
    "AlreadyStarted",
    "Application",
    "ApplicationController",
    "ApplicationError",
    "ApplicationSpec",
    "BadReturnValue",
    "Births",
    "CallTimeout",
    "Caller",
    "CallingSelf",
    "ChildError",
    "ChildInfo",
    "ChildSpec",
    "ClassReference",
    "CodeServer",
    "Down",
    "Exited",
    "FailedToStartChild",
    "GenServer",
    "Ignore",
    "Ignored",
    "InvalidSpec",
    "Monitor",
    "NoProcess",
    "NoReply",
    "Node",
    "NodeStopped",
    "Pid",
    "Process",
    "ProcessDown",
    "ProcessError",
    "Reply",
    "ServerDied",
    "Stop",
    "Stuck",
    "Supervisor",
    "SupervisorSpec",
    "Timer",
    "counterpart",
    "current_node",
    "current_process",
    "inside",
    "migrate",
]

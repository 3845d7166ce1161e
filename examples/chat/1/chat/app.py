"""The application: a room, the sessions of those in it, and a listener for those who come."""

from typing import Any

from chat.listener import Listener
from chat.room import Room
from relup.runtime import Application, ChildSpec, Pid, Supervisor, SupervisorSpec


class Chat(Application):
    async def start(self, args: Any) -> Pid:
        return await self.node.start_link(Top, args, name="chat_sup")


class Top(Supervisor):
    def init(self, args: Any) -> SupervisorSpec:
        children = [
            ChildSpec("room", Room, name="room"),
            ChildSpec("sessions", Sessions, name="sessions", type="supervisor"),
            ChildSpec("listener", Listener, args, name="listener"),
        ]
        return SupervisorSpec(children, strategy="rest_for_one")


class Sessions(Supervisor):
    def init(self, args: Any) -> SupervisorSpec:
        return SupervisorSpec([])

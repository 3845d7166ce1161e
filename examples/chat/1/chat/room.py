"""Who is here. What one says is sent to all."""

from typing import Any

from relup.runtime import GenServer, Pid


class Room(GenServer):
    def init(self, args: object) -> list[Pid]:
        return []

    def handle_cast(self, message: Any, members: list[Pid]) -> list[Pid]:
        match message:
            case ("join", pid):
                return [*members, pid]
            case ("leave", pid):
                return [m for m in members if m != pid]
            case ("say", name, text):
                for member in members:
                    self.cast(member, ("show", f"{name}: {text}"))
        return members

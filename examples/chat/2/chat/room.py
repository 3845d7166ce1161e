"""Who is here, and how much was said. What one says is sent to all, with its number."""

from typing import Any

from relup.runtime import Down, GenServer


class Room(GenServer):
    def init(self, args: object) -> dict[str, Any]:
        return {"members": [], "said": 0}

    def handle_cast(self, message: Any, room: dict[str, Any]) -> dict[str, Any]:
        match message:
            case ("join", pid):
                return {**room, "members": [*room["members"], pid]}
            case ("leave", pid):
                return {**room, "members": [m for m in room["members"] if m != pid]}
            case ("say", name, text):
                said = room["said"] + 1
                for member in room["members"]:
                    self.cast(member, ("show", said, name, text))
                return {**room, "said": said}
        return room

    def code_change(self, old_vsn: object, state: Any, extra: object) -> Any:
        match old_vsn:
            case Down():
                return state["members"]
            case _:
                return {"members": state, "said": 0}

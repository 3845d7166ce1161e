"""One client: its transport, its name, and how many lines it sent (`/count` tells)."""

from typing import Any

from relup.runtime import Down, GenServer, Stop


class Session(GenServer):
    def init(self, args: Any) -> dict[str, Any]:
        self.cast("room", ("join", self.pid))
        args["transport"].write(b"welcome\n")
        return {"transport": args["transport"], "name": args["name"], "sent": 0}

    def handle_info(self, message: Any, state: dict[str, Any]) -> Any:
        match message:
            case ("line", text) if text.startswith("/nick "):
                return {**state, "name": text.removeprefix("/nick ")}
            case ("line", "/count"):
                state["transport"].write(f"you sent {state['sent']}\n".encode())
            case ("line", text):
                self.cast("room", ("say", state["name"], text))
                return {**state, "sent": state["sent"] + 1}
            case ("closed",):
                return Stop("normal", state)
        return state

    def handle_cast(self, message: Any, state: dict[str, Any]) -> dict[str, Any]:
        match message:
            case ("show", number, name, text):
                state["transport"].write(f"#{number} {name}: {text}\n".encode())
            case ("show", text):  # sent by a room of release 1, and still in the mailbox when this one came
                state["transport"].write(f"{text}\n".encode())
        return state

    def terminate(self, reason: object, state: dict[str, Any]) -> None:
        self.cast("room", ("leave", self.pid))
        state["transport"].close()

    def code_change(self, old_vsn: object, state: dict[str, Any], extra: object) -> dict[str, Any]:
        match old_vsn:
            case Down():
                return {"transport": state["transport"], "name": state["name"]}
            case _:
                return {**state, "sent": 0}

"""One client: its transport, its name."""

from typing import Any

from relup.runtime import GenServer, Stop


class Session(GenServer):
    def init(self, args: Any) -> dict[str, Any]:
        self.cast("room", ("join", self.pid))
        args["transport"].write(b"welcome\n")
        return {"transport": args["transport"], "name": args["name"]}

    def handle_info(self, message: Any, state: dict[str, Any]) -> Any:
        match message:
            case ("line", text) if text.startswith("/nick "):
                return {**state, "name": text.removeprefix("/nick ")}
            case ("line", text):
                self.cast("room", ("say", state["name"], text))
            case ("closed",):
                return Stop("normal", state)
        return state

    def handle_cast(self, message: Any, state: dict[str, Any]) -> dict[str, Any]:
        match message:
            case ("show", text):
                state["transport"].write(f"{text}\n".encode())
        return state

    def terminate(self, reason: object, state: dict[str, Any]) -> None:
        self.cast("room", ("leave", self.pid))
        state["transport"].close()

"""A server that counts by 2; on the way up its count grows by a bonus."""

from relup.runtime import Down, GenServer

__vsn__ = 2

INTERVAL = 0.1


class Counter(GenServer):
    def init(self, args: object) -> int:
        self.send(self.pid, "increment")
        return 0

    def handle_info(self, message: object, count: int) -> int:
        print(f"count: {count}", flush=True)
        self.send_after(INTERVAL, "increment")
        return count + 2

    def code_change(self, old_vsn: object, count: int, extra: dict[str, int]) -> int:
        match old_vsn:
            case Down():
                return count - extra["bonus"]
            case _:
                return count + extra["bonus"]

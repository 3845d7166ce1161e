"""A server that counts by 1."""

from relup.runtime import GenServer

__vsn__ = 1

INTERVAL = 0.1


class Counter(GenServer):
    def init(self, args: object) -> int:
        self.send(self.pid, "increment")
        return 0

    def handle_info(self, message: object, count: int) -> int:
        print(f"count: {count}", flush=True)
        self.send_after(INTERVAL, "increment")
        return count + 1

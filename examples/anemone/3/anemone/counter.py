"""A bad release: its `code_change` raises, so the upgrade to it is rolled back."""

from relup.runtime import GenServer

__vsn__ = 3

INTERVAL = 0.1


class Counter(GenServer):
    def init(self, args: object) -> int:
        self.send(self.pid, "increment")
        return 0

    def handle_info(self, message: object, count: int) -> int:
        print(f"count: {count}", flush=True)
        self.send_after(INTERVAL, "increment")
        return count + 3

    def code_change(self, old_vsn: object, count: int, extra: object) -> int:
        raise ValueError(f"release 3 cannot use the count {count}")

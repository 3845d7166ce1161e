"""The name of a process: a number that is never used twice in the life of a node."""

from __future__ import annotations


class Pid(int):
    """What `start_link` returns; printed as OTP prints it, `<0.12>`.

    An int, and no dataclass, because every message looks its receiver up by pid: hashing and comparing must stay in
    C. It orders by age, can be copied and pickled, and means a process only in the node that made it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<0.{int(self)}>"

    __str__ = __repr__

"""The fully qualified call: how a loop finds the class that is current.

A process that keeps its callback class keeps one version of it for ever. Looking the class up by name at every
message is right but costs two dictionary reads and an attribute chain, and fails where a name is not a path
(`__main__`, classes of functions). So processes share one cell per class name; the swap writes the cell.
"""

from __future__ import annotations


class ClassReference:
    """A name of a class and, in `cls`, the class that name means now.

    One shared cell exists per (module, qualname) as long as somebody holds it; the code server writes `cls` at a
    swap and at its undo. A class that has no path from a module of its own (in `__main__`, in a function) gets a
    private cell that never changes.
    """

    __slots__ = ("__weakref__", "cls", "module", "qualname")

    cls: type
    module: str
    qualname: str

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.module = cls.__module__
        self.qualname = cls.__qualname__

    def __repr__(self) -> str:
        return f"ClassReference({self.module}:{self.qualname})"


def resolve(module: object, qualname: str) -> type | None:
    """Return the class that *qualname* means in *module*, None when there is none."""
    found: object = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) else None

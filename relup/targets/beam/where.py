"""Where a node is, and what is needed to get to it: found by `locate`, used by `connect`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

EPMD_PORT = 4369


@dataclass(frozen=True, slots=True)
class Erts:
    """An Erlang runtime that can be started here: its command, and the whole environment that it needs."""

    command: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Where:
    """A node and the way to it; the cookie is in no text that is made of it."""

    node: str
    cookie: str = field(repr=False)
    erts: Erts
    epmd_port: int | None = EPMD_PORT
    """None when `erl_args` say that the port of the node is found without epmd."""
    erl_args: tuple[str, ...] = ()
    """For the bridge: what TLS distribution needs, for example."""
    release: Path | None = None
    """The folder of the release that the node runs, when it is on this machine and known."""

    @property
    def name(self) -> str:
        """What stands before the @."""
        return self.node.partition("@")[0]

    @property
    def host(self) -> str:
        """What stands behind the @."""
        return self.node.partition("@")[2]

    @property
    def domain(self) -> str:
        """What `net_kernel` calls the two kinds of names, which cannot be mixed; the host tells them apart."""
        return "longnames" if set(".:") & set(self.host) else "shortnames"

"""`new --from-node`: the release that a node runs, and what its live states look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from relup.cli.reach import connect, is_beam
from relup.cli.upgrade import running_release
from relup.diagnostics import Diagnostic, InvalidInput, Refused
from relup.model.release import Release
from relup.model.shapes import LiveStates
from relup.planner.draft.live.names import known_names
from relup.planner.draft.servers import every_server
from relup.planner.planning import check_same
from relup.targets.python.shapes import live_states_from_data

if TYPE_CHECKING:
    from relup.cli.reach import Client


def looked_at(node: str, newer: Release) -> tuple[Release, Sequence[LiveStates]]:
    """Return the release that *node* runs, and the shapes of its live states, when they are to become those of *newer*.

    Raises `InvalidInput` for a node of BEAM, and for another release than the one that runs.
    """
    if is_beam(node):
        raise InvalidInput(
            [Diagnostic("only_python", f"--from-node: only for nodes of Python yet, and {node} is none")]
        )
    with connect(node) as client:
        older = running_release(client.ask("releases"), newer)
        if wrong := [*check_same(older, newer)]:
            raise InvalidInput(wrong)
        if older.vsn == newer.vsn:
            return older, ()
        return older, every_server(older, _shapes(client, node, known_names(older, newer)))


def _shapes(client: Client, node: str, names: Sequence[str]) -> Sequence[LiveStates]:
    try:
        return live_states_from_data(client.ask("shapes", names=names))
    except InvalidInput as error:
        if any(d.code == "bad_request" for d in error.diagnostics):
            message = f"node {node!r} was started with a relup that cannot tell what its states look like"
            hint = "draft without --from-node, or restart the node with this relup"
            raise Refused([Diagnostic("older_node", message, hint=hint)]) from error
        raise

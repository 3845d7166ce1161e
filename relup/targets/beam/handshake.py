"""Why two nodes did not come together, from what the processes that tried it ended with.

`net_kernel` answers `false`, whatever it was; a wrong cookie is told in the log of the *other* node only. But each
step of the handshake has an end of its own (OTP's `dist_util`): the challenge carries the name that the node has in
truth, and a node that does not like the answer to its challenge hangs up exactly then.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from relup.diagnostics import Diagnostic
from relup.targets.beam.terms import Term, text
from relup.targets.beam.where import Where

_ERL_ARGS = "--erl-args '-proto_dist inet_tls -ssl_dist_optfile FILE'"


def own_name(where: Where) -> str:
    """Return how the bridge is to be called: `undefined`, which lets the node choose, at a host of the same kind.

    Erlang makes long names only on a host that knows its domain; here the node's is taken, nobody looks it up.
    """
    if where.domain == "shortnames":
        return "undefined"
    own = socket.gethostname().partition(".")[0] or "relup"
    above = where.host.partition(".")[2]
    return f"undefined@{own}.{'local' if _is_address(where.host) else above or 'local'}"


def why_not(where: Where, reasons: Sequence[Term], in_words: str, accepted: bool) -> Diagnostic:
    """Return why a connection did not come about; *accepted* says whether the node's port accepts any."""
    for reason in reasons:
        if found := _known(where, reason, in_words):
            return found
    if not accepted:
        message = f"node {where.node} is known to its epmd, and its port does not accept connections"
        return Diagnostic("unreachable_node", message, hint="a firewall, or a node that is just ending")
    message = f"no connection with node {where.node} came about: {in_words}"
    return Diagnostic("not_let_in", message, hint=f"for TLS distribution: {_ERL_ARGS}")


def _known(where: Where, reason: Term, in_words: str) -> Diagnostic | None:
    match reason:
        case ("recv_challenge_ack_failed", _):
            message = f"node {where.node} does not accept the cookie"
            hint = "--cookie-file FILE or RELUP_COOKIE say another one"
            return Diagnostic("wrong_cookie", message, hint=hint)
        case ("recv_challenge_failed", "no_node", name):
            return _another(where, name)
        case ("recv_status_failed" | "is_allowed", "not_allowed"):
            message = f"node {where.node} takes only nodes that it was told of (net_kernel:allow/1)"
            return Diagnostic("not_allowed", message)
        case ("check_dflags_failed", _):
            message = f"node {where.node} and the Erlang of the bridge are too far apart to talk with each other"
            return Diagnostic("otp_too_far_apart", message)
        case "setup_timer_timeout":
            message = f"node {where.node} accepts connections and then says nothing"
            return Diagnostic("unreachable_node", message, hint=f"for TLS distribution: {_ERL_ARGS}")
        case ("recv_status_failed", ("error", "closed")):
            message = f"node {where.node} hung up before it asked for the cookie: it may speak TLS"
            return Diagnostic("not_let_in", message, hint=_ERL_ARGS)
        case ("too_old", bytes(release)):
            message = f"the Erlang of the bridge is OTP {release.decode()}, which cannot join a node for a visit only"
            return Diagnostic("otp_too_old", message, hint=f"it is {where.erts.command[0]}; OTP 25 or newer can")
        case ("not_started", _):
            blamed = "what --erl-args name may be missing or not as it should be" if where.erl_args else None
            return Diagnostic("bridge_ended", f"the bridge cannot talk with nodes: {in_words}", hint=blamed)
        case _:
            return None


def _another(where: Where, name: Term) -> Diagnostic:
    """Return the finding for a node of the same name at epmd that calls itself otherwise."""
    try:
        real = text(name)
    except ValueError:
        real = "otherwise"
    return Diagnostic(
        "other_node_name", f"the node that answers for {where.node} is called {real}", hint="use that name"
    )


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False

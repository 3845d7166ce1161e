"""What must be true of a node after every run, whatever struck in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

SEEDS = {"s1": 0, "s2": 1, "s3": 2, "till": 7, "fax": 0, "audit": 0}
SERVERS = {"s1": "stock", "s2": "stock", "s3": "stock", "till": "till", "fax": "fax", "audit": "audit"}
ODD_SEED = 9
"""The seed of processes that were born of a fault."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A node as it is once all is quiet."""

    view: Mapping[str, Any]
    logs: Mapping[str, Any]


def shape(seed: int, vsn: str) -> dict[str, Any]:
    """Return the state of a server of the shop in a release, without what it handled."""
    rows: Any = [seed, {"seed": seed}] if vsn == "1" else {"seed": [seed]}
    return {"seed": seed, "vsn": int(vsn), "rows": rows} | ({"sum": seed} if vsn == "3" else {})


def version(code: Mapping[str, Mapping[str, str | None]], view: Mapping[str, Any]) -> str | None:
    """Return the release whose code all modules run; None when there is none."""
    return next((vsn for vsn, digests in code.items() if digests == view["code"]), None)


def versions(code: Mapping[str, Mapping[str, str | None]], view: Mapping[str, Any]) -> str:
    """Return the release of every module that runs, in words."""
    known = {digest: vsn for vsn, digests in code.items() for digest in digests.values() if digest}
    return ", ".join(f"{module} {known.get(digest, '?')}" for module, digest in view["code"].items() if digest)


def check_version(vsn: str, view: Mapping[str, Any], *, told: bool = False) -> Iterator[str]:
    """Find what is not of release *vsn*: records, names, children, and what calls did outside unless it is *told*."""
    other = "fax" if vsn == "1" else "audit"
    if view["release"] != vsn or view["records"] != ["1", vsn]:
        yield f"code of {vsn} runs, and the records say {view['release']}, {view['records']}"
    names = {"top", "s1", "s2", "s3", "till", other, *(("mail", "box") if vsn != "1" else ())}
    if set(view["names"]) != names:
        yield f"names of {vsn} are {sorted(names)}, not {sorted(view['names'])}"
    applications = ["shop"] if vsn == "1" else ["shop", "mail"]
    if view["applications"] != applications:
        yield f"applications of {vsn} are {applications}, not {view['applications']}"
    children = [("s1", "s1"), ("s2", "s2"), ("s3", "s3"), ("till", "till"), (other, other)]
    if dict(view["children"]) != {child: view["names"].get(name) for child, name in children}:
        yield f"the children of {vsn} are not {view['children']}"
    done = {"ledger": vsn != "1", "mark": vsn == "3"}
    if not told and (wrong := [what for what, there in done.items() if view["notes"].get(what, False) != there]):
        yield f"of {vsn} is not what calls did: {wrong}"


def check_modules(code: Mapping[str, Mapping[str, str | None]], view: Mapping[str, Any]) -> Iterator[str]:
    """Find processes that do not run the current code of their module, or whose state is not of its release."""
    for name, process in view["processes"].items():
        module = process["module"]
        vsn = next(
            (v for v, digests in code.items() if digests[module] and digests[module] == view["code"][module]), None
        )
        if not process["current"]:
            yield f"{name} runs old code of {module}"
        if process["state"] is None or "seed" not in process["state"]:
            continue
        expected = shape(SEEDS.get(name, ODD_SEED), vsn or "?") if vsn else None
        if process["state"] != expected:
            yield f"{name} has the state {process['state']} under {module} {vsn}"


def check_quiet(view: Mapping[str, Any]) -> Iterator[str]:
    """Find what still stands."""
    if held := sorted(n for n, p in view["processes"].items() if p["holds"]):
        yield f"still suspended: {held}"
    if view["births"]:
        yield "nothing can be born"
    if view["owner"]:
        yield f"still held by {view['owner']}"


def check_pids(before: Mapping[str, Any], view: Mapping[str, Any], but: Sequence[str]) -> Iterator[str]:
    """Find processes that are not who they were."""
    for name in ("top", "s1", "s2", "s3", "till"):
        if name not in but and before["names"][name] != view["names"].get(name):
            yield f"{name} is another process than before"


def check_messages(logs: Mapping[str, Any], but: Collection[str]) -> Iterator[str]:
    """Find messages that were lost, came twice, or out of order, and those that met a state of another release."""
    yield from (str(w) for w in logs["wrong"])
    for name in ("s1", "s2", "s3", "till"):
        if name in but:
            continue
        handled = logs["logs"].get(name, [])
        for sender, count in logs["sent"].items():
            numbers = [m[1] for m in handled if m[0] == sender]
            expected = 0 if sender == "caller" and name != "till" else count
            if numbers != list(range(1, expected + 1)):
                gaps = [(a, b) for a, b in pairwise([0, *numbers, expected + 1]) if b != a + 1][:5]
                yield f"{name} handled {len(numbers)} of {expected} messages of {sender}: {gaps}"


def check_history(entry: Mapping[str, Any] | None, vsn: str, exit_code: int | None) -> Iterator[str]:
    """Find what the last word of the history says otherwise than it is."""
    if entry is None:
        return
    outcome, what = entry.get("outcome"), entry["what"]
    runs = entry["release"].rpartition(" ")[2]
    if runs != vsn:
        yield f"the history ends with {what} {outcome}, at {runs}; {vsn} runs"
    if exit_code in (0, 5, 6) and outcome != {0: "done", 5: "rolled_back", 6: "operator_needed"}[exit_code]:
        yield f"the command ended with {exit_code}, the history with {outcome}"


def check_exit(exit_code: int | None, vsn: str | None, base: str = "1", goal: str = "3") -> Iterator[str]:
    """Find an exit code that is not true; a command that was ended from outside has none."""
    said = {0: goal, 4: base, 5: base, 7: base}
    if exit_code in said and vsn != said[exit_code]:
        yield f"the command ended with {exit_code}, and {vsn or 'no one release'} runs"
    if exit_code not in (0, 4, 5, 6, 7, 130, -9, -2, None):
        yield f"the command ended with {exit_code}"

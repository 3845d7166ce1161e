"""OTP's own release handler on a node: what it needs, what it knows, and what it is asked to do (release_handler(3)).

It is asked by expressions, for it is the node's and may be of any version. It answers an installation before it
restarts the node, whether it succeeds or fails; so whether the node goes on is asked after its answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from relup.model.release import Release
from relup.targets.beam.asking import evaluate
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.errors import BridgeError, Raised
from relup.targets.beam.standing import file_of
from relup.targets.beam.terms import characters, text
from relup.targets.beam.where import Where

Begun: TypeAlias = Literal["restarting", "refused", "crashed"]
"""What an installation comes to: the node ends; it goes on as it was; it goes on, of either release."""
_INSTALLING = 600.0
"""Seconds for what may call every process of the node."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A node, as its release handler sees it."""

    life: str
    """What tells it from the same node started again, be it within the same process of the system."""
    statuses: dict[str, str]
    """Of each release: permanent, current, old, unpacked, tmp_current."""
    is_up: bool

    @property
    def runs(self) -> str:
        """The version that runs: the one that is installed, else the permanent one."""
        wanted = ("current", "permanent")
        return next((vsn for status in wanted for vsn, s in self.statuses.items() if s == status), "an unknown version")


async def seen(bridge: Bridge) -> Seen:
    """Ask which releases it knows. Raises `BridgeError` where it does not run."""
    life, releases, is_up = await evaluate(bridge, _SEEN)
    return Seen(text(life), {text(vsn): str(status) for vsn, status in releases}, is_up is True)


async def started(bridge: Bridge, within: float) -> Seen:
    """Wait until the node is up, and ask then. Raises `BridgeError` where it ends before that, or takes longer."""
    await evaluate(bridge, _STARTED, within=within)
    return await seen(bridge)


async def unable(bridge: Bridge, where: Where, base: Release) -> list[str]:
    """Return in words why it cannot restart this node into another release; nothing when it can."""
    found = await evaluate(bridge, _ABLE)
    wrong = [*_unable(where, found)]
    if found[0] and (runs := (await seen(bridge)).runs) != base.vsn:
        wrong.append(f"for it {runs} runs, not {base.vsn}: confirm what runs first")
    return wrong


def _unable(where: Where, found: Any) -> Iterator[str]:
    runs, heart, static, root, folder, start = found
    if not runs:
        yield "it does not run: sasl is not started"
    if not heart:
        yield "the node runs without heart (`-heart`), so nobody would start it again"
    if static is True:
        yield "it is told not to (`static_emulator` of sasl)"
    release = where.release
    if release is None or not (release / "releases" / "start_erl.data").is_file():
        yield "the folder of the node's release is not on this machine"
    elif not _same(text(root), release):
        yield f"its root is {text(root)}, and {release} is the node's"
    elif not _same(text(folder), release / "releases"):
        yield f"it looks for releases in {text(folder)}, and not in {release / 'releases'}"
    if not text(start):
        yield "there is no program that starts a release by the name of its data file (bin/start, or start_prg of sasl)"


def _same(said: str, folder: Path) -> bool:
    try:
        return folder.samefile(said)
    except OSError:
        return False


async def make_known(bridge: Bridge, releases: Path, base: Release, goal: Release) -> str | None:
    """Let it know of *goal*, whose files are in the node's folder *releases*; return in words why it does not take it.

    Nothing that runs is touched.
    """
    places: dict[str, Path | str] = {
        "Rel": releases / goal.vsn / Path(file_of(goal)).name,
        "Base": releases / base.vsn / Path(file_of(base)).name,
        "Dir": releases,
        "Vsn": goal.vsn,
    }
    bindings = {name: characters(value) for name, value in places.items()}
    try:
        answer = await evaluate(bridge, _KNOWN, bindings, within=_INSTALLING)
    except Raised as error:
        return error.in_words
    return None if answer == "ok" else text(answer)


async def install(bridge: Bridge, vsn: str) -> tuple[Begun, str]:
    """Let it install a release; return what came of it, and in words why it failed."""
    try:
        how, why = await evaluate(bridge, _INSTALL, {"Vsn": characters(vsn)}, within=_INSTALLING)
    except Raised as error:
        return "crashed", error.in_words
    except BridgeError:  # it answers, and the node may be gone before the answer is here
        return "restarting", ""
    return how, text(why)


async def read_again(bridge: Bridge, releases: Path, vsn: str) -> None:
    """Let it read `RELEASES` in the folder *releases* again, it keeps nothing else; `init:restart` boots *vsn* then.

    A node without that file is left as it is.
    """
    await evaluate(bridge, _READ_AGAIN, {"Dir": characters(releases), "Vsn": characters(vsn)})


_AGAIN = """
    Again = fun() ->
        supervisor:terminate_child(sasl_sup, release_handler), supervisor:restart_child(sasl_sup, release_handler) end,
"""
_ABLE = """
    Set = fun(Key, Other) -> case application:get_env(sasl, Key) of {ok, Value} -> Value; undefined -> Other() end end,
    Root = code:root_dir(),
    Start = Set(start_prg, fun() -> filename:join([Root, "bin", "start"]) end),
    Folder = Set(releases_dir, fun() -> os:getenv("RELDIR", filename:join(Root, "releases")) end),
    {whereis(release_handler) =/= undefined, whereis(heart) =/= undefined, Set(static_emulator, fun() -> false end),
        Root, Folder, case filelib:is_regular(Start) of true -> Start; false -> "" end}.
"""
_READ_AGAIN = (
    _AGAIN
    + """
    case whereis(release_handler) =/= undefined andalso filelib:is_regular(filename:join(Dir, "RELEASES")) of
        false -> ok;
        true ->
            Again(),
            Of = fun(Name) -> filename:join([Dir, Vsn, Name]) end,
            Sys = case filelib:is_regular(Of("sys.config")) of true -> Of("sys"); false -> false end,
            init:make_permanent(Of("start"), Sys)
    end.
"""
)
_KNOWN = (
    _AGAIN
    + """
    case filelib:is_regular(filename:join(Dir, "RELEASES")) of
        true -> ok;
        false -> ok = release_handler:create_RELEASES(code:root_dir(), Dir, Base, []), Again()
    end,
    Words = fun(Reason) -> unicode:characters_to_binary(io_lib:format("~0tp", [Reason])) end,
    Set = case [S || {_, V, _, S} <- release_handler:which_releases(), V =:= Vsn] of
        [] -> release_handler:set_unpacked(Rel, []);
        [_] -> {ok, Vsn}
    end,
    case Set of
        {ok, _} -> case release_handler:check_install_release(Vsn) of {ok, _, _} -> ok; {error, R} -> Words(R) end;
        {error, R} -> Words(R)
    end.
"""
)
_INSTALL = """
    Words = fun(Reason) -> unicode:characters_to_binary(io_lib:format("~0tp", [Reason])) end,
    GoesOn = fun() -> is_list(catch release_handler:which_releases()) andalso init:get_status() end,
    case catch release_handler:install_release(Vsn) of
        {error, R} -> {case GoesOn() of {started, _} -> refused; _ -> restarting end, Words(R)};
        {'EXIT', R} -> {crashed, Words(R)};
        {ok, _, _} -> {restarting, <<>>};
        {continue_after_restart, _, _} -> {restarting, <<>>}
    end.
"""
"""When it answers the second question, it has told `init` to restart."""
_STARTED = """
    Wait = fun(W) -> case init:get_status() of {started, _} -> ok; _ -> receive after 50 -> W(W) end end end,
    Wait(Wait).
"""
_SEEN = """
    Life = {os:getpid(), erlang:system_info(start_time), whereis(kernel_sup)},
    {lists:flatten(io_lib:format("~0p", [Life])), [{V, S} || {_, V, _, S} <- release_handler:which_releases()],
        element(1, init:get_status()) =:= started}.
"""

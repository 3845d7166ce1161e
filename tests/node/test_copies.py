"""How a copy of a node ends, and what it may do, is told as it is."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from signal import SIGINT
from subprocess import PIPE, Popen
from textwrap import dedent

from relup.executor.rehearsal import WORTH_SPARING
from relup.report.text import outcome_lines
from tests.node.test_rehearsal import OK, Case, apply, goal_of, open_files, release, running, states, wrong
from tests.support import PATIENCE, Commands


def unfit(body: str, says: str) -> Case:
    return Case(body, "not_rehearsable", "not_rehearsable", says)


def fails(body: str, says: str) -> Case:
    return Case(body, "failed", "code_change_failed", says)


ENDS: Mapping[str, Case] = {
    "aborts": fails("os.abort()", "w0.* ends the node: by SIGABRT"),
    "ends with the exit code of a copy that broke": fails("os._exit(99)", "w0.* ends the node: with exit code 99"),
    "ends with that of one without memory": fails("os._exit(98)", "w0.* ends the node: with exit code 98"),
    "returns what is too large to be looked at": unfit(
        "return {**state, 'rows': bytearray(0 if state['number'] else 700 << 20)}",
        "code_change of 'shop.worker': the rehearsal itself.*1024 MB",
    ),
    "closes what it would be told by": unfit(
        "os.closerange(3, 500)\nreturn state", "code_change of 'shop.worker': the copy could not say how it went"
    ),
}

OUTSIDE: Mapping[str, str] = {
    "pidfd_send_signal": "signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0)",
    "signal.pidfd_send_signal": "lib.send_signal(os.pidfd_open(os.getppid()), 0)",
    "syslog.syslog": "syslog.syslog('from the copy')",
    "syslog.openlog": "syslog.openlog('copy', syslog.LOG_NDELAY)",
    "resource.prlimit": "a = os.getppid(), resource.RLIMIT_CORE\nresource.prlimit(*a, resource.prlimit(*a))",
    "resource.setrlimit": "resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE))",
    "os.nice": "os.nice(0)",
    "os.setpriority": "a = os.PRIO_PROCESS, os.getppid()\nos.setpriority(*a, os.getpriority(*a))",
    "sched_setaffinity": "os.sched_setaffinity(os.getppid(), os.sched_getaffinity(os.getppid()))",
    "sched_setparam": "os.sched_setparam(os.getppid(), os.sched_param(0))",
    "sched_setscheduler": "os.sched_setscheduler(os.getppid(), os.SCHED_OTHER, os.sched_param(0))",
    "os.mkfifo": "import posix\nposix.mkfifo(PLACE)",
    "socket.gethostbyaddr": "socket.gethostbyaddr('127.0.0.1')",
    "socket.getnameinfo": "socket.getnameinfo(('127.0.0.1', 9), 0)",
    "socket.sethostname": "socket.sethostname(socket.gethostname())",
    "socket.getaddrinfo": "socket.getaddrinfo('localhost', 9)",
    "socket.gethostbyname": "socket.gethostbyname_ex('localhost')",
    "os.posix_spawn": "os.posix_spawnp('true', ['true'], {})",
    "os.setxattr": "os.setxattr('/', 'user.copy', b'')",
    "readline.write_history_file": "import readline\nreadline.write_history_file(PLACE)",
    "readline.append_history_file": "from readline import append_history_file\nappend_history_file(1, PLACE)",
    "fcntl.flock": "fcntl.flock(os.open('/', os.O_RDONLY), fcntl.LOCK_SH)",
    "fcntl.lockf": "fcntl.lockf(os.open('/etc/passwd', os.O_RDONLY), fcntl.LOCK_SH)",
}
"""Code that does something outside, by what it is called when it is refused."""
BY_NAME = "\nimport fcntl, resource, syslog\nfrom signal import pidfd_send_signal as send_signal\n"
IN_A_THREAD = """
    def remove():
        try: os.unlink(PLACE)
        except OSError: pass
    thread = threading.Thread(target=remove)
    thread.start()
    thread.join()
    return state
"""
DESCRIPTOR = """
    if state["extra"] is None:
        return state
    try: os.write(state["extra"], b"x")
    except OSError: return dict(state)
"""
THREAD = """
    if state["extra"] is None or not state["extra"].is_alive():
        return state
"""
MEMORY = """
    try: bytearray(1200 << 20)
    except MemoryError: return dict(state)
"""
CHANGED = """
    state["rows"].append(99)
    raise ValueError("in the window alone")
"""


def check(tmp_path: Path, cases: Mapping[str, Case]) -> None:
    """Rehearse all on one node, which stays what it was."""

    async def scenario() -> None:
        async with running(tmp_path) as service:
            before, descriptors = await states(service), open_files()
            for number, (name, case) in enumerate(cases.items()):
                goal = goal_of(case, tmp_path / f"goal {number}", tmp_path / "kept")
                with (goal / "shop" / "lib.py").open("a") as lib:
                    lib.write(BY_NAME)
                outcome = await apply(service, goal)
                assert list(wrong(case, outcome)) == [], name
                assert (await states(service), open_files()) == (before, descriptors), name

    asyncio.run(scenario())


def test_who_ends_the_copy_is_told_from_what_relup_cannot_do_there(tmp_path: Path) -> None:
    check(tmp_path, ENDS)


def test_ctrl_c_while_the_copy_works_stops_the_upgrade_with_nothing_touched(tmp_path: Path) -> None:
    commands = Commands(tmp_path / "home", rehearses=True)
    endless = release(tmp_path / "2", "2", "while True: pass")
    with commands.node(release(tmp_path / "1", "1"), "--name", "shop") as node:
        argv = commands.argv("apply", "shop", endless, "--yes", "--code-change-timeout", "25")
        with Popen(argv, env=commands.environ, stdout=PIPE, stderr=PIPE, text=True) as command:
            copies = Path(f"/proc/{node.pid}/task/{node.pid}/children")
            while not copies.read_text():
                assert command.poll() is None
            command.send_signal(SIGINT)
            said = command.communicate(timeout=PATIENCE)[1]
        assert (command.returncode, "stopped, with nothing touched" in said) == (130, True), said
        assert not copies.read_text()
        assert json.loads(commands.run("history", "shop", "--json").stdout)[-1]["because"] == ["interrupted"]
        well = release(tmp_path / "3", "2", OK)
        assert "went well" in commands.run("apply", "shop", well, "--yes").stdout


def test_what_reaches_the_outside_is_refused_by_whatever_name_it_is_called(tmp_path: Path) -> None:
    imports = "from shop.lib import fcntl, resource, syslog\n"
    check(tmp_path, {name: unfit(f"{imports}{body}\nreturn state", name) for name, body in OUTSIDE.items()})
    assert not (tmp_path / "kept").exists()


def test_what_others_would_have_read_is_not_taken_from_them(tmp_path: Path) -> None:
    fifo = tmp_path / "kept"
    os.mkfifo(fifo)
    end = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    os.write(end, b"theirs")
    free = "\n".join(f"open('/dev/{name}', 'rb').close()" for name in ("null", "zero", "full", "random", "urandom"))
    cases = {
        "by open": unfit("open(PLACE).read()\nreturn state", "outside: open.*kept"),
        "by os": unfit("os.read(os.open(PLACE, os.O_RDONLY | os.O_NONBLOCK), 9)\nreturn state", "outside: open.*kept"),
        "by bytes": unfit("open(os.fsencode(PLACE))\nreturn state", "outside: open.*kept"),
        "of a terminal": unfit("open('/dev/tty')\nreturn state", "outside: open.*tty"),
        "what nobody misses": Case(f"{free}\nos.open(PLACE, os.O_PATH)\nopen(os.__file__).close()\n{dedent(OK)}", "ok"),
    }
    check(tmp_path, cases)
    assert os.read(end, 9) == b"theirs"
    os.close(end)


def test_what_was_changed_in_place_is_put_back_also_where_the_copy_took_another_branch(tmp_path: Path) -> None:
    async def scenario() -> None:
        read, write = os.pipe()
        done = threading.Event()
        thread = threading.Thread(target=done.wait, daemon=True)
        thread.start()
        async with running(tmp_path) as service:
            for number, (holds, body) in enumerate({write: DESCRIPTOR, thread: THREAD, "": MEMORY}.items()):
                await service.node.call("w1", holds)
                before = await states(service)
                goal = release(tmp_path / f"goal {number}", "2", body + CHANGED)
                outcome = await apply(service, goal, dry_run=False)
                assert outcome.rehearsals[0].verdict == "ok", body
                assert (outcome.status, await states(service)) == ("rolled_back", before), body
        done.set()
        thread.join()
        os.close(read)
        os.close(write)

    asyncio.run(scenario())


def test_a_great_deal_that_the_copy_left_alone_is_not_written_down_and_a_rollback_says_so(
    tmp_path: Path,
) -> None:
    body = f"""
        if os.getpid() == {os.getpid()} and state["number"] == 1:
            state["rows"].append(99)
            raise ValueError("in the window alone")
        return state
    """

    async def scenario() -> None:
        async with running(tmp_path) as service:
            await service.node.call("w1", [[n] for n in range(WORTH_SPARING)])
            outcome = await apply(service, release(tmp_path / "2", "2", body), dry_run=False)
            assert [m.mutates for m in outcome.rehearsals[0].modules] == [False, False]
            assert outcome.status == "rolled_back"
            failed, before = [d.message for d in outcome.diagnostics if d.code == "not_written_down"]
            assert "the code_change of w1 " in failed
            assert before.startswith("w0 ")
            assert "could not be as it was" in "".join(outcome_lines(outcome))
            assert (await service.node.call("w1", "state"))["rows"] == [1, 99]

    asyncio.run(scenario())


def test_what_a_thread_tries_is_noted_for_whoever_is_being_tried(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    check(tmp_path, {"removes": Case(IN_A_THREAD, "ok", "effect_refused", "outside: os.remove")})
    assert (tmp_path / "kept").read_text() == "kept"

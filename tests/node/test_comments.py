"""A module of which only comments changed is not executed again, and follows the release all the same."""

from __future__ import annotations

from pathlib import Path

from tests.support import Commands, supervised, write_release

WORKER = """
    from shop import words
    from relup.runtime import GenServer, Reply

    class Worker(GenServer):
        def init(self, number):
            return number

        def handle_call(self, request, caller, state):
            return Reply((words.COUNT, words.fail() if request == "fail" else {vsn}), state)
"""
WORDS = (
    "COUNT = []\nCOUNT.append(1)\n\ndef fail():\n    import traceback\n    return traceback.extract_stack()[-1].line\n"
)
APPUP = """
    application: shop
    vsn: "{0}"
    up: [{{from: "{1}", instructions: [{{update: shop.worker}}]}}]
    down: [{{to: "{1}", instructions: [{{update: shop.worker}}]}}]
"""


def test_what_only_its_comments_changed_is_not_run_again_and_the_next_upgrade_begins_from_it(tmp_path: Path) -> None:
    folders = []
    for vsn, words in (("1", WORDS), ("2", f"# two\n\n{WORDS}"), ("3", f'"""Three."""\n{WORDS}')):
        modules = {"app": supervised(1), "worker": WORKER.format(vsn=vsn), "words": words}
        appup = APPUP.format(vsn, int(vsn) - 1) if vsn != "1" else None
        folders.append(write_release(tmp_path / vsn, vsn, modules, appup))
    commands = Commands(tmp_path / "home")
    with commands.node(folders[0]):
        commands.run("rpc", "shop", "await node.call('w0', 'get')")
        commands.run("rpc", "shop", "__import__('shop.words').words.COUNT.append(2)")
        for folder in folders[1:]:
            assert "done: every process runs" in commands.run("apply", "shop", folder, "--yes").stdout
            assert "drift" not in commands.run("status", "shop").stdout
            vsn = folder.name
            assert commands.run("rpc", "shop", "await node.call('w0', 'get')").stdout.strip() == f"([1, 2], {vsn})"
            file = commands.run("rpc", "shop", "__import__('shop.words').words.__file__").stdout
            assert str(folder) in file
            assert "return traceback" in commands.run("rpc", "shop", "await node.call('w0', 'fail')").stdout
            commands.run("confirm", "shop")
        commands.run("downgrade", "shop", "--yes")
        assert commands.run("rpc", "shop", "await node.call('w0', 'get')").stdout.strip() == "([1, 2], 2)"
        assert str(folders[1]) in commands.run("rpc", "shop", "__import__('shop.words').words.__file__").stdout

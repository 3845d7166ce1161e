"""The commands and their options. Each does one thing: hand what was typed to the work behind it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from relup.cli import interrupted
from relup.cli.output import finish, unwritten
from relup.cli.reach import beam_options

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
anywhere = click.Path(readable=False)  # whoever reads it says why it cannot be read
node = click.argument("node", metavar="NODE")
yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
confirm_within = click.option(
    "--confirm",
    "confirm_within",
    type=click.FloatRange(min=0.1, max=31_536_000),
    metavar="SECONDS",
    help="Go back unless confirmed in time.",
)
dry_run = click.option("--dry-run", is_flag=True, help="Check and prepare only: no process is touched.")
allow_irreversible = click.option(
    "--allow-irreversible", is_flag=True, help="Go on although a late failure could not undo early windows."
)
allow_restart = click.option(
    "--allow-restart",
    is_flag=True,
    help="BEAM: go on, with --yes or a saved plan, although the node restarts and every state is lost.",
)


def limits(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say how long it may hold others up."""
    seconds = click.FloatRange(min=0.001, max=31_536_000)
    for name, words in (
        ("--import-timeout", "Python: for the bodies of the new modules (default: 60)."),
        ("--window", "Roll back a window that is open for longer."),
        ("--code-change-timeout", "For each code_change and call (default: the appup's, else 5)."),
        ("--suspend-timeout", "For each process to suspend (default: the appup's, else 5)."),
    ):
        command = click.option(name, type=seconds, metavar="SECONDS", help=words)(command)
    return click.option(
        "--retries",
        type=click.IntRange(min=0, max=1_000),
        default=2,
        show_default=True,
        help="Let all go on and try again, when somebody does not suspend in time.",
    )(command)


through = click.option(
    "--through",
    multiple=True,
    type=anywhere,
    metavar="DIR",
    help="Where to look for releases in between (default: beside the two).",
)
library = click.option(
    "--library",
    "libraries",
    multiple=True,
    type=click.Path(),
    metavar="DIR",
    help="Where to look for applications that a BEAM release does not hold, such as Erlang's own lib.",
)
strict = click.option("--strict", is_flag=True, help="Refuse an upgrade that is warned of (exit code 4).")
rehearsed = click.option(
    "--rehearse/--no-rehearse", default=True, help="Try it on a copy of the states first (default)."
)
via = click.option("--via", multiple=True, metavar="VSN", help="A version that the route must pass.")


class _Interruptible(click.Group):
    """Ends with our own exit code when the user interrupts it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            interrupted()


@click.group(cls=_Interruptible, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="relup", message="relup %(version)s")
@click.pass_context
def relup(context: click.Context) -> None:
    """Upgrade a running, stateful program without stopping it.

    Exit codes: 0 done; 2 usage; 3 invalid input; 4 refused, nothing touched; 5 failed and rolled back;
    6 in between, an operator is needed; 7 busy.
    """
    if context.invoked_subcommand != "start":  # what a release's texts are warned of is the node's affair
        warnings.simplefilter("ignore", SyntaxWarning)


def run() -> int:
    """Run the command that was typed; return the exit code, unless the command itself exits."""
    try:
        return relup.main(prog_name="relup", standalone_mode=False) or 0
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return error.exit_code
    except OSError as error:  # help that cannot be written: commands see to what they write themselves
        unwritten(error)
        return 0
    except click.Abort as error:
        if isinstance(error.__cause__, EOFError):  # which is a fault of ours, and nobody's wish
            raise error.__cause__ from None
        interrupted()  # again, while the first time was being said


@relup.command()
@as_json
def demo(as_json: bool) -> None:
    """Show the tutorial: an upgrade, a bad one, and a downgrade."""
    from relup.cli.demo import demo as work

    finish(as_json, work)


@relup.command()
@click.argument("paths", nargs=-1, required=True, metavar="[OLD] NEW", type=anywhere)
@click.option(
    "--from-node", "node", metavar="NODE", help="OLD is what NODE runs; its live states are compared with NEW."
)
@click.option(
    "-o", "--output", "folder", type=click.Path(), metavar="DIR", help="Write the appups there, not into NEW."
)
@library
@as_json
def new(
    paths: tuple[str, ...], node: str | None, folder: str | None, libraries: tuple[str, ...], as_json: bool
) -> None:
    """Draft the appups that lead from release OLD to NEW and back.

    With --from-node also each code_change that live states need; of these only types and fields leave the node. What
    has to be answered is marked TODO; `relup check` refuses it until it is."""
    from relup.cli.new import new as work

    finish(as_json, lambda output: work(output, paths, node, folder, libraries))


@relup.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…", type=anywhere)
@library
@click.option("--strict", is_flag=True, help="Refuse what is warned of, too (exit code 4).")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif", "github"]),
    help="How findings are written (default: text); sarif and github are for CI.",
)
@as_json
def check(form: str | None, as_json: bool, **wanted: Any) -> None:
    """Validate appups, releases and plans.

    Of releases in a row, also what leads from each to the next, in both directions.

    Exit codes: 0 when nothing is wrong; 3 for errors; 4, with --strict, when there are warnings and no errors.
    Notes refuse nothing."""
    from relup.cli.files import Request, form_of
    from relup.cli.files import check as work

    request = Request(form=form_of(form, as_json=as_json), **wanted)
    finish(request.form == "json", lambda output: work(output, request))


@relup.command()
@click.argument("old", type=anywhere)
@click.argument("new", type=anywhere)
@click.option(
    "-o", "--output", "file", type=click.Path(), metavar="FILE", help="Write the plan, to be applied as it is."
)
@click.option("--format", "form", type=click.Choice(["text", "json", "otp"]), default="text", show_default=True)
@click.option("--explain", is_flag=True, help="Show what each pass changed, and why each module stands where it does.")
@through
@via
@library
@as_json
def plan(form: str, as_json: bool, **wanted: Any) -> None:
    """Show the ordered script from release OLD to NEW.

    Without a direct entry it is the cheapest route over releases in between. The format `otp` is OTP's relup file."""
    from relup.cli.plan import Request
    from relup.cli.plan import plan as work

    request = Request(form=form, **wanted)
    finish(as_json or form == "json", lambda output: work(output, request))


@relup.command()
@click.argument("paths", nargs=-1, required=True, metavar="DIR | OLD NEW", type=anywhere)
@click.option("-o", "--output", "file", type=click.Path(), metavar="FILE", help="Write the drawing.")
@click.option(
    "--format", "form", type=click.Choice(["dot", "mermaid", "svg"]), help="Default: what FILE ends with, or dot."
)
@library
@as_json
def graph(
    paths: tuple[str, ...], file: str | None, form: str | None, libraries: tuple[str, ...], as_json: bool
) -> None:
    """Draw the versions in a folder, or the order of modules between two releases."""
    from relup.cli.graph import graph as work

    finish(as_json, lambda output: work(output, paths, form, file, libraries))


@relup.command("import")
@click.argument("file", metavar="FILE.appup", type=anywhere)
@click.option(
    "--vsn", metavar="VSN", help="The version to fill into an .appup.src (default: that of the .app beside it)."
)
@click.option("-o", "--output", "target", type=click.Path(), metavar="FILE", help="Write the YAML.")
@as_json
def import_(file: str, vsn: str | None, target: str | None, as_json: bool) -> None:
    """Turn an appup of OTP into YAML, with its comments."""
    from relup.cli.otp import import_ as work

    finish(as_json, lambda output: work(output, file, vsn, target))


@relup.command()
@click.argument("path", type=anywhere)
@click.option("-o", "--output", "target", type=click.Path(), metavar="FILE", help="Write the Erlang terms.")
@as_json
def export(path: str, target: str | None, as_json: bool) -> None:
    """Turn an appup into OTP's .appup, or a saved plan into OTP's relup file."""
    from relup.cli.otp import export as work

    finish(as_json, lambda output: work(output, path, target))


@relup.command()
@click.argument("release", type=anywhere)
@click.option("--name", metavar="N", help="The node's name (default: the release's).")
@click.option("--as-given", is_flag=True, help="Boot RELEASE even if another one was made permanent.")
def start(release: str, name: str | None, as_given: bool) -> None:
    """Run a release as a node, in the foreground.

    SIGTERM and `relup stop` stop it cleanly."""
    from relup.cli.start import start as work

    finish(False, lambda _: work(release, name, as_given=as_given))


@relup.command()
@click.argument("node", required=False, metavar="[NODE]")
@as_json
@beam_options
def status(node: str | None, as_json: bool) -> None:
    """Show a node: release, processes, versions, drift.

    Without NODE, name the nodes of this user that run."""
    from relup.cli.live import status as work

    finish(as_json, lambda output: work(output, node))


@relup.command()
@node
@click.argument("new", metavar="NEW|PLAN", type=anywhere)
@dry_run
@confirm_within
@allow_irreversible
@allow_restart
@limits
@strict
@rehearsed
@through
@via
@yes
@as_json
@beam_options
def apply(new: str, as_json: bool, **wanted: Any) -> None:
    """Upgrade a live node: plan, show, ask, apply.

    NEW is a release; a saved PLAN is applied as it is, without asking. Without a direct entry the upgrade takes
    the cheapest route over releases in between: all of it, or nothing. What `relup check` says of it is said first;
    errors refuse it."""
    from relup.cli.upgrade import Request
    from relup.cli.upgrade import apply as work

    request = Request(**wanted)
    finish(as_json, lambda output: work(output, request, new))


@relup.command()
@node
@click.argument("new", metavar="NEW|PLAN", type=anywhere)
@limits
@strict
@through
@via
@as_json
@beam_options
def rehearse(new: str, as_json: bool, **wanted: Any) -> None:
    """Try an upgrade on a copy of a live node's states, and its way back; nothing is touched.

    Says of each module and process whether it went well, how long it took and what became of the states. Exit code 4
    when the upgrade would fail."""
    from relup.cli.upgrade import Request
    from relup.cli.upgrade import apply as work

    request = Request(**wanted, dry_run=True, confirm_within=None, allow_irreversible=True, yes=True)
    finish(as_json, lambda output: work(output, request, new))


@relup.command()
@node
@click.argument("vsn", required=False, metavar="[VSN]")
@dry_run
@confirm_within
@allow_irreversible
@allow_restart
@limits
@rehearsed
@through
@via
@yes
@as_json
@beam_options
def downgrade(vsn: str | None, as_json: bool, **wanted: Any) -> None:
    """Migrate a live node down.

    To the release that ran before this one, or to VSN."""
    from relup.cli.upgrade import Request
    from relup.cli.upgrade import downgrade as work

    request = Request(**wanted)
    finish(as_json, lambda output: work(output, request, vsn))


@relup.command()
@node
@click.option("--number", type=click.IntRange(min=0), help="Only what the upgrade of that number led to.")
@as_json
@beam_options
def confirm(node: str, number: int | None, as_json: bool) -> None:
    """Make the running release the one a restart boots."""
    from relup.cli.live import confirm as work

    finish(as_json, lambda output: work(output, node, number))


@relup.command()
@node
@as_json
@beam_options
def history(node: str, as_json: bool) -> None:
    """Show what was done on a node, and how it ended."""
    from relup.cli.live import history as work

    finish(as_json, lambda output: work(output, node))


@relup.command()
@node
@as_json
@beam_options
def stop(node: str, as_json: bool) -> None:
    """Stop a node cleanly, and wait until it is gone."""
    from relup.cli.live import stop as work

    finish(as_json, lambda output: work(output, node))


@relup.command()
@node
@click.argument("expression", metavar="EXPR")
@as_json
@beam_options
def rpc(node: str, expression: str, as_json: bool) -> None:
    """Evaluate an expression in a live node.

    In a Python node `node` is the node, and awaitables are awaited. A BEAM node takes Elixir, else Erlang."""
    from relup.cli.live import rpc as work

    finish(as_json, lambda output: work(output, node, expression))


@relup.command()
@node
@beam_options
def remote(node: str) -> None:
    """Open a prompt inside a live node: Python, Elixir or Erlang, as the node is."""
    from relup.cli.remote import remote as work

    finish(False, lambda output: work(output, node))

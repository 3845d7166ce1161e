"""`import` and `export`: OTP's files in and out."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from relup.cli.output import Output, write_file
from relup.diagnostics import Diagnostic, InvalidInput, Location, errors
from relup.document import read_document
from relup.document.erlang.conversion import export_appup, import_appup
from relup.document.erlang.otp_relup import not_in_otp, write_otp_relup
from relup.model.appup import Appup
from relup.model.otp_relup import OtpRelup, otp_relup
from relup.model.release import Application, Release
from relup.model.relup import Relup
from relup.model.route import Route
from relup.planner import written_out

Text = tuple[str, tuple[Diagnostic, ...]]
"""What a file says in the other language, and warnings of what it cannot say there, or does not say."""


def import_(output: Output, file: str, vsn: str | None, target: str | None) -> int:
    """Turn an appup of OTP into YAML."""
    return give(output, import_appup(Path(file), vsn), target)


def export(output: Output, path: str, target: str | None) -> int:
    """Turn an appup or a plan into Erlang terms."""
    return give(output, _exported(Path(path)), target)


def give(output: Output, text: Text, target: str | None) -> int:
    """Write the text to *target*, else give it as the result; what is left out is said first."""
    written, left_out = text
    output.warn(left_out)
    if target:
        write_file(target, written)
    else:
        output.result({"text": written}, written.splitlines())
    return 0


def relup_text(plan: Relup | Route) -> Text:
    """Return a plan as OTP's relup file, which has no routes, with the plan's warnings: the file does not keep them."""
    match plan:
        case Relup():
            relup = otp_relup(plan)
            told = tuple(dict.fromkeys(not_in_otp(relup)))  # a way back may have the places of the way there
            if wrong := errors(told):
                raise InvalidInput(wrong)
            return write_otp_relup(relup), (*plan.warnings, *told)
        case Route((hop,), warnings):
            text, told = relup_text(hop)
            return text, (*warnings, *told)
        case Route():
            message = f"there is no direct way, and OTP's relup file cannot say {plan}"
            raise InvalidInput(
                [Diagnostic("not_in_otp", message, plan.goal.location, hint="write one relup for each hop")]
            )
        case _:
            assert_never(plan)


def _exported(path: Path) -> Text:
    match read_document(path):
        case Appup() as appup if path.suffix in (".yaml", ".yml"):
            return export_appup(path, written_out(appup) if _derives(appup) else None)
        case Relup() | Route() as plan:
            return relup_text(plan)
        case Appup() | OtpRelup() | Application():
            message = "this is OTP's own file already"
        case Release():
            message = "a release is no file of its own: export its appups, or a plan that `relup plan -o` wrote"
    raise InvalidInput([Diagnostic("nothing_to_export", message, Location(str(path), 1, 1))])


def _derives(appup: Appup) -> bool:
    return any(e.instructions == "inverse" for e in (*appup.up, *appup.down))

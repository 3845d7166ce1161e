"""What was looked at in a node, in words."""

from __future__ import annotations

from collections.abc import Iterator

from relup.model.shapes import Form, LiveStates, type_label
from relup.model.shortened import shortened


def summary(live: LiveStates) -> Iterator[str]:
    """Yield how many states were looked at, which were not, and which forms they have if that is more than one."""
    cut = f" ({live.cut} of them in part, for they are large)" if live.cut else ""
    seen = f"of {live.processes} live state(s) {live.looked} were looked at{cut}"
    seen = seen if live.processes else "it has no live process"
    yield seen if live.looked else f"{seen}: what is said of its states comes from the texts of the two releases alone"
    if live.busy:
        yield f"{live.busy} busy, and not looked at: {shortened(live.busy_names)}"
    if len(live.forms) > 1:
        yield f"{len(live.forms)} forms are live at the same time:"
        yield from map(_form, live.forms)


def _form(form: Form) -> str:
    names = f" with {', '.join(form.names)}" if form.names else ""
    return f"{form.count} {type_label(form.type)}{names}, such as that of {form.example}"

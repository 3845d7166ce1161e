"""What this machine remembers of a BEAM node: its releases, and what was done on it from here.

The node does not wait for it: what it runs, and what it boots, it says itself. So before an upgrade a disk that takes
nothing is a reason to refuse, with nothing touched; afterwards it is something to be told with the outcome.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from relup.diagnostics import Diagnostic, Refused
from relup.executor import Outcome
from relup.model.release import Release
from relup.model.route import Route
from relup.targets.beam.standing import file_of
from relup.targets.python.home import Home
from relup.targets.python.outcomes import history_entry
from relup.targets.records import Installed, Records

log = logging.getLogger("relup.beam")


@dataclass(frozen=True, slots=True)
class Remembered:
    """The home of a node that has none on its own machine."""

    home: Home

    def intend(self, records: Records, route: Route) -> None:
        """Let it be known where *route* leads, so that whoever comes after a loss finds the files. Raises `Refused`."""
        self._write(replace(records.knowing(_reached(route)), intended=installed(route.goal)))

    def ended(self, records: Records, route: Route, outcome: Outcome, owner: str) -> Outcome:
        """Write down how an upgrade ended, before which *records* held; return that, with why it could not be."""
        match outcome.status:
            case "done":
                records = records.along(_reached(route))
            case "operator_needed":
                records = records.knowing(_reached(route))
        if (error := self.happened(records, history_entry(route, outcome, owner, records.current))) is None:
            return outcome
        message = f"how it ended could not be written down on this machine: {error}"
        unwritten = Diagnostic("history_not_written", message, severity="warning")
        return replace(outcome, diagnostics=(*outcome.diagnostics, unwritten))

    def happened(self, records: Records, entry: Mapping[str, Any] | None) -> Exception | None:
        """Write down what has happened already, and what is known since; return why not."""
        try:
            self._write(records)
            if entry is not None:
                self.home.append({"at": time.time(), **entry})
        except (OSError, Refused) as error:
            log.error("what is known of the node could not be written down: %s", error)
            return error
        return None

    def _write(self, records: Records) -> None:
        try:
            self.home.create()
            self.home.write(records)
        except OSError as error:
            raise Refused([Diagnostic("record_not_written", f"the release record: {error}")]) from error


def _reached(route: Route) -> Iterator[Installed]:
    """Yield the records of the releases that *route* leads to, one after the other."""
    return (installed(hop.goal) for hop in route.hops)


def installed(release: Release) -> Installed:
    """Return the record of *release*, whose `.rel` file tells it from others that share its folder."""
    return Installed(release.name, release.vsn, file_of(release))

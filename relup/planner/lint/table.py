"""Every rule of `relup check`: its code, how grave it is, what it means and what to do about it, in one place.

A finding says what is wrong at one place; a rule says why that is wrong anywhere. Reports for machines carry both, and
the documentation is made of this table. A rule warns only where what it says can be seen in the files: a rule that
warns of what is sound is worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relup.diagnostics import Diagnostic, Location, Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `summary` says what is found, in a sentence, `help` why it matters and what mends it."""

    code: str
    severity: Severity
    summary: str
    help: str


_TABLE: tuple[Rule, ...] = (
    # ── coverage ──
    Rule(
        "changed_not_loaded",
        "error",
        "A module changed, and no instruction loads it.",
        "Its old code would go on running, and the upgrade would report success. "
        "Give it an update or a load_module, in both lists.",
    ),
    Rule(
        "new_not_loaded",
        "error",
        "A module is new, and no instruction adds it.",
        "Give it an add_module; in the other list it is deleted.",
    ),
    Rule(
        "removed_not_deleted",
        "error",
        "A module is not in the release to come, and no instruction deletes it.",
        "Give it a delete_module; in the other list it is added.",
    ),
    Rule(
        "deleted_but_present",
        "error",
        "A module is deleted that the release to come still has.",
        "Load it instead.",
    ),
    Rule(
        "code_changed_vsn_did_not",
        "error",
        "The code of an application changed, and its version did not.",
        "Appups lead from version to version, so nothing can be said about this change. "
        "Give the application a new version, and an appup.",
    ),
    Rule(
        "not_closed",
        "error",
        "A module keeps objects of the code that is replaced, because it evaluates them when it is imported.",
        "A subclass, a decorated function, a default stay what they were. Load that module in the same window.",
    ),
    Rule(
        "bad_code",
        "error",
        "A module that is loaded does not compile.",
        "The node could not load it. It is read as the Python that relup runs on has it.",
    ),
    Rule(
        "loaded_unchanged",
        "note",
        "A module is loaded whose file is the same in both releases.",
        "That is right where it keeps objects of a module that changes (`not_closed`). Else it may be left over.",
    ),
    Rule(
        "no_relup",
        "error",
        "No entry of an appup leads from one version to the other.",
        "Write the entry. On BEAM an appup that is not there at all is OTP's file_problem.",
    ),
    Rule(
        "no_such_module",
        "error",
        "An instruction names a module that no application of the release has.",
        "It is misspelt, or missing from the modules of its application. "
        "(On BEAM a warning: OTP plans it all the same.)",
    ),
    Rule(
        "module_of_another",
        "warning",
        "An instruction names a module that another application of the release has.",
        "Instructions belong into the appup of the application whose module it is: there its version is compared.",
    ),
    Rule(
        "muldef_module",
        "error",
        "A module has two instructions in one script.",
        "Which of them is meant nobody can say. Keep one.",
    ),
    Rule(
        "loaded_and_removed",
        "error",
        "One script both loads and removes a module.",
        "Only one of the two can be meant.",
    ),
    Rule(
        "loaded_twice",
        "warning",
        "One script loads a module twice.",
        "The second load makes the code of the first old at once, and purges what still runs the version before "
        "it. Load it once.",
    ),
    Rule(
        "deleted_while_used",
        "error",
        "A module is deleted that a module of the release to come imports.",
        "The import fails when its module is loaded or the release starts again; an import in a function (a "
        "warning) when it is called, one in a branch for a platform (a warning) only there.",
    ),
    Rule(
        "used_before_added",
        "warning",
        "A new module is added after the code that uses it has begun to run.",
        "Let the user depend on it, or write its add_module before the call that parts the two.",
    ),
    # ── versions ──
    Rule(
        "loose_pattern",
        "warning",
        "A version pattern has a dot that matches any character.",
        "An unescaped dot lets `1.1` match 1.1 and 111. Write `\\.` where a dot is meant.",
    ),
    Rule(
        "dead_alternative",
        "warning",
        "An alternative of a version pattern can never be taken.",
        "The first match of a pattern must be the whole version, and of `1\\.0|1\\.0\\.1` the first match in "
        "1.0.1 is 1.0. Write the longer alternative first.",
    ),
    Rule(
        "shadowed_entry",
        "warning",
        "An entry is never used, because one above it has the same version.",
        "The first entry that fits is used. Join the two, or write the more special one first.",
    ),
    Rule(
        "own_version",
        "warning",
        "An entry has the appup's own version.",
        "No upgrade leads from a version to itself.",
    ),
    Rule(
        "one_way_entry",
        "warning",
        "A version is in one of the two lists only.",
        "From what has no entry in `down` there is no way back once messages have been handled.",
    ),
    # ── the way back ──
    Rule(
        "not_inverse",
        "warning",
        "The way down does not take back what the way up does.",
        "After an upgrade and a downgrade the program should be as it was. "
        "`instructions: inverse` derives one list from the other.",
    ),
    Rule(
        "down_ignored",
        "warning",
        "A code_change that runs in both directions never looks which one it is.",
        "On the way down `old_vsn` is `Down(vsn)`, and the state has to become the older version's again.",
    ),
    Rule(
        "no_such_name",
        "error",
        "A name to keep is not in both versions of its module.",
        "What is kept goes from the old version to the new one, so both need the name.",
    ),
    Rule(
        "no_such_class",
        "error",
        "A class whose instances are to be migrated is not in both versions of its module.",
        "Instances of the one become those of the other; a class that was renamed needs `migrate` in a code_change.",
    ),
    Rule(
        "no_such_function",
        "error",
        "The function that migrates instances is not in the newer version of its module.",
        "The newer version knows both, so its functions are called in both directions.",
    ),
    Rule(
        "irreversible",
        "warning",
        "Nothing takes back what the upgrade does.",
        "Give the `apply` an `undo`, or write the entry of the other list.",
    ),
    Rule(
        "state_lost",
        "warning",
        "The state of processes is lost on purpose.",
        "A restarted application and a terminated child begin anew, also when the upgrade is rolled back.",
    ),
    # ── processes and their states ──
    Rule(
        "no_code_change",
        "warning",
        "An advanced update of a module whose servers have no code_change.",
        "Their states stay as they are. Write a code_change, or make the update soft.",
    ),
    Rule(
        "extra_missing",
        "warning",
        "A code_change reads something of its extra that the instruction does not give.",
        "Without an extra it is given None, and the upgrade is rolled back: `change: {advanced: {name: value}}`.",
    ),
    Rule(
        "code_change_not_called",
        "warning",
        "A server has a new or changed code_change, and no instruction calls it.",
        "Only an advanced update calls code_change: `update: {module: m, change: advanced}`.",
    ),
    Rule(
        "state_not_migrated",
        "warning",
        "A server begins with entries in its state that states in service do not have, and nothing adds them.",
        "The new code will miss them at its next message. Add them in a code_change, with an advanced update.",
    ),
    Rule(
        "state_holds_code",
        "warning",
        "A state holds functions, generators, or instances of a class that is replaced, and no code_change renews it.",
        "They stay those of the old code: isinstance and == fail against the new, and the old code cannot be "
        "purged. Renew them in a code_change.",
    ),
    Rule(
        "vsn_unchanged",
        "warning",
        "The code of a module changed, and the version that it gives itself did not.",
        "code_change is told the version of the old code, and cannot tell the two apart.",
    ),
    Rule(
        "nothing_to_suspend",
        "note",
        "An update of a module that no process runs.",
        "It does no harm; load_module says what is meant.",
    ),
    Rule(
        "loaded_not_suspended",
        "note",
        "A server's module is loaded while its processes run.",
        "That is enough where the state stays as it is; one that handles a message meanwhile ends it in the old "
        "code. An update suspends them.",
    ),
    Rule(
        "call_circle",
        "note",
        "Servers that are suspended together call each other in a circle.",
        "Callers are suspended before those whom they call; in a circle nobody comes first, and suspending may "
        "have to be tried again.",
    ),
    # ── children ──
    Rule(
        "child_not_started",
        "warning",
        "A supervisor gets a child that no instruction starts.",
        "An update of a supervisor reads its child specs, and starts nothing: apply restart_child.",
    ),
    Rule(
        "child_not_ended",
        "warning",
        "A supervisor loses a child that no instruction ends.",
        "An update of a supervisor reads its child specs, and ends nothing: apply terminate_child, and "
        "delete_child after it.",
    ),
    Rule(
        "child_of_old_class",
        "warning",
        "A child keeps its id and gets another class, and no instruction restarts it.",
        "It goes on with the old class until somebody restarts it: apply terminate_child and restart_child.",
    ),
    Rule(
        "children_not_stopped",
        "warning",
        "A module is deleted while processes run it.",
        "They would go on in code that is gone. End them first: apply terminate_child, or stop.",
    ),
    # ── calls ──
    Rule(
        "apply_undefined",
        "error",
        "An apply or a verify calls a function that is not there, or not with so many arguments.",
        "What is called is the version that runs at that place of the script.",
    ),
    Rule(
        "apply_unknown_module",
        "warning",
        "An apply or a verify calls a module that is neither the release's nor Python's own.",
        "It may be installed where the node runs; the release does not say so.",
    ),
    Rule(
        "brutal_purge",
        "note",
        "A module with callers waiting in it is purged brutally.",
        "Whoever waits for an answer in a function of the module's old code is killed. "
        "soft_purge waits for them instead.",
    ),
    # ── drafts ──
    Rule(
        "todo",
        "error",
        "A comment that begins with TODO, or a code_change that names TODO, has not been answered.",
        "Do what it asks for, and remove it. Until then nothing is planned from it.",
    ),
)

RULES: Mapping[str, Rule] = {rule.code: rule for rule in _TABLE}


def finding(
    code: str, message: str, location: Location | None, hint: str, severity: Severity | None = None
) -> Diagnostic:
    """Return what a rule found, as grave as the rule says unless *severity* does."""
    return Diagnostic(code, message, location, severity or RULES[code].severity, hint)

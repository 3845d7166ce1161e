"""Who could change the code that is about to run.

A node runs what lies in a release folder with all that its user may do, so who may write there may do as much. That is
for this user, for root, and for those that the user trusts: a deployment's own user, say. Anybody else in the way is
a reason not to run it: somebody who owns a file, or a folder above it, since a folder's owner can put another in its
place; somebody who may write by the mode, or by an access list, of which the mode shows the most that it grants. A
folder above the release may be open to all when it is sticky, as `/tmp` is: there everybody keeps what is theirs.

What a link leads to is looked at as well as the link. Nothing here protects against who may write and is trusted.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from relup.diagnostics import Diagnostic, Refused

TRUST = "RELUP_TRUST"
"""The environment variable that names who else is trusted: users, and groups with an @, with commas between them."""
MOST = 5
"""How many places are told; there may be thousands."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """Who may write what this process runs."""

    users: frozenset[int]
    groups: frozenset[int] = frozenset()
    known: dict[int, bool] = field(default_factory=dict, compare=False)
    """Of groups that were looked at: whether all who are in them are trusted. Asked anew for each check."""

    def owner(self, uid: int) -> bool:
        """Say whether files may belong to a user."""
        return uid in self.users

    def group(self, gid: int) -> bool:
        """Say whether a group may write: one that was named, or one that nobody is in who is not trusted."""
        if gid not in self.known:
            self.known[gid] = gid in self.groups or _all_among(gid, self.users)
        return self.known[gid]


def trusted(environ: Mapping[str, str], *more: int) -> Trusted:
    """Return this user, root, *more* users, and whom the environment names. Raises `Refused` for a name of nobody.

    Who owns relup itself is trusted too: their code runs here already (a folder mounted into a container, say).
    """
    own = Path(__file__).stat().st_uid
    users, groups, unknown = {0, os.geteuid(), own, *more}, set[int](), list[str]()
    for name in filter(None, map(str.strip, environ.get(TRUST, "").split(","))):
        try:
            if name.startswith("@"):
                groups.add(int(name[1:]) if name[1:].isdecimal() else grp.getgrnam(name[1:]).gr_gid)
            else:
                users.add(int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid)
        except KeyError:
            unknown.append(name)
    if unknown:
        message = f"{TRUST} names {', '.join(unknown)}, whom this system does not know"
        raise Refused([Diagnostic("unknown_user", message, hint="users, and groups with an @, with commas")])
    return Trusted(frozenset(users), frozenset(groups))


def check_file(path: Path, whom: Trusted) -> list[Diagnostic]:
    """Return where others could change one file."""
    return most(list(others_above(path, None, whom, set())))


def most(found: list[Diagnostic]) -> list[Diagnostic]:
    """Return the first findings, and how many more there are."""
    if len(found) <= MOST:
        return found
    more = Diagnostic("writable_by_others", f"and {len(found) - MOST:,} more files and folders")
    return [*found[:MOST], more]


# ── who may write ────────────────────────────────────────────────────────────────────────────────────────────


def others_above(path: Path, root: Path | None, whom: Trusted, seen: set[Path]) -> Iterator[Diagnostic]:
    """Yield who else may write a file, any folder above it, and what links there lead to; nothing twice."""
    pending = [path.absolute()]
    while pending:
        here = pending.pop()
        if here in seen:
            continue
        seen.add(here)
        try:
            found = os.lstat(here)
            if stat.S_ISLNK(found.st_mode):
                pending.append(here.parent / here.readlink())
        except OSError:
            continue  # who reads it says so
        within = root is not None and here.is_relative_to(root)
        if who := _who(here, found, whom, within=within):
            yield _finding(here, who)
        pending.append(here.parent)


def _who(path: Path, found: os.stat_result, whom: Trusted, *, within: bool) -> str | None:
    """Say who else may write."""
    if not whom.owner(found.st_uid):
        return f"its owner, {_user(found.st_uid)}"
    if stat.S_ISLNK(found.st_mode):
        return None
    keeps = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX and not within
    if keeps:
        return None
    if found.st_mode & stat.S_IWOTH:
        return "everybody"
    if found.st_mode & stat.S_IWGRP:
        if _has_list(path):
            return "those in its access list"
        if not whom.group(found.st_gid):
            return f"the group {_group(found.st_gid)}"
    return None


def _finding(path: Path, who: str) -> Diagnostic:
    hint = f"`chmod go-w`, or give it to the user of the node; {TRUST} names users (and @groups) that may write it"
    return Diagnostic("writable_by_others", f"{path} can be written by {who}", hint=hint)


def _has_list(path: Path) -> bool:
    """Say whether an access list grants more than the mode tells."""
    if not hasattr(os, "getxattr"):
        return False
    try:
        return bool(os.getxattr(path, "system.posix_acl_access"))
    except OSError:
        return False


def _all_among(gid: int, users: frozenset[int]) -> bool:
    """Say whether a group has no member beside *users*; of one that has no name nobody knows."""
    try:
        members = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(gid).gr_mem}
    except KeyError:
        return False
    return members | {p.pw_uid for p in pwd.getpwall() if p.pw_gid == gid} <= users


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return f"gid {gid}"

"""Whether a wheel fits: its name says for which Pythons and platforms it was built.

`packaging` generates the hundreds of tags that an interpreter takes; only whether one tag is among them is asked here.
What is compiled must be for this minor version (or its stable ABI for an older one), this operating system and
machine; what is pure Python must be for this minor version or an older one.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import sysconfig
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What tags are compared with."""

    minor: int
    """Of Python 3."""
    name: str
    """`cp` for CPython."""
    abi: str
    """`cp311`, or `cp313t` for one without the lock."""
    system: str
    """`linux-x86_64`, as `sysconfig.get_platform` has it."""
    libc: tuple[int, int] | None
    """The version of glibc, None where there is another one, or none."""


def this_interpreter() -> Interpreter:
    """Return the one that runs now."""
    minor = sys.version_info.minor
    name = {"cpython": "cp", "pypy": "pp"}.get(sys.implementation.name, sys.implementation.name)
    return Interpreter(minor, name, f"{name}3{minor}{sys.abiflags}", sysconfig.get_platform(), _glibc())


def _glibc() -> tuple[int, int] | None:
    try:
        said = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        return None
    found = re.search(r"glibc (\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else None


def fits(pythons: str, abis: str, platforms: str, here: Interpreter) -> bool:
    """Say whether one of the tags that a wheel's name is made of (each joined by dots) is for *here*."""
    return any(
        _python(python, abi, here) and (system == "any" or _platform(system, here))
        for python in pythons.split(".")
        for abi in abis.split(".")
        for system in platforms.split(".")
    )


def _python(python: str, abi: str, here: Interpreter) -> bool:
    found = re.fullmatch(r"([a-z]+)3(\d*)", python)
    if not found:
        return False
    name, minor = found[1], int(found[2] or 0)
    if name == "py":
        return abi == "none" and minor <= here.minor
    if name != here.name:
        return False
    if abi == "abi3":
        return minor <= here.minor and not here.abi.endswith("t")
    return minor in (0, here.minor) and abi in ("none", here.abi)


def _platform(system: str, here: Interpreter) -> bool:
    name, _, machine = here.system.replace(".", "_").replace("-", "_").partition("_")
    if name == "linux":
        return _linux(system, machine, here.libc)
    if name == "macosx":
        return _mac(system, machine.rpartition("_")[2] if "x86_64" not in machine else "x86_64")
    return system == here.system.replace("-", "_").replace(".", "_")


def _linux(system: str, machine: str, libc: tuple[int, int] | None) -> bool:
    known = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
    kind, _, rest = system.partition("_")
    if kind in known:
        return libc is not None and libc >= known[kind] and rest == machine
    if found := re.fullmatch(r"(many|musl)linux_(\d+)_(\d+)_(\w+)", system):
        if found[4] != machine:
            return False
        return libc is not None and libc >= (int(found[2]), int(found[3])) if found[1] == "many" else libc is None
    return kind == "linux" and rest == machine


def _mac(system: str, machine: str) -> bool:
    found = re.fullmatch(r"macosx_(\d+)_(\d+)_(\w+)", system)
    if not found or found[3] not in (machine, "universal2", "universal"):
        return False
    release = [int(part) for part in platform.mac_ver()[0].split(".")[:2] if part.isdecimal()] or [99]
    return (int(found[1]), int(found[2])) <= (release[0], release[1] if len(release) > 1 else 99)

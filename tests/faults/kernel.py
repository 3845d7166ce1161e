"""Let the kernel refuse a process what it asks of a disk, with the error of a disk that fails (Linux).

A filter of system calls, laid upon all threads of the process, for good: it ends with the process.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import signal
import struct

_CALLS: dict[str, dict[str, int]] = {
    "x86_64": {
        "seccomp": 317,
        "fsync": 74,
        "fdatasync": 75,
        "rename": 82,
        "renameat": 264,
        "renameat2": 316,
        "openat": 257,
    },
    "aarch64": {"seccomp": 277, "fsync": 82, "fdatasync": 83, "renameat": 38, "renameat2": 276, "openat": 56},
}
_REFUSED = {
    "fsync": (("fsync", "fdatasync"), errno.EIO),
    "rename": (("rename", "renameat", "renameat2"), errno.EIO),
    "create": (("openat",), errno.EROFS),
}
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_CREATE = 0o100
_DEATH_SIGNAL = 1
_THIRD_ARGUMENT = 32
_NO_NEW_PRIVILEGES, _SET_FILTER, _ALL_THREADS = 38, 1, 1


def known() -> bool:
    """Say whether this machine's kernel can be asked."""
    return platform.system() == "Linux" and platform.machine() in _CALLS


def end_with_parent() -> None:
    """Have the kernel kill this process when the one that forked it ends."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse(what: str) -> None:
    """Refuse *what* from here on: `fsync` and `rename` with an I/O error, `create` as a read-only file system does."""
    numbers = _CALLS[platform.machine()]
    names, error = _REFUSED[what]
    libc = ctypes.CDLL(None, use_errno=True)
    steps = [_step(_LOAD, 0, 0, 0)]
    for number in (numbers[n] for n in names if n in numbers):
        if what == "create":
            steps += [_step(_EQUAL, 0, 3, number), _step(_LOAD, 0, 0, _THIRD_ARGUMENT), _step(_ANY_BIT, 0, 1, _CREATE)]
        else:
            steps += [_step(_EQUAL, 0, 1, number)]
        steps += [_step(_RETURN, 0, 0, _ERROR | error)]
    steps += [_step(_RETURN, 0, 0, _ALLOW)]
    program = _Program(len(steps), b"".join(steps))
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.syscall(
        numbers["seccomp"], _SET_FILTER, _ALL_THREADS, ctypes.byref(program)
    ):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter")


def _step(code: int, then: int, otherwise: int, value: int) -> bytes:
    return struct.pack("HBBI", code, then, otherwise, value)

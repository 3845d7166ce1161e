"""The command line. `main` is the console script; each command imports what it needs when it runs."""

import signal
import sys
from contextlib import suppress
from typing import NoReturn

INTERRUPTED = 130


def interrupted() -> NoReturn:
    """End because the user asked for it. Who asks again meanwhile gets the same exit code, not another one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        print("interrupted", file=sys.stderr)
    sys.exit(INTERRUPTED)


def main() -> None:
    """Run the command line and exit. Ctrl-C while it is still being read is said like any other."""
    try:
        from relup.cli.app import run

        code = run()
    except KeyboardInterrupt:
        interrupted()
    sys.exit(code)

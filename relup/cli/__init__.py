"""The command line. `main` is the console script; each command imports what it needs when it runs."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit. Ctrl-C while it is still being read is said like any other."""
    try:
        from relup.cli.app import relup

        relup.main(prog_name="relup")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)

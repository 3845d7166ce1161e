"""The command line. `main` is the console script; each command imports what it needs when it runs."""


def main() -> None:
    """Run the command line and exit."""
    from relup.cli.app import relup

    relup.main(prog_name="relup")

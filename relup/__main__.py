"""`python -m relup`."""

from relup.cli import main

if __name__ == "__main__":
    main()

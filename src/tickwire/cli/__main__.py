"""Lets `python -m tickwire.cli` stand for the `tickwire` command."""

from tickwire.cli.app import main

if __name__ == "__main__":
    main()

"""What the tests of the documents share."""

from pathlib import Path

import msgspec


class Server(msgspec.Struct, frozen=True):
    """A server that runs, and the environment in which a user would try the examples."""

    url: str
    environment: dict[str, str]
    data: Path

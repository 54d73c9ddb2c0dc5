"""What a newcomer pastes: the demo account's key, and the name of the command itself."""

import shutil
import sys
from pathlib import Path

from tickwire.keys.keyring import ApiKey, KeyRing

__all__ = ["DEMO_ACCOUNT", "command", "demo_key"]

DEMO_ACCOUNT = "demo"


def demo_key(keys: KeyRing, key: str | None, secret: str | None) -> ApiKey:
    """The demo account's key: the one asked for, or the one it has, or a new one. Raises ``InvalidKey``."""
    if key is not None:
        found = keys.find(key)
        if found is not None and found.secret == secret and found.account == DEMO_ACCOUNT:
            return found
        return keys.create(DEMO_ACCOUNT, ("read", "trade"), key=key, secret=secret)
    for owned in keys.list():
        if owned.account == DEMO_ACCOUNT and owned.scopes >= {"read", "trade"} and not owned.allow:
            return owned
    return keys.create(DEMO_ACCOUNT, ("read", "trade"))


def command() -> str:
    """`tickwire` as the reader of the banner can paste it: by its path when it is not on the PATH."""
    program = Path(sys.argv[0])
    if program.name != "tickwire" or shutil.which("tickwire") == str(program.absolute()):
        return "tickwire"
    absolute = program.absolute()
    try:
        return str(absolute.relative_to(Path.cwd()))
    except ValueError:
        return str(absolute)

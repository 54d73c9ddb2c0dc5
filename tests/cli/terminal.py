"""Commands run as in a shell of somebody who has set the variables of an account.

They run in the tests' own process: to start one for each would take most of the time, and that `tickwire` starts as a
process is tried by other tests.
"""

import contextlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.contract.support import Account, environment

from tickwire.cli.app import app


class Result(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@contextlib.contextmanager
def _shell(directory: Path, variables: dict[str, str]) -> Iterator[None]:
    """The environment and directory of a command."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update({**environment(directory), **variables})
    try:
        with contextlib.chdir(directory):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run(*arguments: str, directory: Path, **variables: str) -> Result:
    """Run a command to its end."""
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    with _shell(directory, variables), contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            app(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return Result(code, stdout.getvalue(), stderr.getvalue())


class Terminal:
    """A shell with the variables of an account."""

    def __init__(self, account: Account, home: Path) -> None:
        self.account = account
        self.home = home
        self.variables = {
            "TICKWIRE_URL": account.server.url,
            "TICKWIRE_API_KEY": account.key,
            "TICKWIRE_API_SECRET": account.secret,
        }

    def run(self, *arguments: str, code: int = 0) -> str:
        """What is printed where it belongs: on stdout when all is well, else on stderr."""
        result = run(*arguments, directory=self.home, **self.variables)
        assert result.returncode == code, result.stderr
        said, silent = (result.stdout, result.stderr) if code == 0 else (result.stderr, result.stdout)
        assert silent == ""
        return said

    def json(self, *arguments: str) -> Any:
        """The one line of JSON."""
        text = self.run(*arguments, "--json")
        assert text.count("\n") == 1
        return json.loads(text)

"""The page of the commands: what ``--help`` of each prints."""

import functools
import os
import re
import subprocess
import sys

from tickwire.service.reference.markdown import code

__all__ = ["commands_page"]


def commands_page() -> str:
    """What ``--help`` of every command prints.

    From a process of its own: the pages belong to the service, which knows nothing of the command line above it.
    """
    text = "# Commands\n\nWhat `--help` prints.\n"
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        words = waiting.pop(0)
        help = _help(words)
        text += f"\n## `{' '.join(('tickwire', *words))}`\n\n" + code(help, "text")
        listed = help.partition(" Commands ")[2].partition("╰")[0]
        waiting[:0] = [(*words, name) for name in re.findall(r"^│ ([a-z][a-z-]*) ", listed, re.MULTILINE)]
    return text


@functools.cache  # each is a process, and a program does not change while it runs
def _help(words: tuple[str, ...]) -> str:
    # One width and no colours on every machine, and no setting of the caller's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TICKWIRE_")}
    environment |= {"COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    environment.pop("FORCE_COLOR", None)
    command = [sys.executable, "-m", "tickwire.cli", *words, "--help"]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, encoding="utf-8").stdout  # noqa: S603
    lines = "\n".join(line.rstrip() for line in output.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n")

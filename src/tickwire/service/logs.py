"""The server's log on stderr: a line an event, as text to read or as JSON to collect.

The standard library's ``logging`` with one formatter. `structlog` would be a second way to log beside the one that the
libraries below use, and what it adds, fields beside the text, is here a dictionary in ``extra``.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Literal

__all__ = ["LogFormat", "LogLevel", "format_line", "start_logging"]

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

# What stands in a text line as it is; anything else is quoted, so that no value can pass for a field or a line.
_PLAIN = re.compile(r"[\w.:/@{}+-]+", re.ASCII)


def start_logging(level: LogLevel, format: LogFormat) -> None:
    """Send all logs of the process to stderr: tickwire's own from ``level`` on, those of libraries from warning on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(format))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tickwire").setLevel(level.upper())


class _Formatter(logging.Formatter):
    def __init__(self, format: LogFormat) -> None:
        super().__init__()
        self._format = format

    def format(self, record: logging.LogRecord) -> str:
        exception = self.formatException(record.exc_info) if record.exc_info else None
        fields: dict[str, Any] = getattr(record, "fields", {})
        return format_line(
            self._format, record.created, record.levelname.lower(), record.name, record.getMessage(), fields, exception
        )


def format_line(
    format: LogFormat,
    created: float,
    level: str,
    logger: str,
    event: str,
    fields: dict[str, Any],
    exception: str | None = None,
) -> str:
    """One line; as text an ``exception`` follows on lines of its own. ``created`` is in seconds since the epoch."""
    time = datetime.fromtimestamp(created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if format == "json":
        line = {"time": time, "level": level, "logger": logger, "event": event, **fields}
        return json.dumps(line if exception is None else line | {"exception": exception}, default=str)
    words = [time, level.upper(), logger, event.replace("\n", "\\n")]
    words += [f"{name}={_shown(value)}" for name, value in fields.items()]
    line_text = " ".join(words)
    return line_text if exception is None else f"{line_text}\n{exception}"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)

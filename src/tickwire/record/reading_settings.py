"""What can be chosen about a server that is read and not traded on: the flags that replay and relay share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from tickwire.service.logs import LogFormat, LogLevel

__all__ = ["ReadingSettings"]

_SERVER = Group.create_ordered("Server")


def _flag(help: str) -> Parameter:
    return Parameter(group=_SERVER, help=help)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReadingSettings:
    """Where it listens, who may read it, and what it tells its operator."""

    host: Annotated[str, _flag("Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1"
    port: Annotated[int, _flag("Port of REST and stream; 0 takes a free one.")] = 8080
    data: Annotated[Path | None, _flag("Directory with keys, made at first use; without it keys are of this run.")] = (
        None
    )
    demo_key: Annotated[str | None, _flag("The key that is printed; a new one if absent.")] = None
    demo_secret: Annotated[str | None, _flag("Its secret.")] = None
    limits: Annotated[bool, _flag("Apply limits to readers.")] = True
    tls_cert: Annotated[
        Path | None, _flag("PEM file with the certificate and its chain: REST as https, the stream as wss.")
    ] = None
    tls_key: Annotated[Path | None, _flag("PEM file with its private key, without a passphrase.")] = None
    metrics_token: Annotated[str | None, _flag("Opens /_tickwire/metrics to other machines.")] = None
    log_level: Annotated[LogLevel, _flag("What is told on stderr: info has a line for each stream that ends.")] = (
        "warning"
    )
    log_format: Annotated[LogFormat, _flag("Log lines to read (text) or to collect (json).")] = "text"

    def check(self) -> None:
        """Raise ``ValueError`` for flags that do not go together; it names them."""
        if (self.demo_key is None) != (self.demo_secret is None):
            raise ValueError("--demo-key: expected together with --demo-secret")
        if (self.tls_cert is None) != (self.tls_key is None):
            given, missing = ("--tls-cert", "--tls-key") if self.tls_key is None else ("--tls-key", "--tls-cert")
            raise ValueError(f"{given}: expected together with {missing}")

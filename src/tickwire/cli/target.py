"""Which server a command talks to and by which key, and how it says that something went wrong.

Every command that trades or shows an account uses these: the same flags, the same variables, the same exit codes.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

from cyclopts import Parameter

if TYPE_CHECKING:
    import ssl

    from tickwire.client import ApiError, SyncRestClient
    from tickwire.client.policy import End

__all__ = [
    "EXIT_CODES",
    "SERVER_AND_KEY",
    "AsJson",
    "Found",
    "NoServer",
    "Target",
    "advice",
    "connected",
    "fail",
    "untrusted",
    "why_ended",
]

AsJson = Annotated[bool, Parameter(name="--json", help="Print one line of JSON, for scripts.", negative="")]

SERVER_AND_KEY = """The server and key come from --url, --key and --secret, or from TICKWIRE_URL, TICKWIRE_API_KEY and
TICKWIRE_API_SECRET; without them, a server running on this machine and its demo account are found."""
EXIT_CODES = "Exit code 0 when it is done, 1 when it is refused or the server is away, 2 when the arguments are wrong."

_ADVICE = {
    "api.unauthorized": "check the secret and this machine's clock",
    "api.invalidSession": "the key is unknown or revoked: tickwire key list",
    "Forbidden": "the key may not do this, or not from this address: tickwire key create --scopes read,trade",
    "TooManyRequests": "wait a little",
    "InvalidParameter": "",  # its message says it all
}


@dataclass(frozen=True)
class Found:
    """A server and a key to it."""

    url: str
    key: str
    secret: str
    certificate: str | None = None  # the file of one that this machine's server has made itself known by

    @property
    def tls(self) -> "ssl.SSLContext | None":
        """Whom to trust beside those that everybody trusts. Raises ``NoServer``."""
        if self.certificate is None:
            return None
        from tickwire.service.tls import trusting

        try:
            return trusting(self.certificate)
        except OSError as error:
            raise NoServer(f"can't read the server's certificate {self.certificate}: {error}") from None


class NoServer(Exception):
    """There is no server to talk to; the message says what to do."""


@Parameter(name="*")
@dataclass(frozen=True)
class Target:
    """The flags that say where the server is."""

    url: Annotated[str | None, Parameter(env_var="TICKWIRE_URL", help="Such as http://127.0.0.1:8080.")] = None
    key: Annotated[str | None, Parameter(env_var="TICKWIRE_API_KEY", help="API key.")] = None
    secret: Annotated[str | None, Parameter(env_var="TICKWIRE_API_SECRET", help="Its secret.")] = None

    def find(self) -> Found:
        """The server and key as given, else those of a server on this machine. Raises ``NoServer``."""
        from tickwire.client.address import rest_url
        from tickwire.service.discovery import find_server

        try:
            url = None if self.url is None else rest_url(self.url)
        except ValueError as error:
            raise NoServer(f"--url (TICKWIRE_URL): {error}") from None
        if url is not None and self.key is not None and self.secret is not None:
            return Found(url, self.key, self.secret)
        running = (find_server(Path("tickwire-data")), find_server())
        server = next((found for found in running if found is not None and url in (None, found.url)), None)
        if server is None:
            given = {"TICKWIRE_URL": url, "TICKWIRE_API_KEY": self.key, "TICKWIRE_API_SECRET": self.secret}
            missing = " ".join(name for name, value in given.items() if value is None)
            raise NoServer(f"no such server found on this machine: start one with tickwire serve, or set {missing}")
        return Found(server.url, self.key or server.demo_key, self.secret or server.demo_secret, server.certificate)


def advice(code: str, otherwise: str = "") -> str:
    """What a user at a terminal does about a code of the API's."""
    return _ADVICE.get(code, otherwise)


def why_ended(url: str, end: "End") -> str:
    """Why a stream has ended for good, and what to do about it."""
    if end.status:
        hint = advice(end.error, "see the server's log")
        return f"{url} refused the handshake: {end.status} {end.error}; {hint}"
    return f"{url} closed the stream: {end.close_code} {end.reason}"


def untrusted(url: str, reason: str) -> str | None:
    """What to do about a certificate that is not trusted, where ``reason`` is of one."""
    if "CERTIFICATE_VERIFY_FAILED" not in reason:
        return None
    detail = reason.partition("certificate verify failed: ")[2] or reason
    return (
        f"{url} shows a certificate that is not trusted here: {detail}; "
        "if it is the right one, name its file in SSL_CERT_FILE"
    )


def fail(command: str, message: str, as_json: bool = False, **more: object) -> NoReturn:
    """Say on stderr why a command ends, in one line, and leave with exit code 1."""
    if as_json:
        print(json.dumps({"error": more.pop("code", "Failed"), "message": message, **more}), file=sys.stderr)
    else:
        print(f"tickwire {command}: {message}", file=sys.stderr)
    sys.exit(1)


@contextmanager
def connected(
    command: str, target: Target, as_json: bool, flags: Mapping[str, str] | None = None, *, in_doubt: str = ""
) -> Iterator["SyncRestClient"]:
    """A client of the server; what goes wrong within ends the command with one line on stderr and exit code 1.

    ``flags`` gives the names by which the user knows the fields of the API. ``in_doubt`` says how to find out whether
    a write was done whose answer never came.
    """
    from tickwire.client import ApiError, ClientError, ConnectionFailed, SyncRestClient

    try:
        found = target.find()
        tls = found.tls
    except NoServer as error:
        fail(command, str(error), as_json, code=type(error).__name__)
    try:
        with SyncRestClient(found.url, found.key, found.secret, ssl_context=tls) as rest:
            try:
                yield rest
            except ApiError as error:
                field = (flags or {}).get(error.field or "", error.field)
                fail(command, _explain(error, field, rest), as_json, code=error.code, field=field)
    except ClientError as error:
        arrived = isinstance(error, ConnectionFailed) and error.may_have_arrived
        hint = f"; {in_doubt}" if in_doubt and arrived else ""
        message = untrusted(found.url, str(error)) or f"{error}{hint}"
        fail(command, message, as_json, code=type(error).__name__)
    except KeyboardInterrupt:
        sys.exit(130)


def _explain(error: "ApiError", field: str | None, rest: "SyncRestClient") -> str:
    """The refusal in the user's words: the flag instead of the field, and what to do."""
    message = error.message
    if error.field is not None and field is not None:
        message = field + message.removeprefix(error.field)
    fix = advice(error.code, error.advice)
    if error.code == "InvalidSymbol":
        fix = _symbols(rest)
    return f"{error.code}: {message}" + (f"; {fix[0].lower()}{fix[1:].rstrip('.')}" if fix else "")


def _symbols(rest: "SyncRestClient") -> str:
    """The symbols that there are, as the advice for one that is not."""
    from tickwire.client import ClientError

    try:
        symbols = rest.symbols()
    except ClientError:
        return ""
    return "there are " + ", ".join((*symbols.perpetual_swap, *symbols.spot)[:30])

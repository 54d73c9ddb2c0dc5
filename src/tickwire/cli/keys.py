"""`tickwire key`: create, list and revoke API keys, on a running server or on its data directory."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx
from cyclopts import App, Parameter

from tickwire.keys.keyring import ApiKey, InvalidKey, KeyRing, KeyRingError
from tickwire.service.discovery import ServerInfo, find_server
from tickwire.service.tls import trusting

__all__ = ["key_app"]

DEFAULT_DATA = Path("tickwire-data")
Data = Annotated[Path | None, Parameter(help="Data directory; absent: ./tickwire-data, or the server that runs.")]
AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON, for scripts.", negative="")]

key_app = App(
    name="key",
    help="""Create, list and revoke API keys.

While a server runs on the data directory the change is made through it and holds at once: a revoked key's streams are
closed. Otherwise the directory itself is changed.
""",
    help_epilogue="""Examples:

    tickwire key create --account alice

    tickwire key create --account bot --scopes read --allow 10.0.0.0/8 --json

    tickwire key list

    tickwire key revoke 8f6c0e1d2b3a495867
""",
)


class _Failed(Exception):
    """What can't be done; the message says why."""


def _place(data: Path | None) -> ServerInfo | Path:
    """Where the keys are: a server that runs, or a directory."""
    if data is not None or DEFAULT_DATA.exists():
        directory = data or DEFAULT_DATA
        return find_server(directory) or directory
    server = find_server()
    if server is None:
        raise _Failed("no ./tickwire-data here and no server running: name the directory with --data")
    return server


def _call(server: ServerInfo, method: str, path: str, body: Any = None) -> Any:
    try:
        reply = httpx.request(
            method, server.url + path, json=body, headers={"x-tickwire-token": server.control_token}, timeout=10,
            verify=True if server.certificate is None else trusting(server.certificate),
        )  # fmt: skip
    except (httpx.HTTPError, OSError) as error:
        raise _Failed(f"the server at {server.url} does not answer: {error}") from None
    if reply.status_code == 200:
        return reply.json()
    try:
        message = reply.json()["message"]
    except (ValueError, KeyError):
        message = f"the server at {server.url} answers {reply.status_code} {reply.text}"
    raise _Failed(message)


def _plain(key: ApiKey) -> dict[str, Any]:
    return {
        "key": key.key,
        "secret": key.secret,
        "account": key.account,
        "scopes": sorted(key.scopes),
        "allow": list(key.allow),
        "created": str(key.created),
    }


@key_app.command
def create(
    *,
    account: Annotated[str, Parameter(help="The account; a new one is opened with the initial balance.")],
    scopes: Annotated[str, Parameter(help="read, trade, or both with a comma.")] = "read,trade",
    allow: Annotated[
        tuple[str, ...], Parameter(help="Network or address that may use the key; repeat for several.")
    ] = (),
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it with its secret, which is not shown again."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    with _errors("create"):
        place = _place(data)
        if isinstance(place, ServerInfo):
            body = {"account": account, "scopes": wanted, "allow": list(allow)}
            found = _call(place, "POST", "/_tickwire/keys", body)
        else:
            found = _plain(KeyRing.open(place).create(account, wanted, allow))
        if as_json:
            print(json.dumps(found))
            return
        print(f"key     {found['key']}\nsecret  {found['secret']}")
        print(f"account {found['account']}, scopes {','.join(found['scopes'])}", end="")
        print(f", from {', '.join(found['allow'])}" if found["allow"] else "")


@key_app.command(name="list")
def list_keys(*, data: Data = None, as_json: AsJson = False) -> None:
    """List the keys that can be used, without their secrets."""
    with _errors("list"):
        place = _place(data)
        if isinstance(place, ServerInfo):
            found = _call(place, "GET", "/_tickwire/keys")["keys"]
        elif place.is_dir():
            found = [_plain(key) for key in KeyRing.open(place).list()]
        else:
            raise _Failed(f"no data directory {place}")
        for key in found:
            key.pop("secret", None)
        if as_json:
            print(json.dumps(found))
            return
        for key in found:
            allow = f"  from {', '.join(key['allow'])}" if key["allow"] else ""
            print(f"{key['key']}  {key['account']}  {','.join(key['scopes'])}{allow}")


@key_app.command
def revoke(key: str, *, data: Data = None, as_json: AsJson = False) -> None:
    """Revoke a key for ever; its streams are closed."""
    with _errors("revoke"):
        place = _place(data)
        if isinstance(place, ServerInfo):
            revoked = _call(place, "DELETE", f"/_tickwire/keys/{quote(key, safe='')}")["revoked"]
        else:
            revoked = KeyRing.open(place).revoke(key)
        if not revoked:
            raise _Failed(f"no key {key} that could be used")
        print(json.dumps({"revoked": key}) if as_json else f"revoked {key}")


@contextmanager
def _errors(command: str) -> Iterator[None]:
    """Turn what can go wrong into one line on stderr and exit code 1."""
    try:
        yield
    except (_Failed, InvalidKey, KeyRingError) as error:
        print(f"tickwire key {command}: {error}", file=sys.stderr)
        sys.exit(1)

"""API keys: in memory for the handshake, in ``keys.sqlite`` for the next start.

A revoked key stays in the file, so that its text is never given out again, but is never found again. Another process
(the command line) may change the file too; ``KeyRing.reload`` takes over what it did.
"""

import functools
import ipaddress
import logging
import os
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import msgspec

__all__ = ["FILE_NAME", "SCOPES", "ApiKey", "InvalidKey", "KeyRing", "KeyRingError"]

_log = logging.getLogger(__name__)

FILE_NAME = "keys.sqlite"
SCOPES = ("read", "trade")

_KEY = re.compile(r"[A-Za-z0-9_-]{8,128}")
_ACCOUNT = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# The insurance fund and the simulated participants: who had a key for one would trade with the exchange's own money.
_RESERVED_ACCOUNT = re.compile(r"insurance|house\..*")
# Printable ASCII: a secret is copied through shells, environment files and other languages' HMAC calls.
_SECRET = re.compile(r"[!-~]{1,256}")

# Hex has no character that a shell, a URL or a double click takes for the end of the word.
_KEY_BYTES = 16
_SECRET_BYTES = 32

_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    key TEXT PRIMARY KEY,
    secret TEXT NOT NULL,
    account TEXT NOT NULL,
    scopes TEXT NOT NULL,  -- separated by blanks
    allow TEXT NOT NULL,  -- separated by blanks; empty allows every address
    created INTEGER NOT NULL,  -- ns since the epoch
    revoked INTEGER  -- ns since the epoch, or null
) WITHOUT ROWID
"""
# Writes are rare and small, and the caller may be the event loop: wait for another process, but not for long.
_BUSY_SECONDS = 1.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class KeyRingError(Exception):
    """The key file can't be used; the message says why."""


class InvalidKey(ValueError):
    """A key can't be created as asked; the message names the field and what was expected."""


class ApiKey(msgspec.Struct, frozen=True):
    """One key. ``allow`` lists networks and addresses, empty for all; ``created`` is in ns since the epoch.

    ``networks`` is ``allow`` parsed, and is made here. Raises ``ValueError`` for an ``allow`` that can't be parsed.
    """

    key: str
    secret: str
    account: str
    scopes: frozenset[str]
    allow: tuple[str, ...]
    created: int
    networks: tuple[Network, ...] = ()

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "networks", tuple(map(_parse_network, self.allow)))

    def __repr__(self) -> str:
        # Without the secret: keys end up in logs and tracebacks.
        return f"ApiKey({self.key!r}, account={self.account!r}, scopes={sorted(self.scopes)}, allow={self.allow})"

    def allows(self, address: str) -> bool:
        """Whether a peer at ``address`` may use the key. IPv4 inside IPv6 (``::ffff:192.0.2.1``) counts as IPv4."""
        if not self.networks:
            return True
        parsed = _parse_address(address)
        return parsed is not None and any(parsed in network for network in self.networks)


class KeyRing:
    """All keys of one data directory. Used by one thread at a time; lookups never touch the file."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._keys: dict[str, ApiKey] = {}
        self._version = -1  # no data_version is negative: the first load always reads
        self.on_revoked: list[Callable[[str], None]] = []

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> "KeyRing":
        """Read the keys of ``directory``; makes directory and file where there are none, for the owner's eyes only.

        Raises ``KeyRingError``.
        """
        path = Path(directory, FILE_NAME)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite would create the file with the umask's mode, and gives its journal the mode of the file.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
        except OSError as error:
            raise KeyRingError(f"{path}: expected a file that can be written: {error.strerror}") from None
        connection: sqlite3.Connection | None = None
        try:
            # check_same_thread: the thread that opens the ring need not be the one that runs the event loop.
            connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > _FORMAT:
                raise KeyRingError(f"{path}: expected format {_FORMAT} or older, got {version}: use a newer tickwire")
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
            ring = cls(connection, path)
            ring.reload()
        except (sqlite3.Error, KeyRingError) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, KeyRingError):
                raise
            raise KeyRingError(f"{path}: expected a key file that can be read and written: {error}") from None
        return ring

    def find(self, key: str) -> ApiKey | None:
        """The key of that text, unless it is unknown or revoked."""
        return self._keys.get(key)

    def list(self) -> list[ApiKey]:
        """Every key that can be used, oldest first."""
        return sorted(self._keys.values(), key=lambda key: (key.created, key.key))

    def create(
        self,
        account: str,
        scopes: Collection[str],
        allow: Iterable[str] = (),
        key: str | None = None,
        secret: str | None = None,
        now: int | None = None,
    ) -> ApiKey:
        """Add a key for ``account``; text and secret are random where none are given.

        ``scopes`` holds ``read``, ``trade`` or both; ``allow`` networks (``192.0.2.0/24``) or single addresses;
        ``now`` is in ns since the epoch. Raises ``InvalidKey``, or ``KeyRingError`` when the file can't be written.
        """
        created = ApiKey(
            key=_matching(_KEY, "key", key, "8 to 128 letters, digits, _ or -") if key is not None else _random_key(),
            secret=_random_secret() if secret is None else _valid_secret(secret),
            account=_valid_account(account),
            scopes=_valid_scopes(scopes),
            allow=_valid_allow(allow),
            created=time.time_ns() if now is None else now,
        )
        row = (
            created.key,
            created.secret,
            created.account,
            " ".join(sorted(created.scopes)),
            " ".join(created.allow),
            created.created,
        )
        try:
            self._connection.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
        except sqlite3.IntegrityError:
            raise InvalidKey(f"key: expected one never used before, got {created.key!r}") from None
        except sqlite3.Error as error:
            raise self._failure(error) from None
        self._keys[created.key] = created
        return created

    def revoke(self, key: str, now: int | None = None) -> bool:
        """End a key for ever and call ``on_revoked``; false when it is unknown or revoked already.

        Raises ``KeyRingError`` when the file can't be written; the key then still works.
        """
        self.reload()
        if key not in self._keys:
            return False
        try:
            self._connection.execute(
                "UPDATE keys SET revoked = ? WHERE key = ? AND revoked IS NULL",
                (time.time_ns() if now is None else now, key),
            )
        except sqlite3.Error as error:
            raise self._failure(error) from None
        del self._keys[key]
        self._report_revoked(key)
        return True

    def reload(self) -> bool:
        """Take over what another process changed in the file; whether there was anything.

        Costs a few microseconds when nothing changed. Raises ``KeyRingError`` when the file can't be read.
        """
        try:
            # The version first: a change between the two reads is then seen by the next call.
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if version == self._version:
                return False
            rows = self._connection.execute(
                "SELECT key, secret, account, scopes, allow, created FROM keys WHERE revoked IS NULL"
            ).fetchall()
            keys = {row[0]: _from_row(row) for row in rows if _is_a_clients(row[2], row[0])}
        except (sqlite3.Error, ValueError) as error:
            raise self._failure(error) from None
        self._version = version
        gone = [key for key in self._keys if key not in keys]
        changed = keys != self._keys
        self._keys = keys
        for key in gone:
            self._report_revoked(key)
        return changed

    def close(self) -> None:
        """Close the file. The ring can't be changed any more."""
        self._connection.close()

    def _report_revoked(self, key: str) -> None:
        for callback in self.on_revoked:
            callback(key)

    def _failure(self, error: Exception) -> KeyRingError:
        return KeyRingError(f"{self._path}: expected a key file that can be read and written: {error}")


def _is_a_clients(account: str, key: str) -> bool:
    """False for a key of the exchange's own accounts, which versions before this check let one make; says so."""
    if _RESERVED_ACCOUNT.fullmatch(account) is None:
        return True
    _log.warning("the key %s is refused: its account %s belongs to the exchange", key, account)
    return False


def _from_row(row: tuple[str, str, str, str, str, int]) -> ApiKey:
    key, secret, account, scopes, allow, created = row
    return ApiKey(key, secret, account, frozenset(scopes.split()), tuple(allow.split()), created)


def _random_key() -> str:
    return secrets.token_hex(_KEY_BYTES)


def _random_secret() -> str:
    return secrets.token_hex(_SECRET_BYTES)


def _matching(pattern: re.Pattern[str], field: str, text: str, expected: str) -> str:
    if pattern.fullmatch(text) is None:
        raise InvalidKey(f"{field}: expected {expected}, got {text[:160]!r}")
    return text


def _valid_account(name: str) -> str:
    if _RESERVED_ACCOUNT.fullmatch(name) is not None:
        raise InvalidKey(f"account: expected a client's, got {name!r}, which belongs to the exchange")
    return _matching(_ACCOUNT, "account", name, "1 to 64 letters, digits, _, . or -")


def _valid_secret(text: str) -> str:
    if _SECRET.fullmatch(text) is None:
        # Not echoed, unlike the other fields: it may be a secret with one blank too many.
        raise InvalidKey(f"secret: expected 1 to 256 printable ASCII characters without blanks, got {len(text)} others")
    return text


def _valid_scopes(scopes: Collection[str]) -> frozenset[str]:
    if not scopes or not all(scope in SCOPES for scope in scopes):
        raise InvalidKey(f"scopes: expected {' or '.join(SCOPES)} or both, got {scopes!r}")
    return frozenset(scopes)


def _valid_allow(entries: Iterable[str]) -> tuple[str, ...]:
    allow = tuple(entry.strip() for entry in entries)
    for entry in allow:
        try:
            _parse_network(entry)
        except ValueError as error:
            raise InvalidKey(f"allow: expected an address or a network such as 192.0.2.0/24: {error}") from None
    return allow


def _parse_network(text: str) -> Network:
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


@functools.lru_cache(maxsize=4096)  # a client comes again and again from the same address
def _parse_address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a Unix socket's peer has no address
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address

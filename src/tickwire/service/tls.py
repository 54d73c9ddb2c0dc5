"""Certificates: what the server shows, and what local commands trust.

The server ends TLS itself when it is given a certificate and its key; REST and stream are then ``https`` and ``wss`` on
the one port. A command that finds the server through its data directory trusts the very certificate that is named
there: whoever can write that file can also read the keys beside it.
"""

import asyncio
import signal
import ssl
from collections.abc import Callable
from pathlib import Path

__all__ = ["TlsError", "reload_certificate", "reload_on_signal", "server_context", "trusting"]


class TlsError(Exception):
    """A certificate or key that can't be used; the message names the flag, the file and what to do."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """The server's side of TLS 1.2 and 1.3. Raises ``TlsError``."""
    for flag, path in (("--tls-cert", certificate), ("--tls-key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise TlsError(f"{flag}: can't read {path}: {error.strerror}") from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except ssl.SSLError:
        raise TlsError(f"--tls-cert: expected a certificate in PEM form, {certificate} has none") from None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load(context, certificate, key)
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    def no_passphrase() -> str:
        raise TlsError(
            f"--tls-key: expected a key without a passphrase, {key} is encrypted: openssl pkey -in {key} -out PLAIN"
        )

    try:
        context.load_cert_chain(certificate, key, no_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(f"--tls-key: expected the key of {certificate}, {key} is of another one") from None
        raise TlsError(f"--tls-key: expected a private key in PEM form, {key} has none") from None


def reload_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Show new connections what the files hold now. Raises ``TlsError``, and then goes on with the old ones."""
    server_context(certificate, key)  # first beside it: a failure half way would leave the context with no pair
    _load(context, certificate, key)


def reload_on_signal(
    loop: asyncio.AbstractEventLoop, context: ssl.SSLContext, certificate: Path, key: Path, say: Callable[[str], None]
) -> None:
    """Read certificate and key afresh at each SIGHUP; ``say`` gets a line on how that went."""

    def read() -> None:
        try:
            reload_certificate(context, certificate, key)
        except TlsError as error:
            say(f"went on with the certificate as it was: {error}")
        else:
            say(f"read the certificate {certificate} again")

    loop.add_signal_handler(signal.SIGHUP, read)


def trusting(certificate: str) -> ssl.SSLContext:
    """A client's side that trusts the certificate in this file, whatever name it is for and whoever signed it.

    Raises ``OSError`` where it can't be read.
    """
    context = ssl.create_default_context(cafile=certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is enough, signed by whomever
    context.check_hostname = False  # it is for the name that others use; this machine's address need not be in it
    return context

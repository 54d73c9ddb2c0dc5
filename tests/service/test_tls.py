"""Certificates and keys: what is taken, what is refused and how it is said."""

import contextlib
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tickwire.service.settings import Settings, SettingsError
from tickwire.service.tls import TlsError, reload_certificate, server_context


class Files:
    """A certificate with its key, and one more."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        self.directory = directory
        self.certificate, self.key = self.issue(authority, "first")
        self.other_certificate, self.other_key = self.issue(authority, "second")

    def issue(self, authority: trustme.CA, name: str) -> tuple[Path, Path]:
        issued = authority.issue_cert(f"{name}.example.com")
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return certificate, key

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path

    def encrypted(self) -> Path:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed, and make test could not install it")
        path = self.directory / "encrypted.key"
        command = ["openssl", "pkey", "-in", self.key, "-aes256", "-passout", "pass:x", "-out", path]
        subprocess.run(command, check=True, capture_output=True)
        return path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_pair_that_fits_is_taken(files: Files) -> None:
    context = server_context(files.certificate, files.key)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (lambda f: (f.directory / "no.pem", f.key), "--tls-cert: can't read {d}/no.pem: No such file or directory"),
        (lambda f: (f.certificate, f.directory), "--tls-key: can't read {d}: Is a directory"),
        (lambda f: (f.write("x", "hello"), f.key), "--tls-cert: expected a certificate in PEM form, {d}/x has none"),
        (lambda f: (f.key, f.key), "--tls-cert: expected a certificate in PEM form, {d}/first.key has none"),
        (
            lambda f: (f.certificate, f.write("x", "hello")),
            "--tls-key: expected a private key in PEM form, {d}/x has none",
        ),
        (
            lambda f: (f.certificate, f.other_key),
            "--tls-key: expected the key of {d}/first.pem, {d}/second.key is of another one",
        ),
        (
            lambda f: (f.certificate, f.encrypted()),
            "--tls-key: expected a key without a passphrase, {d}/encrypted.key is encrypted: "
            "openssl pkey -in {d}/encrypted.key -out PLAIN",
        ),
    ],
)
def test_what_can_not_be_used_is_named(files: Files, pair: Callable[[Files], tuple[Path, Path]], said: str) -> None:
    with pytest.raises(TlsError) as caught:
        server_context(*pair(files))
    assert str(caught.value) == said.format(d=files.directory)


def test_one_flag_needs_the_other() -> None:
    with pytest.raises(SettingsError, match="--tls-cert: expected together with --tls-key"):
        Settings(tls_cert=Path("cert.pem"))
    with pytest.raises(SettingsError, match="--tls-key: expected together with --tls-cert"):
        Settings(tls_key=Path("key.pem"))


def shown_by(context: ssl.SSLContext) -> bytes:
    """The certificate that a handshake in memory brings."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    client = trust.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    found = client.getpeercert(binary_form=True)
    assert found is not None
    return found


def test_a_failed_reload_leaves_the_old_pair(files: Files) -> None:
    context = server_context(files.certificate, files.key)
    first = shown_by(context)
    with pytest.raises(TlsError):
        reload_certificate(context, files.other_certificate, files.key)
    assert shown_by(context) == first
    reload_certificate(context, files.other_certificate, files.other_key)
    assert shown_by(context) != first

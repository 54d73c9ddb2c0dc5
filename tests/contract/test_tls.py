"""REST and stream as `https` and `wss`, served directly."""

import json
import os
import shutil
import signal
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme
from tests.contract.support import PERPETUAL, Account, Server, Stream, environment, tickwire, until

TICKER = f"ticker.{PERPETUAL}"


class Certificates:
    """An authority of the test's own, and the files that it has signed."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._authority = trustme.CA()
        self.authority = directory / "authority.pem"
        self._authority.cert_pem.write_to_path(self.authority)
        self.certificate, self.key = directory / "cert.pem", directory / "key.pem"
        self.issue("127.0.0.1")

    def issue(self, *names: str) -> None:
        issued = self._authority.issue_cert(*names)
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(self.key)

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls") / "certificates")


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("secure")
    flags = ("--tls-cert", str(certificates.certificate), "--tls-key", str(certificates.key))
    server = Server(directory / "data", "--no-market", "--no-limits", *flags, "--close-timeout", "0.5")
    with server:
        server.http = httpx.Client(base_url=server.url, timeout=20, verify=certificates.trust)
        server.demo.http = server.http
        yield server


def test_the_banner_and_the_file_say_so(secure: Server) -> None:
    assert f"stream  wss://127.0.0.1:{secure.url.rpartition(':')[2]}/api/v1/stream" in secure.banner
    assert secure.url.startswith("https://127.0.0.1:")
    assert f"REST    {secure.url}/api/v1" in secure.banner


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_orders_and_their_frames(secure: Server, certificates: Certificates, compression: str | None) -> None:
    alice = secure.account()
    with alice.stream("account.order", f"orderbook.{PERPETUAL}", ssl=certificates.trust, compression=compression) as s:
        response = s.connection.response
        assert response is not None
        assert ("sec-websocket-extensions" in response.headers) == (compression is not None)
        order = alice.buy("0.1", "50000")
        alice.cancel(order)
        assert [row["status"] for row in s.rows("account.order")] == ["NEW", "CANCELED"]
        s.connection.send("ping")
        assert s.connection.recv() == "pong"
    assert alice.open_orders() == []


def test_a_stalled_reader_is_conflated_and_catches_up(secure: Server, certificates: Certificates) -> None:
    """The high-water mark of the transport works under TLS too."""
    alice = secure.account()
    place = ("127.0.0.1", int(secure.url.rpartition(":")[2]))
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    plain.connect(place)
    # websockets' own reading thread would read on: pause it at a small number of bytes that nobody takes.
    with alice.stream(
        f"orderbook.delta.{PERPETUAL}", sock=plain, ssl=certificates.trust, server_hostname="127.0.0.1", max_queue=1
    ) as stream:
        prices = [f"{price}.{tenth}" for price in range(40_000, 40_150) for tenth in range(4)]
        placed = [alice.buy("0.000100", price) for price in prices]
        for order in placed[:-1]:
            alice.cancel(order)
        kinds = [part["actionType"] for frame in stream.barrier() for part in frame["data"]]
        book = alice.get(f"/market/orderbook?symbol={PERPETUAL}")
    assert book["bids"] == [[prices[-1], "0.0001"]]
    assert kinds
    alice.cancel_all()


def test_local_commands_trust_the_certificate_of_the_data_directory(secure: Server, tmp_path: Path) -> None:
    listed = tickwire("key", "list", "--data", str(secure.directory), home=secure.directory.parent)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert secure.demo.key in listed.stdout


def watch(server: Server, **variables: str) -> tuple[int, str, str]:
    """`tickwire watch` up to its first frame, or its failure."""
    import subprocess

    process = subprocess.Popen(
        [sys.executable, "-m", "tickwire.cli", "watch", "account", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(server.directory.parent) | variables,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    process.terminate()
    _, error = process.communicate(timeout=20)
    return process.returncode, line, error


def test_watch_finds_and_trusts_the_server(secure: Server) -> None:
    _, line, error = watch(secure)
    assert error == ""
    assert json.loads(line)["topic"] == "account"


def test_watch_by_url_trusts_what_the_environment_names(secure: Server, certificates: Certificates) -> None:
    named = {
        "TICKWIRE_URL": secure.url,
        "TICKWIRE_API_KEY": secure.demo.key,
        "TICKWIRE_API_SECRET": secure.demo.secret,
    }
    code, line, error = watch(secure, **named)
    assert (code, line) == (1, "")
    assert "certificate that is not trusted here" in error
    assert "SSL_CERT_FILE" in error
    assert len(error.splitlines()) == 1
    _, line, error = watch(secure, **named, SSL_CERT_FILE=str(certificates.authority))
    assert error == ""
    assert json.loads(line)["topic"] == "account"


def handshake(account: Account, connection: ssl.SSLSocket) -> None:
    lines = [
        "GET /api/v1/stream HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"{name}: {value}" for name, value in account.headers("GET", "/api/v1/stream").items()), "", "",
    ]  # fmt: skip
    connection.sendall("\r\n".join(lines).encode())
    reply = b""
    while not reply.endswith(b"\r\n\r\n"):
        reply += connection.recv(1)
    assert reply.startswith(b"HTTP/1.1 101 ")


def test_a_peer_that_does_not_answer_the_end_is_cut_off(secure: Server, certificates: Certificates) -> None:
    """Neither the close frame nor the end of TLS: the server does not wait for long."""
    port = int(secure.url.rpartition(":")[2])
    other = secure.account()
    sessions = secure.control("GET", "health")["sessions"]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        with certificates.trust.wrap_socket(plain, server_hostname="127.0.0.1", do_handshake_on_connect=True) as raw:
            handshake(other, raw)
            assert secure.control("GET", "health")["sessions"] == sessions + 1
            secure.control("DELETE", f"keys/{other.key}")
            head = raw.recv(2)
            assert head[0] == 0x88
            assert int.from_bytes(raw.recv(head[1])[:2], "big") == 1008
            until(lambda: secure.control("GET", "health")["sessions"] == sessions)
            # The connection ends from the server's side, without a word of ours.
            plain_end = raw.unwrap if False else None
            assert plain_end is None


def test_a_new_certificate_is_read_on_sighup(tmp_path: Path) -> None:
    files = Certificates(tmp_path / "certificates")
    flags = ("--tls-cert", str(files.certificate), "--tls-key", str(files.key))
    with Server(tmp_path / "data", "--no-market", *flags) as server:
        port = int(server.url.rpartition(":")[2])

        def shown() -> bytes:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
                with files.trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
                    found = connection.getpeercert(binary_form=True)
                    assert found is not None
                    return found

        first = shown()
        assert shown() == first
        assert server.process.stdout is not None
        server.process.stdout.readline()
        backup = tmp_path / "key.pem"
        shutil.copy(files.key, backup)
        files.issue("127.0.0.1")
        second_key = files.key.read_bytes()
        files.key.write_bytes(backup.read_bytes())
        os.kill(server.process.pid, signal.SIGHUP)
        line = ""
        while "went on with the certificate as it was: --tls-key" not in line:
            line = server.process.stdout.readline()
            assert line
        assert shown() == first
        files.key.write_bytes(second_key)
        os.kill(server.process.pid, signal.SIGHUP)
        assert "again" in server.process.stdout.readline()
        assert shown() != first
        server.http.close()
        server.http = httpx.Client(base_url=server.url, verify=files.trust)
        with server.demo.stream(TICKER, ssl=files.trust) as stream:
            assert isinstance(stream, Stream)
            time.sleep(0)

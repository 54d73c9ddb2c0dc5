"""REST and stream as `https` and `wss`, served directly."""

import json
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.contract.raw import CLOSE, RawSocket, connect
from tests.contract.support import PATIENCE, PERPETUAL, STREAM, Server, environment, tickwire, until


class Certificates:
    """An authority of the test's own, and a certificate that it has signed."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._authority = trustme.CA()
        self.authority = directory / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.authority))
        self.certificate, self.key = directory / "cert.pem", directory / "key.pem"
        self.issue()

    def issue(self) -> None:
        """Write a new certificate with a new key."""
        issued = self._authority.issue_cert("127.0.0.1")
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(self.key))

    @property
    def flags(self) -> tuple[str, ...]:
        return ("--tls-cert", str(self.certificate), "--tls-key", str(self.key))

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)

    def connect(self, server: Server) -> ssl.SSLSocket:
        """A connection that the test talks over by itself."""
        return self.trust.wrap_socket(connect(server), server_hostname="127.0.0.1")


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls") / "certificates")


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("secure") / "data"
    with Server(data, "--no-market", "--no-limits", *certificates.flags, verify=certificates.trust) as server:
        yield server


def test_the_banner_and_the_file_say_so(secure: Server) -> None:
    assert secure.url.startswith("https://127.0.0.1:")
    assert f"stream  wss://127.0.0.1:{port_of(secure)}{STREAM}" in secure.banner
    assert f"REST    {secure.url}/api/v1" in secure.banner


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_orders_and_their_frames(secure: Server, certificates: Certificates, compression: str | None) -> None:
    alice = secure.account()
    topics = ("account.order", f"orderbook.{PERPETUAL}")
    with alice.stream(*topics, ssl=certificates.trust, compression=compression) as stream:
        response = stream.connection.response
        assert response is not None
        assert ("sec-websocket-extensions" in response.headers) == (compression is not None)
        order = alice.buy("0.1", "50000")
        alice.cancel(order)
        assert [row["status"] for row in stream.rows("account.order")] == ["NEW", "CANCELED"]
        stream.connection.send("x" * 65_536)
        stream.collect(lambda found: bool(found) and found[-1].get("error") == "InvalidJson")


def conflated(server: Server) -> float:
    page = server.http.get("/_tickwire/metrics").text
    return float(page.partition('tickwire_stream_conflated_total{reason="behind"} ')[2].partition("\n")[0])


def test_a_reader_that_stalls_is_behind_and_catches_up(secure: Server, certificates: Certificates) -> None:
    alice = secure.account()
    book = f"orderbook.delta.{PERPETUAL}"
    orders = [alice.buy("0.0001", str(price)) for price in range(40_000, 40_200)]
    with alice.stream(book, ssl=certificates.trust, compression=None, max_queue=1) as stream:
        before = conflated(secure)
        asked = 0
        while conflated(secure) == before:
            assert asked < 5_000
            for _ in range(50):
                stream.send(book, op="subscribe")  # each brings the whole book, and nobody reads it
            asked += 50
        for order in orders[:-1]:
            alice.cancel(order)
        levels: dict[str, str] = {}

        def one_order_is_left(found: list[dict[str, Any]]) -> bool:
            nonlocal levels
            if found and "topic" in found[-1]:
                (part,) = found[-1]["data"]
                (row,) = part["rows"]
                levels = (levels if part["actionType"] == "UPDATE" else {}) | dict(row["bids"])
            return {price: size for price, size in levels.items() if size != "0"} == {"40199.0": "0.0001"}

        stream.collect(one_order_is_left)
    alice.cancel_all()


def test_a_peer_that_answers_nothing_is_cut_off(secure: Server, certificates: Certificates) -> None:
    """Neither the close frame nor the end of TLS is answered."""
    other = secure.account()
    sessions = secure.control("GET", "health")["sessions"]
    with RawSocket(other, connection=certificates.connect(secure)) as raw:
        assert raw.status.startswith("HTTP/1.1 101 ")
        assert secure.control("GET", "health")["sessions"] == sessions + 1
        secure.control("DELETE", f"keys/{other.key}")
        assert raw.receive() == (CLOSE, (1008).to_bytes(2, "big") + b"key revoked")
        until(lambda: secure.control("GET", "health")["sessions"] == sessions)
        # What comes then is the end, without a word of ours.
        assert raw.receive() == (0, b"")


def test_local_commands_trust_the_certificate_that_the_server_has(secure: Server) -> None:
    home = secure.directory.parent
    listed = tickwire("key", "list", "--data", str(secure.directory), home=home)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert secure.demo.key in listed.stdout
    assert json.loads(watch(secure)[1])["topic"] == "account"
    positions = tickwire("positions", "--json", home=home, cwd=home)
    assert (positions.returncode, positions.stdout) == (0, "[]\n"), positions.stderr


def watch(server: Server, **variables: str) -> tuple[int, str, str]:
    """Exit code, first line and errors of `tickwire watch`."""
    command = [sys.executable, "-m", "tickwire.cli", "watch", "account", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(server.directory.parent) | variables,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, line, errors


def test_watch_by_url_trusts_what_the_environment_names(secure: Server, certificates: Certificates) -> None:
    named = {
        "TICKWIRE_URL": secure.url,
        "TICKWIRE_API_KEY": secure.demo.key,
        "TICKWIRE_API_SECRET": secure.demo.secret,
    }
    code, line, errors = watch(secure, **named)
    assert (code, line, len(errors.splitlines())) == (1, "", 1)
    assert "certificate that is not trusted here" in errors
    assert "SSL_CERT_FILE" in errors
    refused = tickwire("positions", home=secure.directory.parent, **named)
    assert refused.returncode == 1
    assert "certificate that is not trusted here" in refused.stderr
    _, line, errors = watch(secure, **named, SSL_CERT_FILE=str(certificates.authority))
    assert json.loads(line)["topic"] == "account", errors


def test_a_new_certificate_is_read_on_sighup(tmp_path: Path) -> None:
    files = Certificates(tmp_path / "certificates")
    with Server(tmp_path / "data", "--no-market", *files.flags, verify=files.trust) as server:

        def shown() -> bytes | None:
            with files.connect(server) as connection:
                return connection.getpeercert(binary_form=True)

        def says(text: str) -> None:
            server.process.send_signal(signal.SIGHUP)
            assert server.process.stdout is not None
            # A reload is said in a line; of the banner there may be some left.
            for line in server.process.stdout:
                if "certificate" in line:
                    assert text in line
                    return

        first, old_key = shown(), files.key.read_bytes()
        files.issue()
        new_key = files.key.read_bytes()
        files.key.write_bytes(old_key)
        says("went on with the certificate as it was: --tls-key: expected the key of ")
        assert shown() == first
        files.key.write_bytes(new_key)
        says("read the certificate ")
        assert shown() != first
        assert server.demo.get("/account")


def test_a_file_that_can_not_be_used_stops_the_start(tmp_path: Path) -> None:
    flags = ("--tls-cert", str(tmp_path / "no.pem"), "--tls-key", str(tmp_path / "no.key"))
    ran = tickwire("serve", "--port", "0", "--data", str(tmp_path / "data"), *flags, home=tmp_path)
    expected = f"tickwire serve: --tls-cert: can't read {tmp_path}/no.pem: No such file or directory\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", expected)
    assert not (tmp_path / "data").exists()

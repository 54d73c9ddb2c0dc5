"""nginx in front, with the very configuration of the how-to: TLS ends there."""

import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.contract import test_browsers
from tests.contract.raw import RawSocket
from tests.contract.support import PATIENCE, PERPETUAL, STREAM, Account, Server, until
from tests.contract.test_tls import Certificates
from websockets.exceptions import ConnectionClosed

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "behind-nginx.md").read_text()
FRAME = """\
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{configuration}
}}
"""


class Proxy:
    """nginx on a free port, in front of a server."""

    def __init__(self, directory: Path, server: Server) -> None:
        self.certificates = Certificates(directory / "certificates")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (configuration,) = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
        for there, here in (
            ("server 127.0.0.1:8080;", f"server {server.url.removeprefix('http://')};"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("/etc/ssl/exchange.example.com.pem", str(self.certificates.certificate)),
            ("/etc/ssl/exchange.example.com.key", str(self.certificates.key)),
        ):
            assert there in configuration
            configuration = configuration.replace(there, here)
        path = directory / "nginx.conf"
        path.write_text(FRAME.format(directory=directory, configuration=configuration))
        # Workers run as another user, and pass the directory on their way to the temporary files.
        os.chmod(directory, 0o755)
        self.process = subprocess.Popen(["nginx", "-c", path, "-e", directory / "error.log"])
        self.url = f"https://127.0.0.1:{self.port}"
        self.stream_url = f"wss://127.0.0.1:{self.port}{STREAM}"
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE, verify=self.trust)
        self.errors = directory / "error.log"

    @property
    def trust(self) -> ssl.SSLContext:
        return self.certificates.trust

    def answers(self) -> bool:
        try:
            return self.http.get("/api/v1/public/ping").status_code == 200
        except httpx.TransportError:
            assert self.process.poll() is None, self.errors.read_text()
            return False

    def close(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, live: Server) -> Iterator[Proxy]:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed, and make test could not install it")
    proxy = Proxy(tmp_path_factory.mktemp("nginx"), live)
    until(proxy.answers)
    yield proxy
    proxy.close()


@pytest.fixture
def alice(proxy: Proxy, live: Server) -> Iterator[Account]:
    account = live.account()
    account.http = proxy.http
    yield account
    account.cancel_all()


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_orders_and_their_frames(proxy: Proxy, alice: Account, compression: str | None) -> None:
    options = {"url": proxy.stream_url, "ssl": proxy.trust, "compression": compression}
    with alice.stream("account.order", f"ticker.{PERPETUAL}", **options) as stream:
        response = stream.connection.response
        assert response is not None
        assert ("sec-websocket-extensions" in response.headers) == (compression is not None)
        order = alice.buy("0.0001", "40000")
        alice.cancel(order)
        assert [row["status"] for row in stream.rows("account.order")] == ["NEW", "CANCELED"]
        stream.connection.send('{"op":"ping"}'.ljust(65_536))
        stream.collect(lambda found: bool(found) and found[-1].get("op") == "pong")


def test_signed_queries_and_bodies_pass_as_they_came(alice: Account) -> None:
    assert alice.get(f"/market/kline?symbol={PERPETUAL}&interval=1&limit=100")
    assert alice.send("GET", "/market/ticker?symbol=BTCUSDT%2EPERP").status_code == 200
    assert alice.refused("POST", "/trade/order", symbol=PERPETUAL)[0] == "InvalidParameter"


@pytest.mark.parametrize("browser", test_browsers.BROWSERS)
def test_a_browser_opens_a_stream(proxy: Proxy, live: Server, browser: str) -> None:
    plain = socket.create_connection(("127.0.0.1", proxy.port), PATIENCE)
    connection = proxy.trust.wrap_socket(plain, server_hostname="127.0.0.1")
    asked = test_browsers.request(live.demo, test_browsers.BROWSERS[browser])
    with RawSocket(live.demo, connection=connection, request=asked) as raw:
        test_browsers.follow(raw)


def test_refusals_and_closes_pass(proxy: Proxy, live: Server) -> None:
    assert proxy.http.get("/api/v1/account").status_code == 401
    account = live.account()
    with account.stream(url=proxy.stream_url, ssl=proxy.trust) as stream:
        live.control("DELETE", f"keys/{account.key}")
        with pytest.raises(ConnectionClosed):
            stream.connection.recv(PATIENCE)
        assert (stream.connection.close_code, stream.connection.close_reason) == (1008, "key revoked")


def test_the_control_plane_is_not_passed_on(proxy: Proxy) -> None:
    assert proxy.http.get("/_tickwire/health").status_code == 404
    assert proxy.http.get("/docs").status_code == 200

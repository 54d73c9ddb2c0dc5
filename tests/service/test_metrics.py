"""Every metric of the catalogue is served by a running server, and moves when what it counts happens."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.contract.support import PERPETUAL, STREAM, Account, Server, until
from tests.service.exchange import Exchange
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tickwire.exchange.commands import Tick
from tickwire.service.metrics import METRICS

Samples = dict[str, float]


def scrape(server: Server, **parameters: str) -> Samples:
    """Every sample by its name and labels, as Prometheus reads them."""
    reply = server.http.get("/_tickwire/metrics", params=parameters)
    assert reply.status_code == 200, reply.text
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With a market, whose books fill a stalled reader's buffers, and limits that are soon hit."""
    flags = ("--topics-per-frame", "20", "--topics-per-socket", "30", "--operations-per-second", "20")
    flags += ("--sockets-per-key", "3", "--upgrade-burst", "14", "--upgrades-per-minute", "1")
    flags += ("--requests-per-second", "40", "--snapshot-every", "500", "--metrics-token", "scraper")
    with Server(tmp_path_factory.mktemp("metrics") / "data", *flags) as server:
        yield server


class Change:
    """What has been added to each sample since this was made."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.before = scrape(server)

    def __call__(self, name: str) -> float:
        assert any(name.startswith(metric.name) for metric in METRICS), f"no metric of {name!r}"
        found = scrape(self.server)
        return found.get(name, 0) - self.before.get(name, 0)


def test_the_page_has_the_catalogue_and_nothing_else(server: Server) -> None:
    families = list(text_string_to_metric_families(server.http.get("/_tickwire/metrics").text))
    served = {family.name + ("_total" if family.type == "counter" else ""): family for family in families}
    assert list(served) == [metric.name for metric in METRICS]
    for metric in METRICS:
        family = served[metric.name]
        assert (family.type, family.documentation) == (metric.type, metric.help)
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(metric.labels)


def test_names_follow_the_conventions() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.name.startswith(("tickwire_", "process_"))
        assert metric.name.endswith("_total") == (metric.type == "counter")
        assert metric.help.endswith(".")
        if metric.unit in ("seconds", "bytes"):
            assert metric.unit in metric.name.removesuffix("_total")


def test_streams_frames_and_closes(server: Server) -> None:
    account, change = server.account(), Change(server)
    with account.stream(f"ticker.{PERPETUAL}", "account.order") as stream:
        assert change("tickwire_stream_connections") == 1
        assert change("tickwire_stream_connections_accepted_total") == 1
        assert change("tickwire_stream_subscriptions kind=ticker") == 1
        assert change("tickwire_stream_subscriptions kind=account.order") == 1
        assert change("tickwire_stream_operations_total") == 1
        stream.collect(lambda frames: len(frames) == 3)
        # The reply and two snapshots, and the three.
        assert change("tickwire_stream_frames_total") >= 6
        assert change("tickwire_stream_bytes_total") > 500
        assert change("tickwire_stream_frames_per_write_sum") >= 6
        # At least the first three of them left in one write.
        assert change("tickwire_stream_frames_per_write_count") < change("tickwire_stream_frames_per_write_sum")
        assert change("tickwire_stream_frames_per_write_bucket le=3.0") >= 1
        assert change("tickwire_stream_publish_seconds_count") >= 1
    until(lambda: change("tickwire_stream_connections") == 0)
    assert change("tickwire_stream_subscriptions kind=ticker") == 0
    assert change("tickwire_stream_closes_total code= name=by_client") == 1


def test_a_revoked_key(server: Server) -> None:
    account, change = server.account(), Change(server)
    with account.stream(f"ticker.{PERPETUAL}"):
        server.control("DELETE", f"keys/{account.key}")
        until(lambda: change("tickwire_stream_connections") == 0)
    assert change("tickwire_stream_closes_total code=1008 name=key_revoked") == 1
    assert change("tickwire_rest_requests_total endpoint=/_tickwire/keys/{key} method=DELETE status=200") == 1


def test_conflation_and_resume_as_a_client_asks_for_them(server: Server) -> None:
    account, change = server.account(), Change(server)
    topic = f"ticker.{PERPETUAL}"
    with account.stream() as stream:
        stream.send(op="configure", conflate_ms=500, resume=True)
        assert stream.receive()["success"] is True
        stream.send(topic, op="subscribe")
        frames = stream.collect(lambda frames: len(frames) >= 2 and "offset" in frames[-1])
        until(lambda: change("tickwire_stream_dropped_total reason=configure") >= 1)
        assert change("tickwire_stream_dropped_total reason=behind") == 0
    position = {"epoch": frames[-1]["epoch"], "offset": frames[-1]["offset"]}
    with account.stream() as stream:
        stream.send(op="configure", resume=True)
        stream.send(topic, op="subscribe", resume={topic: position})
        until(lambda: change("tickwire_stream_resumes_total outcome=exact") == 1)
        stream.send(topic, op="subscribe", resume={topic: {"epoch": "other", "offset": 1}})
        until(lambda: change("tickwire_stream_resumes_total outcome=snapshot") == 1)


def refuse(account: Account, **headers: str) -> None:
    with pytest.raises(InvalidStatus), connect(account.server.stream_url, additional_headers=headers):
        pass


def test_a_stalled_reader(server: Server) -> None:
    account, change = server.account(), Change(server)
    topics = [f"orderbook{mode}.{name}USDT.PERP" for mode in ("", ".delta") for name in ("BTC", "ETH", "SOL", "XRP")]
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = server.url.removeprefix("http://").partition(":")
    plain.connect((host, int(port)))
    with account.stream(sock=plain, max_queue=1) as stream:
        stream.send(*topics, op="subscribe")
        until(lambda: change("tickwire_stream_conflated_total reason=behind") >= 1)
        until(lambda: change("tickwire_stream_dropped_total reason=behind") >= 2)
        assert change("tickwire_stream_readers_behind") == 1
        # What is never dropped waits for it.
        stream.send("no topic", op="subscribe")
        until(lambda: change("tickwire_stream_outbox_bytes") > 0)
        plain.shutdown(socket.SHUT_RDWR)
    until(lambda: change("tickwire_stream_readers_behind") == 0)
    assert change("tickwire_stream_outbox_bytes") == 0


def test_orders_journal_and_requests(server: Server) -> None:
    account, change = server.account(), Change(server)
    order = account.buy("0.01", "50000")
    account.cancel(order)
    assert account.refused("DELETE", "/trade/order", symbol=PERPETUAL, orderId=order["orderId"])[0] == "OrderNotFound"
    endpoint = "tickwire_rest_requests_total endpoint=/api/v1/trade/order method="
    assert change(f"{endpoint}POST status=200") == 1
    assert change(f"{endpoint}DELETE status=400") == 1
    assert change("tickwire_rest_request_seconds_count endpoint=/api/v1/trade/order") == 3
    assert change("tickwire_engine_commands_total command=CancelOrder") >= 2
    assert change("tickwire_engine_refusals_total code=OrderNotFound command=CancelOrder") >= 1
    assert change("tickwire_engine_sequence") >= 3
    assert change("tickwire_journal_commit_seconds_count") >= 3
    server.account()
    assert change("tickwire_engine_accounts") == 1
    until(lambda: change("tickwire_journal_snapshot_seconds_count") >= 1)
    assert scrape(server)["tickwire_journal_failures_total"] == 0


def test_the_process(server: Server) -> None:
    change, found = Change(server), scrape(server)
    assert sum(value for name, value in found.items() if name.startswith("tickwire_build_info ")) == 1
    assert 10e6 < found["process_resident_memory_bytes"] < 1e9
    assert found["process_max_fds"] > found["process_open_fds"] > 5
    assert found["process_start_time_seconds"] > 1.7e9
    assert "tickwire_loop_slow_turns_total" in found
    until(lambda: change("tickwire_loop_lag_seconds_count") >= 3)
    until(lambda: change("process_cpu_seconds_total") > 0)


def test_strangers_paths_share_a_label(server: Server) -> None:
    change = Change(server)
    for path in ("/api/v1/made-up-1", "/made-up-2", "/_tickwire/made-up-3"):
        server.http.get(path)
    assert change("tickwire_rest_requests_total endpoint=other method=GET status=403") == 1
    assert change("tickwire_rest_requests_total endpoint=other method=GET status=404") == 2
    assert "made-up" not in server.http.get("/_tickwire/metrics").text


def test_refusals_and_limits(server: Server) -> None:
    account, change = server.account(), Change(server)
    topics = [f"kline.{interval}.{PERPETUAL}" for interval in ("1", "3", "5", "15", "30", "60", "120", "180", "240")]
    topics += [f"kline.{interval}.ETHUSDT.PERP" for interval in ("1", "3", "5", "15", "30", "60", "120", "180", "240")]
    others = [topic.replace("ETH", "SOL") for topic in topics[9:]]
    with account.stream(*topics) as stream, account.stream(), account.stream():
        refuse(account, **account.headers("GET", STREAM))
        assert change("tickwire_limits_hit_total limit=sockets_per_key") == 1
        stream.send(*topics, *others, op="subscribe")
        stream.send(*others, *(topic.replace("SOL", "XRP") for topic in others), op="subscribe")
        until(lambda: change("tickwire_limits_hit_total limit=topics_per_frame") == 1)
        until(lambda: change("tickwire_limits_hit_total limit=topics_per_socket") == 6)
        for _ in range(30):
            stream.send(op="ping")
        until(lambda: change("tickwire_limits_hit_total limit=operations_per_second") >= 1)
    refuse(account)
    assert change("tickwire_stream_handshakes_refused_total code=api.unauthorized") == 1
    while change("tickwire_limits_hit_total limit=upgrades_per_minute") == 0:
        refuse(account)
    assert change("tickwire_stream_handshakes_refused_total code=TooManyRequests") >= 2
    while account.send("GET", "/account").status_code == 200:
        pass
    assert change("tickwire_limits_hit_total limit=requests_per_second") == 1


def test_a_token_opens_it_elsewhere(server: Server) -> None:
    """As if through a proxy: the peers of a test are all on this machine."""
    proxied = {"x-forwarded-for": "192.0.2.7"}
    url = f"{server.url}/_tickwire/metrics"
    assert httpx.get(url, headers=proxied).status_code == 403
    for token in ("scraper", server.token):
        assert httpx.get(url, headers={**proxied, "authorization": f"Bearer {token}"}).status_code == 200
        assert httpx.get(url, headers={**proxied, "x-tickwire-token": token}).status_code == 200
        assert httpx.get(url, headers=proxied, params={"token": token}).status_code == 200
    # It opens the metrics and nothing else.
    keys = httpx.get(f"{server.url}/_tickwire/keys", headers={"x-tickwire-token": "scraper"})
    assert keys.status_code == 403


async def test_a_failure_of_the_journal_is_counted(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    with contextlib.ExitStack() as stack:
        stack.callback(exchange.keys.close)
        exchange.apply(Tick())
        await exchange.sequencer.settled()
        assert (exchange.sequencer.failures, exchange.sequencer.commit_seconds.count) == (0, 1)
        exchange.store.close()
        exchange.apply(Tick())
        exchange.sequencer.flush()
        assert exchange.sequencer.failures == len(exchange.failures) == 1
        assert exchange.sequencer.commit_seconds.count == 1

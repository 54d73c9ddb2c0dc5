"""Playing: where a replay begins, what it plays, and clocks that were set while it was recorded."""

import json
import time
from pathlib import Path

import pytest

from tickwire.record.format import CONNECTED, FRAME, LOST, REPLY, REST, STATE, Header, RecordingError, Row
from tickwire.record.player import Player, PlayerSettings
from tickwire.record.reader import Recording
from tickwire.record.replay_feed import ReplayFeed
from tickwire.record.writer import RecordingWriter
from tickwire.wire.envelope import data_frame
from tickwire.wire.topics import TopicKey, parse_topic

START = 1_765_975_842_000_000_000
SECOND = 1_000_000_000
DAY = 86_400 * SECOND
TOPICS = ("ticker.BTCUSDT", "account")


def frame(topic: str, at: int, number: int) -> Row:
    row = {"symbol": "BTCUSDT", "lastPrice": str(number)}
    action = "UPDATE" if number else "SNAPSHOT"
    return Row(START + at, FRAME, 1, topic, data_frame(topic, START + at, action, [row]))  # type: ignore[arg-type]


def write(directory: Path, rows: list[Row], topics: tuple[str, ...] = TOPICS) -> Recording:
    with RecordingWriter(directory, Header(1, "0", "ws://a", topics, START)) as writer:
        for row in rows:
            writer.append(*row)
    return Recording(directory)


async def play(
    recording: Recording, settings: PlayerSettings, topics: tuple[str, ...] = TOPICS
) -> tuple[list[bytes], list[bytes]]:
    """The SNAPSHOTs that a subscriber of the first moment gets, and the frames that follow."""
    feed = ReplayFeed(recording.topics())
    snapshots: list[bytes] = []
    played: list[bytes] = []
    feed.listen(lambda _key, payload: played.append(payload))
    player = Player(recording, feed, settings, behind=lambda: False, clock=time.time_ns)
    keys = [TopicKey.of(parse_topic(name), "demo") for name in topics]
    await player.run(lambda: feed.join(keys, snapshots.extend))
    assert player.ended
    return snapshots, played


FAST = PlayerSettings(speed=1e6)
OPENING = [
    Row(START, CONNECTED, 1, "", b"ws://a"),
    Row(START, REPLY, 1, "", b'{"success":true,"op":"subscribe","args":["ticker.BTCUSDT","account"]}'),
    frame(TOPICS[0], 0, 0),
    frame(TOPICS[1], 1, 0),
]
LATER = [frame(TOPICS[number % 2], 3 * SECOND + number, number) for number in range(1, 20)]


async def test_it_begins_behind_the_first_snapshots(tmp_path: Path) -> None:
    snapshots, played = await play(write(tmp_path, OPENING + LATER), FAST)
    assert snapshots == [row.data for row in OPENING[2:]]
    assert played == [row.data for row in LATER]


async def test_topics_that_were_refused_are_not_there(tmp_path: Path) -> None:
    refused = Row(
        START, REPLY, 1, "", b'{"success":false,"op":"subscribe","args":["ticker.NOPE"],"error":"InvalidSymbol"}'
    )
    recording = write(tmp_path, [OPENING[0], refused, *OPENING[1:], *LATER], (*TOPICS, "ticker.NOPE"))
    feed = ReplayFeed(recording.topics())
    player = Player(recording, feed, FAST, behind=lambda: False, clock=time.time_ns)
    await player.run(feed.subscribed.set)
    error = feed.refusal(TopicKey.of(parse_topic("ticker.NOPE"), ""))
    assert error is not None
    assert error.code == "NotRecorded"
    assert feed.refusal(TopicKey.of(parse_topic("account"), "demo")) is None


@pytest.mark.parametrize("jump", [-DAY, -SECOND, -1])
@pytest.mark.parametrize("speed", [1e6, None])
async def test_a_clock_that_was_set_back_holds_nothing_up(tmp_path: Path, jump: int, speed: float | None) -> None:
    later = [row if place < 10 else row._replace(received=row.received + jump) for place, row in enumerate(LATER)]
    _, played = await play(write(tmp_path, OPENING + later), PlayerSettings(speed=speed))
    assert played == [row.data for row in LATER]


async def test_a_clock_that_was_set_forward_is_a_long_silence(tmp_path: Path) -> None:
    later = [row if place < 10 else row._replace(received=row.received + DAY) for place, row in enumerate(LATER)]
    recording = write(tmp_path, OPENING + later)
    assert (await play(recording, FAST))[1] == [row.data for row in LATER]
    # What is sought by time is found where the clock said so.
    _, played = await play(recording, PlayerSettings(speed=None, start=START + DAY))
    assert played == [row.data for row in LATER[10:]]


async def test_from_and_to_are_inclusive(tmp_path: Path) -> None:
    recording = write(tmp_path, OPENING + LATER)
    settings = PlayerSettings(speed=None, start=LATER[3].received, end=LATER[6].received)
    snapshots, played = await play(recording, settings)
    assert [b'"lastPrice":"2"' in snapshots[0], b'"lastPrice":"3"' in snapshots[1]] == [True, True]
    assert played == [row.data for row in LATER[3:7]]


async def test_a_part_without_a_row_has_the_state_and_ends(tmp_path: Path) -> None:
    recording = write(tmp_path, OPENING + LATER)
    moment = LATER[-1].received - SECOND
    snapshots, played = await play(recording, PlayerSettings(speed=None, start=moment, end=moment + 1, loop=True))
    assert (snapshots, played) == ([row.data for row in OPENING[2:]], [])


async def test_rows_that_are_no_frames_are_not_played(tmp_path: Path) -> None:
    others = [
        Row(START + 4 * SECOND, kind, 1, TOPICS[0], LATER[0].data)
        for kind in (STATE, REST, REPLY, LOST, CONNECTED, "new")
    ]
    _, played = await play(write(tmp_path, OPENING + LATER[:5] + others + LATER[5:]), FAST)
    assert played == [row.data for row in LATER]


async def test_rest_replies_of_the_first_moments_are_known_at_once(tmp_path: Path) -> None:
    reply = Row(START + SECOND, REST, 1, "/api/v1/market/contract", b'[{"symbol":"BTCUSDT"}]')
    recording = write(tmp_path, [*OPENING, reply, *LATER])
    feed = ReplayFeed(recording.topics())
    known: list[object] = []

    def ready() -> None:
        known.append(feed.state.reply("/api/v1/market/contract"))
        feed.subscribed.set()

    await Player(recording, feed, FAST, behind=lambda: False, clock=time.time_ns).run(ready)
    assert known == [[{"symbol": "BTCUSDT"}]]


async def test_at_full_speed_readers_that_are_behind_are_waited_for(tmp_path: Path) -> None:
    many = [frame(TOPICS[0], 3 * SECOND + number, number) for number in range(1, 2_000)]
    recording = write(tmp_path, OPENING + many)
    feed = ReplayFeed(recording.topics())
    played: list[bytes] = []
    asked: list[int] = []

    def behind() -> bool:
        asked.append(len(played))
        return len(asked) % 3 != 0

    feed.listen(lambda _key, payload: played.append(payload))
    key = TopicKey.of(parse_topic(TOPICS[0]), "")
    player = Player(recording, feed, PlayerSettings(speed=None), behind=behind, clock=time.time_ns)
    await player.run(lambda: feed.join([key], lambda _snapshots: None))
    assert played == [row.data for row in many]
    # Nothing was published between the first look and the one that let it go on.
    assert asked[0::3] == asked[1::3] == asked[2::3]
    assert len(asked) >= 3 * 5


async def test_who_leaves_gets_no_more(tmp_path: Path) -> None:
    recording = write(tmp_path, OPENING + LATER)
    feed = ReplayFeed(recording.topics())
    played: list[tuple[str, bytes]] = []
    keys = [TopicKey.of(parse_topic("account"), name) for name in ("alice", "bob")]

    def listen(key: TopicKey, payload: bytes) -> None:
        played.append((key.account, payload))

    def ready() -> None:
        feed.join([keys[0], *keys], lambda _snapshots: None)
        feed.leave(keys[0])
        feed.leave(keys[0])

    feed.listen(listen)
    await Player(recording, feed, FAST, behind=lambda: False, clock=time.time_ns).run(ready)
    assert played == [("bob", row.data) for row in LATER if row.topic == "account"]


DELTA, BOOK = "orderbook.delta.BTCUSDT", "orderbook.BTCUSDT"


def change(at: int, seq: int, bids: list[list[str]], *, snapshot: bool = False) -> Row:
    row = {
        "symbol": "BTCUSDT",
        "seq": seq,
        "prevSeq": seq if snapshot else seq - 1,
        "bids": bids,
        "asks": [["900", "1"]],
    }
    data = data_frame(DELTA, START + at, "SNAPSHOT" if snapshot else "UPDATE", [row])
    return Row(START + at, FRAME, 1, DELTA, data)


@pytest.mark.parametrize("speed", [None, 1e6])
async def test_a_book_of_deltas_alone_can_be_had_as_whole_books(tmp_path: Path, speed: float | None) -> None:
    millisecond = SECOND // 1000
    deep = [[str(100 - level), "1"] for level in range(60)]
    later = 3 * SECOND
    changes = [
        change(later, 2, [["100", "2"]]),
        change(later + 5 * millisecond, 3, [["100", "3"]]),  # too soon
        change(later + 30 * millisecond, 4, [["41", "5"]]),  # deeper than what is shown
        change(later + 60 * millisecond, 5, [["100", "0"]]),
        change(later + 90 * millisecond - DAY, 6, [["99", "7"]]),  # the clock was set back
    ]
    recording = write(tmp_path, [OPENING[0], change(0, 1, deep, snapshot=True), *changes], (DELTA,))
    snapshots, played = await play(recording, PlayerSettings(speed=speed), (BOOK,))
    frames = [json.loads(payload) for payload in (*snapshots, *played)]
    assert {(frame["topic"], frame["data"][0]["actionType"]) for frame in frames} == {(BOOK, "SNAPSHOT")}
    tops = [frame["data"][0]["rows"][0] for frame in frames]
    assert [(row["bids"][0], len(row["bids"]), row["asks"]) for row in tops] == [
        (["100", "1"], 50, [["900", "1"]]),
        (["100", "2"], 50, [["900", "1"]]),
        (["100", "3"], 50, [["900", "1"]]),
        (["99", "1"], 50, [["900", "1"]]),
        (["99", "7"], 50, [["900", "1"]]),
    ]
    times = [int(frame["ts"]) for frame in frames]
    assert times == sorted(times)


async def test_a_book_that_was_recorded_is_not_made(tmp_path: Path) -> None:
    feed = ReplayFeed([DELTA])
    assert feed.refusal(TopicKey.of(parse_topic(BOOK), "")) is None
    assert feed.refusal(TopicKey.of(parse_topic("orderbook.ETHUSDT"), "")) is not None
    recorded = Row(START + 3 * SECOND, FRAME, 1, BOOK, data_frame(BOOK, START, "SNAPSHOT", [{"symbol": "BTCUSDT"}]))
    recording = write(
        tmp_path, [OPENING[0], change(0, 1, [], snapshot=True), change(2 * SECOND + 1, 2, [["1", "1"]]), recorded],
        (DELTA, BOOK),
    )  # fmt: skip
    _, played = await play(recording, FAST, (BOOK,))
    assert played == [recorded.data]


async def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    recording = write(tmp_path, OPENING + LATER)
    path = recording.paths()[0]
    data = path.read_bytes()
    path.write_bytes(data[:20] + bytes(len(data) // 2) + data[20 + len(data) // 2 :])
    with pytest.raises(RecordingError, match=path.name):
        await play(recording, FAST)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.wire.intervals import INTERVALS
from tickwire.wire.topics import PRIVATE_KINDS, SYMBOL_PATTERN, Topic, TopicError, TopicKey, TopicKind, parse_topic

symbols = st.from_regex(SYMBOL_PATTERN.replace("$", r"\Z"))


@pytest.mark.parametrize(
    ("name", "kind", "symbol", "interval"),
    [
        ("ticker.BTCUSDT.PERP", TopicKind.TICKER, "BTCUSDT.PERP", ""),
        ("ticker.BTCUSDT", TopicKind.TICKER, "BTCUSDT", ""),
        ("kline.1.BTCUSDT.PERP", TopicKind.KLINE, "BTCUSDT.PERP", "1"),
        ("kline.1M.ETHUSDT", TopicKind.KLINE, "ETHUSDT", "1M"),
        ("orderbook.BTCUSDT.PERP", TopicKind.ORDERBOOK, "BTCUSDT.PERP", ""),
        ("orderbook.delta.BTCUSDT", TopicKind.ORDERBOOK_DELTA, "BTCUSDT", ""),
        ("account", TopicKind.ACCOUNT, "", ""),
        ("account.margin", TopicKind.MARGIN, "", ""),
        ("account.balance", TopicKind.BALANCE, "", ""),
        ("account.position", TopicKind.POSITION, "", ""),
        ("account.order", TopicKind.ORDER, "", ""),
        ("account.execution", TopicKind.EXECUTION, "", ""),
    ],
)
def test_every_family(name: str, kind: TopicKind, symbol: str, interval: str) -> None:
    topic = parse_topic(name)
    assert topic == Topic(name, kind, symbol, interval)
    assert topic.private == name.startswith("account")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "expected a topic such as ticker.BTCUSDT.PERP"),
        ("ticker", "expected a topic such as"),
        ("ticker.", "expected a symbol such as"),
        ("ticker.btcusdt", "expected a symbol such as"),
        ("ticker.BTCUSDT.PERP.X", "expected a symbol such as"),
        ("ticker.BTCUSDT\n", "expected a symbol such as"),
        ("kline.BTCUSDT.PERP", "expected an interval of 1 3 5"),
        ("kline.7.BTCUSDT.PERP", "expected an interval of 1 3 5"),
        ("kline.1", "expected a symbol such as"),
        ("orderbook.delta.", "expected a symbol such as"),
        ("orderbook.Delta.BTCUSDT", "expected a symbol such as"),
        ("account.orders", "expected one of ticker, kline"),
        ("Account", "expected a topic such as"),
        ("trades.BTCUSDT", "expected one of ticker, kline"),
    ],
)
def test_says_what_was_expected(name: str, message: str) -> None:
    with pytest.raises(TopicError, match=message):
        parse_topic(name)


@given(symbols, st.sampled_from(INTERVALS))
def test_any_symbol_can_be_asked_for(symbol: str, interval: str) -> None:
    assert parse_topic(f"ticker.{symbol}").symbol == symbol
    assert parse_topic(f"orderbook.{symbol}").kind is TopicKind.ORDERBOOK
    assert parse_topic(f"orderbook.delta.{symbol}").symbol == symbol
    kline = parse_topic(f"kline.{interval}.{symbol}")
    assert (kline.interval, kline.symbol) == (interval, symbol)


@given(st.text(max_size=40))
def test_any_text_is_a_topic_or_an_error_that_names_a_bounded_part_of_it(name: str) -> None:
    message = ""
    try:
        assert parse_topic(name).name == name
    except TopicError as error:
        message = str(error)
    assert len(message) < 500


def test_market_topics_are_one_for_all_accounts() -> None:
    ticker, order = parse_topic("ticker.BTCUSDT"), parse_topic("account.order")
    assert TopicKey.of(ticker, "anna") == TopicKey.of(ticker, "boris") == TopicKey(ticker)
    assert TopicKey.of(order, "anna") != TopicKey.of(order, "boris")
    assert len(PRIVATE_KINDS) == 6

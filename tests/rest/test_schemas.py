from tickwire.rest.schemas import schemas_of
from tickwire.wire import rows


def test_tuples_become_arrays_of_a_fixed_length() -> None:
    candles = list[rows.Kline]
    schemas, components = schemas_of([rows.Orderbook, candles])
    candle = schemas[id(candles)]["items"]
    assert (candle["minItems"], candle["maxItems"]) == (7, 7)
    assert [part.get("format") for part in candle["items"]["anyOf"]] == [None, "decimal"]
    level = components["Orderbook"]["properties"]["bids"]["items"]
    assert (level["minItems"], level["maxItems"], level["items"]["format"]) == (2, 2, "decimal")
    assert "prefixItems" not in str((schemas, components))


def test_a_type_named_twice_is_one_schema() -> None:
    schemas, components = schemas_of([rows.Ticker, rows.Ticker])
    assert schemas == {id(rows.Ticker): {"$ref": "#/components/schemas/Ticker"}}
    assert list(components) == ["Ticker"]

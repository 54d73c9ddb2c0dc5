from tickwire.wire.closes import CLOSES


def test_the_catalogue_holds_the_contracts_codes() -> None:
    assert {close.code for close in CLOSES.values()} == {1001, 1003, 1008, 1009, 1012, 1013}


def test_every_reason_fits_a_close_frame_and_has_advice() -> None:
    for name, close in CLOSES.items():
        assert close.name == name
        assert 0 < len(close.reason.encode()) <= 123  # a control frame holds 125 bytes, two are the code
        assert close.advice.endswith(".")


def test_who_is_told_to_come_back() -> None:
    assert {name for name, close in CLOSES.items() if not close.reconnect} == {
        "unsupported",
        "key_revoked",
        "bad_frames",
        "too_big",
    }

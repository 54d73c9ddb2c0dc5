import os
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.journal.samples import COMMANDS

from tickwire.exchange.commands import Command, Deposit, Tick
from tickwire.journal.format import (
    DamagedError,
    PackedSnapshot,
    decode_commands,
    encode_commands,
    pack_snapshot,
    state_hash,
    unpack_snapshot,
)

TIMED = [(10**18 + number, command) for number, command in enumerate(COMMANDS)]
BLOB = encode_commands(17, TIMED)

# Written by format 1. A change that can't read it any more makes every data directory out there unreadable.
FORMAT_1_BLOB = bytes.fromhex("a63703e39292cf0de0b6b3a76400009402a5616c696365a4555344540592cf0de0b6b3a7640001910b")


def test_the_samples_hold_every_command() -> None:
    assert {type(command) for command in COMMANDS} == set(typing.get_args(Command))


def test_commands_come_back_as_they_were() -> None:
    assert decode_commands(17, len(TIMED), BLOB) == TIMED


def test_a_blob_of_format_1_is_read() -> None:
    assert decode_commands(3, 2, FORMAT_1_BLOB) == [(10**18, Deposit("alice", "USDT", 5)), (10**18 + 1, Tick())]


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.text(max_size=80), st.integers(0, 2**63 - 1))
def test_any_account_and_amount_come_back(amount: int, account: str, time: int) -> None:
    commands: list[tuple[int, Command]] = [(time, Deposit(account, "USDT", amount))]
    assert decode_commands(1, 1, encode_commands(1, commands)) == commands


@settings(deadline=None)
@given(st.integers(0, len(BLOB) * 8 - 1))
def test_any_flipped_bit_is_found(place: int) -> None:
    damaged = bytearray(BLOB)
    damaged[place // 8] ^= 1 << place % 8
    with pytest.raises(DamagedError, match="its checksum does not match"):
        decode_commands(17, len(TIMED), bytes(damaged))


@settings(deadline=None)
@given(st.integers(0, len(BLOB) - 1))
def test_any_missing_end_is_found(length: int) -> None:
    with pytest.raises(DamagedError, match="its checksum does not match"):
        decode_commands(17, len(TIMED), BLOB[:length])


def test_a_blob_is_good_in_its_own_row_only() -> None:
    with pytest.raises(DamagedError, match="its checksum does not match"):
        decode_commands(18, len(TIMED), BLOB)


def test_a_wrong_count_is_found() -> None:
    with pytest.raises(DamagedError, match=f"expected 3 commands, got {len(TIMED)}"):
        decode_commands(17, 3, BLOB)


def test_a_command_that_this_version_does_not_know_is_refused() -> None:
    unknown: typing.Any = [(1, (99, "alice"))]
    with pytest.raises(DamagedError, match="its commands can't be read"):
        decode_commands(1, 1, encode_commands(1, unknown))


@pytest.mark.parametrize("data", [b"", b"state", os.urandom(100_000)])
def test_a_snapshot_comes_back_as_it_was(data: bytes) -> None:
    packed = pack_snapshot(5, data)
    assert (packed.sequence, packed.state_hash) == (5, state_hash(data))
    assert unpack_snapshot(packed) == data


def test_a_snapshot_is_smaller_than_the_state() -> None:
    data = b'{"account":"alice","wallets":{"USDT":100000000000}}' * 1000
    assert len(pack_snapshot(1, data).data) < len(data) / 2


PACKED = pack_snapshot(5, os.urandom(1000))


@settings(deadline=None)
@given(st.integers(0, len(PACKED.data) * 8 - 1))
def test_a_damaged_snapshot_never_comes_back_changed(place: int) -> None:
    damaged = bytearray(PACKED.data)
    damaged[place // 8] ^= 1 << place % 8
    try:
        data = unpack_snapshot(PackedSnapshot(5, bytes(damaged), PACKED.state_hash))
    except DamagedError:
        return
    # A few bits of the compressed form mean nothing.
    assert data == unpack_snapshot(PACKED)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "can't be decompressed"),
        (b"nonsense", "can't be decompressed"),
        (PACKED.data[:-9], "can't be decompressed"),
        (pack_snapshot(5, b"another state").data, "its hash does not match"),
    ],
)
def test_what_is_wrong_with_a_snapshot_is_said(data: bytes, message: str) -> None:
    with pytest.raises(DamagedError, match=message):
        unpack_snapshot(PackedSnapshot(5, data, PACKED.state_hash))


def test_the_hash_is_the_sha_256_of_the_state() -> None:
    assert state_hash(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

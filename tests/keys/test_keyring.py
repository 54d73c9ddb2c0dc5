import ipaddress
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.market.harness import Harness

from tickwire.exchange.state import INSURANCE
from tickwire.keys.keyring import FILE_NAME, ApiKey, InvalidKey, KeyRing, KeyRingError


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing.open(tmp_path)


def reopened(directory: Path) -> KeyRing:
    return KeyRing.open(directory)


def test_a_new_key_is_found_now_and_after_a_restart(ring: KeyRing, tmp_path: Path) -> None:
    created = ring.create("alice", ["trade", "read"], ["192.0.2.0/24", "2001:db8::1"], now=5)
    assert ring.find(created.key) == created
    ring.close()
    assert reopened(tmp_path).find(created.key) == created
    assert created.account == "alice"
    assert created.scopes == {"read", "trade"}
    assert created.allow == ("192.0.2.0/24", "2001:db8::1")
    assert created.created == 5


def test_random_keys_and_secrets_differ(ring: KeyRing) -> None:
    keys = [ring.create("alice", ["read"]) for _ in range(20)]
    assert len({key.key for key in keys} | {key.secret for key in keys}) == 40
    assert all(len(key.key) >= 8 and len(key.secret) >= 32 for key in keys)


def test_a_given_key_and_secret_are_kept(ring: KeyRing) -> None:
    key = ring.create("alice", ["read"], key="demo-key_1", secret="secret")
    assert (key.key, key.secret) == ("demo-key_1", "secret")


def test_the_list_is_oldest_first_and_without_revoked_keys(ring: KeyRing) -> None:
    for name, now in [("third-key", 30), ("first-key", 10), ("second-key", 20), ("dead-key", 1)]:
        ring.create("alice", ["read"], key=name, now=now)
    ring.revoke("dead-key")
    assert [key.key for key in ring.list()] == ["first-key", "second-key", "third-key"]


def test_a_revoked_key_is_never_found_again(ring: KeyRing, tmp_path: Path) -> None:
    reported: list[str] = []
    ring.on_revoked.append(reported.append)
    ring.create("alice", ["read"], key="demo-key")
    assert ring.revoke("demo-key", now=7) is True
    assert reported == ["demo-key"]
    assert ring.find("demo-key") is None
    assert ring.revoke("demo-key") is False
    assert reported == ["demo-key"]
    with pytest.raises(InvalidKey, match="key: expected one never used before, got 'demo-key'"):
        ring.create("alice", ["read"], key="demo-key")
    again = reopened(tmp_path)
    assert again.find("demo-key") is None
    assert again.list() == []
    row = sqlite3.connect(tmp_path / FILE_NAME).execute("SELECT revoked FROM keys WHERE key = 'demo-key'").fetchone()
    assert row == (7,)


def test_revoking_an_unknown_key_says_so(ring: KeyRing) -> None:
    assert ring.revoke("no-such-key") is False


def test_a_key_is_taken_once(ring: KeyRing) -> None:
    first = ring.create("alice", ["read"], key="demo-key")
    with pytest.raises(InvalidKey, match="never used before"):
        ring.create("bob", ["trade"], key="demo-key")
    assert ring.find("demo-key") == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": "short"}, "key: expected 8 to 128 letters, digits, _ or -, got 'short'"),
        ({"key": "k" * 129}, "key: expected"),
        ({"key": "with blank"}, "key: expected"),
        ({"key": "demo-key\n"}, "key: expected"),
        ({"key": "schlüssel"}, "key: expected"),
        ({"account": ""}, "account: expected 1 to 64 letters"),
        ({"account": "a" * 65}, "account: expected"),
        ({"account": "a/b"}, "account: expected"),
        ({"account": "house."}, "account: expected a client's, got 'house.', which belongs to the exchange"),
        ({"secret": ""}, "secret: expected 1 to 256 printable"),
        ({"secret": "two words"}, "secret: expected"),
        ({"scopes": []}, "scopes: expected read or trade or both"),
        ({"scopes": ["read", "admin"]}, "scopes: expected"),
        ({"allow": ["192.0.2.1/24"]}, "allow: expected an address or a network .* host bits set"),
        ({"allow": ["192.0.2.0/24", "localhost"]}, "allow: expected .*'localhost'"),
        ({"allow": [""]}, "allow: expected"),
    ],
)
def test_what_is_malformed_is_refused_by_name(ring: KeyRing, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidKey, match=message):
        ring.create(**({"account": "alice", "scopes": ["read"]} | arguments))  # type: ignore[arg-type]
    assert ring.list() == []


def test_nobody_gets_a_key_for_an_account_of_the_exchange(ring: KeyRing) -> None:
    names = [name for name, account in Harness().start().engine.accounts.items() if account.house]
    assert {INSURANCE, "house.maker.BTCUSDT.PERP"} <= set(names)
    for name in names:
        with pytest.raises(InvalidKey, match=f"account: expected a client's, got '{name}', which belongs to"):
            ring.create(name, ["read"])
    assert ring.list() == []
    for name in ("insurance2", "my.house.maker", "house", "household"):
        assert ring.create(name, ["read"]).account == name


def test_a_key_that_an_older_version_made_for_the_exchange_is_refused(
    ring: KeyRing, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine = ring.create("alice", ["read"])
    ring.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute(
            "INSERT INTO keys VALUES ('fund-key-1', 'secret', ?, 'read trade', '', 1, NULL)", (INSURANCE,)
        )
    connection.close()
    again = reopened(tmp_path)
    assert again.find("fund-key-1") is None
    assert again.list() == [mine]
    assert caplog.messages == ["the key fund-key-1 is refused: its account insurance belongs to the exchange"]
    with pytest.raises(InvalidKey, match="never used before"):
        again.create("bob", ["read"], key="fund-key-1")


def test_a_refused_secret_is_not_echoed(ring: KeyRing) -> None:
    with pytest.raises(InvalidKey) as refused:
        ring.create("alice", ["read"], secret="hush hush")
    assert "hush" not in str(refused.value)


def test_a_key_does_not_show_its_secret(ring: KeyRing) -> None:
    key = ring.create("alice", ["read"], secret="hush-hush")
    assert "hush" not in repr(key)
    assert "hush" not in f"{key}"
    assert key.key in repr(key)


@pytest.mark.parametrize(
    ("allow", "address", "allowed"),
    [
        ([], "203.0.113.9", True),
        ([], "", True),
        (["192.0.2.7"], "192.0.2.7", True),
        (["192.0.2.7"], "192.0.2.8", False),
        (["192.0.2.0/24"], "192.0.2.255", True),
        (["192.0.2.0/24"], "192.0.3.0", False),
        (["192.0.2.0/24"], "::ffff:192.0.2.9", True),
        (["192.0.2.0/24"], "::ffff:192.0.3.9", False),
        (["::ffff:192.0.2.9"], "192.0.2.9", True),
        (["::ffff:192.0.2.0/120"], "192.0.2.200", True),
        (["::ffff:192.0.2.0/120"], "192.0.3.200", False),
        (["::/0"], "2001:db8::5", True),
        (["::/0"], "192.0.2.1", False),
        (["2001:db8::/32"], "2001:db8:1::5", True),
        (["2001:db8::/32", "192.0.2.1"], "192.0.2.1", True),
        (["2001:db8::/32"], "2001:db9::5", False),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["192.0.2.1"], "", False),
        (["192.0.2.1"], "unix", False),
    ],
)
def test_the_allow_list(ring: KeyRing, tmp_path: Path, allow: list[str], address: str, allowed: bool) -> None:
    key = ring.create("alice", ["read"], allow)
    assert key.allows(address) is allowed
    loaded = reopened(tmp_path).find(key.key)
    assert loaded is not None
    assert loaded.allows(address) is allowed


@settings(deadline=None)
@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_a_network_allows_exactly_the_addresses_with_its_prefix(
    network: ipaddress.IPv4Address, length: int, address: ipaddress.IPv4Address
) -> None:
    mask = (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF
    base = int(network) & mask
    text = f"{base >> 24}.{base >> 16 & 255}.{base >> 8 & 255}.{base & 255}/{length}"
    key = ApiKey("demo-key", "secret", "alice", frozenset({"read"}), (text,), 0)
    assert key.allows(str(address)) is (int(address) & mask == base)


def test_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "made" / "data"
    ring = KeyRing.open(directory)
    ring.create("alice", ["read"])
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [(path.name, path.stat().st_mode & 0o777) for path in directory.iterdir()] == [(FILE_NAME, 0o600)]


def test_a_file_that_others_could_read_is_closed_to_them(ring: KeyRing, tmp_path: Path) -> None:
    ring.close()
    (tmp_path / FILE_NAME).chmod(0o644)
    reopened(tmp_path)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def run_other_process(directory: Path, statement: str) -> None:
    program = f"import sys\nfrom tickwire.keys.keyring import KeyRing\nring = KeyRing.open(sys.argv[1])\n{statement}\n"
    subprocess.run([sys.executable, "-c", program, str(directory)], check=True)


def test_reload_takes_over_what_another_process_did(ring: KeyRing, tmp_path: Path) -> None:
    reported: list[str] = []
    ring.on_revoked.append(reported.append)
    kept = ring.create("alice", ["read"], key="kept-key")
    ring.create("alice", ["read"], key="dead-key")
    assert ring.reload() is False
    run_other_process(tmp_path, "ring.create('bob', ['trade'], key='bobs-key'); ring.revoke('dead-key')")
    assert ring.find("bobs-key") is None
    assert ring.reload() is True
    assert ring.find("bobs-key") is not None
    assert ring.find("dead-key") is None
    assert ring.find("kept-key") == kept
    assert reported == ["dead-key"]
    assert ring.reload() is False


def test_revoke_and_create_know_of_the_other_process_without_a_reload(ring: KeyRing, tmp_path: Path) -> None:
    run_other_process(tmp_path, "ring.create('bob', ['trade'], key='bobs-key')")
    with pytest.raises(InvalidKey, match="never used before"):
        ring.create("alice", ["read"], key="bobs-key")
    assert ring.revoke("bobs-key") is True
    assert reopened(tmp_path).list() == []


def test_a_key_that_another_process_revoked_is_reported_once(ring: KeyRing, tmp_path: Path) -> None:
    reported: list[str] = []
    ring.on_revoked.append(reported.append)
    ring.create("alice", ["read"], key="dead-key")
    run_other_process(tmp_path, "ring.revoke('dead-key')")
    assert ring.revoke("dead-key") is False
    assert reported == ["dead-key"]


def test_a_ring_may_be_opened_by_one_thread_and_used_by_another(ring: KeyRing) -> None:
    created: list[ApiKey] = []
    thread = threading.Thread(target=lambda: created.append(ring.create("alice", ["read"])))
    thread.start()
    thread.join()
    assert ring.list() == created


def test_a_locked_file_is_reported_and_nothing_changes(ring: KeyRing, tmp_path: Path) -> None:
    key = ring.create("alice", ["read"], key="demo-key")
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(KeyRingError, match=r"keys\.sqlite: expected .*locked"):
        ring.create("alice", ["read"], key="other-key")
    with pytest.raises(KeyRingError, match="locked"):
        ring.revoke("demo-key")
    other.execute("ROLLBACK")
    assert ring.list() == [key]
    assert ring.reload() is False


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"[keys]\n" * 1000)
    with pytest.raises(KeyRingError, match=r"keys\.sqlite: expected a key file .*not a database"):
        KeyRing.open(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == b"[keys]\n" * 1000


def test_a_newer_format_is_refused(ring: KeyRing, tmp_path: Path) -> None:
    ring.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(KeyRingError, match="expected format 1 or older, got 2"):
        KeyRing.open(tmp_path)


def test_a_damaged_row_is_refused(ring: KeyRing, tmp_path: Path) -> None:
    ring.create("alice", ["read"], ["192.0.2.1"])
    ring.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("UPDATE keys SET allow = 'nonsense'")
    with pytest.raises(KeyRingError, match="nonsense"):
        KeyRing.open(tmp_path)


def test_a_directory_that_can_not_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyRingError, match=r"expected a file that can be written: (Not a directory|File exists)"):
        KeyRing.open(tmp_path / "file" / "data")


def test_a_directory_in_the_place_of_the_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(KeyRingError, match="expected a file that can be written: Is a directory"):
        KeyRing.open(tmp_path)

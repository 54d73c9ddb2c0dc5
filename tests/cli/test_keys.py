"""`tickwire key`, on a directory and through the server that runs on it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.support import Account, Server, tickwire
from websockets.exceptions import ConnectionClosed


class Keys:
    """`tickwire key` with one data directory."""

    def __init__(self, home: Path, server: Server | None = None) -> None:
        self.home = home
        self.directory = home / "data"
        self.server = server

    def run(self, *arguments: str, code: int = 0) -> str:
        """What is printed where it belongs: on stdout when all is well, on stderr when not."""
        result = tickwire("key", *arguments, "--data", str(self.directory), home=self.home)
        assert result.returncode == code, result.stderr
        assert "Traceback" not in result.stderr
        said, silent = (result.stdout, result.stderr) if code == 0 else (result.stderr, result.stdout)
        assert silent == ""
        return said

    def create(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("create", *arguments, "--json"))
        return found

    def list(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("list", "--json"))
        return [row for row in found if row["account"] != "demo"]


@pytest.fixture(params=["directory", "server"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Keys]:
    """Keys of a directory, and of a server that runs on it."""
    if request.param == "directory":
        (tmp_path / "data").mkdir()
        yield Keys(tmp_path)
    else:
        with Server(tmp_path / "data", "--no-market") as server:
            yield Keys(tmp_path, server)


def test_create_list_and_revoke(keys: Keys) -> None:
    made = keys.create("--account", "alice")
    assert set(made) == {"key", "secret", "account", "scopes", "allow", "created"}
    assert re.fullmatch("[0-9a-f]{32}", made["key"])
    assert re.fullmatch("[0-9a-f]{64}", made["secret"])
    assert (made["account"], sorted(made["scopes"]), made["allow"]) == ("alice", ["read", "trade"], [])
    assert re.fullmatch("[0-9]{19}", made["created"])

    bound = keys.create("--account", "bob", "--scopes", "read", "--allow", "10.0.0.0/8", "--allow", "::1")
    assert (bound["scopes"], bound["allow"]) == (["read"], ["10.0.0.0/8", "::1"])
    # The secret is shown once only.
    rows = keys.list()
    assert [row["key"] for row in rows] == [made["key"], bound["key"]]
    assert all("secret" not in row for row in rows)
    assert rows[1] == {name: value for name, value in bound.items() if name != "secret"}

    assert json.loads(keys.run("revoke", made["key"], "--json")) == {"revoked": made["key"]}
    assert [row["key"] for row in keys.list()] == [bound["key"]]
    assert keys.run("revoke", bound["key"]) == f"revoked {bound['key']}\n"
    assert keys.list() == []


def test_texts_for_people(keys: Keys) -> None:
    text = keys.run("create", "--account", "alice", "--allow", "10.0.0.0/8")
    key, secret, rest = text.splitlines()
    assert re.fullmatch("key     [0-9a-f]{32}", key)
    assert re.fullmatch("secret  [0-9a-f]{64}", secret)
    assert rest == "account alice, scopes read,trade, from 10.0.0.0/8"
    listed = keys.run("list")
    assert f"{key.split()[1]}  alice  read,trade  from 10.0.0.0/8" in listed.splitlines()
    assert secret.split()[1] not in listed


BAD_ARGUMENTS = (
    (("create", "--account", "a b"), "account: expected"),
    (("create", "--account", ""), "account: expected"),
    (("create", "--account", "x" * 65), "account: expected"),
    (("create", "--account", "a", "--scopes", "write"), "scopes"),
    (("create", "--account", "a", "--scopes", ""), "scopes"),
    (("create", "--account", "a", "--allow", "nowhere"), "allow: expected an address or a network"),
    (("create", "--account", "a", "--allow", "10.0.0.1/8"), "allow: expected an address or a network"),
    (("revoke", "no-such-key"), "no key no-such-key"),
    (("revoke", "../../etc"), "no key ../../etc"),
    (("revoke", "a b?c#d"), "no key a b?c#d"),
)


def test_bad_arguments(keys: Keys) -> None:
    keys.create("--account", "alice")
    before = keys.list()
    for arguments, words in BAD_ARGUMENTS:
        said = keys.run(*arguments, code=1)
        assert said.startswith(f"tickwire key {arguments[0]}: ")
        assert words in said
        assert len(said.splitlines()) == 1
    assert keys.list() == before


def test_revoking_twice(keys: Keys) -> None:
    made = keys.create("--account", "alice")
    keys.run("revoke", made["key"])
    assert f"no key {made['key']}" in keys.run("revoke", made["key"], code=1)


def test_an_account_is_needed(tmp_path: Path) -> None:
    result = tickwire("key", "create", home=tmp_path)
    assert result.returncode != 0
    assert "--account" in result.stdout + result.stderr


def test_keys_made_on_a_directory_are_the_servers(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    keys = Keys(tmp_path)
    made, gone = keys.create("--account", "alice"), keys.create("--account", "alice")
    keys.run("revoke", gone["key"])
    with Server(tmp_path / "data", "--no-market") as server:
        account = Account(server, made["key"], made["secret"], "alice")
        assert account.get("/account")["totalWalletBalance"] == "100000"
        assert Account(server, gone["key"], gone["secret"], "alice").send("GET", "/account").status_code == 401


def test_a_running_server_takes_keys_at_once(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market") as server:
        keys = Keys(tmp_path)
        made = keys.create("--account", "alice")
        account = Account(server, made["key"], made["secret"], "alice")
        assert account.get("/account")["totalWalletBalance"] == "100000"
        with account.stream("account") as stream:
            keys.run("revoke", made["key"])
            with pytest.raises(ConnectionClosed) as caught:
                stream.receive()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1008, "key revoked")


def test_the_directory_or_server_is_found(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    result = tickwire("key", "list", home=tmp_path, cwd=elsewhere)
    assert (result.returncode, result.stdout) == (1, "")
    assert "no ./tickwire-data here and no server running: name the directory with --data" in result.stderr
    # The newest server of this user.
    with Server(tmp_path / "data", "--no-market") as server:
        result = tickwire("key", "list", home=tmp_path, cwd=elsewhere)
        assert server.demo.key in result.stdout
    # The directory of the same name as that of `tickwire serve`.
    (elsewhere / "tickwire-data").mkdir()
    made = json.loads(tickwire("key", "create", "--account", "a", "--json", home=tmp_path, cwd=elsewhere).stdout)
    assert made["key"] in tickwire("key", "list", home=tmp_path, cwd=elsewhere).stdout
    assert (elsewhere / "tickwire-data" / "keys.sqlite").exists()


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    result = tickwire("key", "list", "--data", str(tmp_path / "none"), home=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"tickwire key list: no data directory {tmp_path / 'none'}\n"

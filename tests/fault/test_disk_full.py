"""A server that can't write stops by itself, says why, and has kept all that it acknowledged."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fault.full_disk import FLAGS, Server, check_kept, check_stopped, trade_until_refused

ROOT = Path(__file__).parents[2]
NAMESPACE = ["unshare", "--mount", "--map-root-user", "sh", "-c"]


def test_a_full_disk(tmp_path: Path) -> None:
    """In a mount namespace, which needs no cleaning up however the test ends."""
    data = tmp_path / "data"
    data.mkdir()
    tiny = 'mount -t tmpfs -o size=8m tmpfs "$1"'
    if subprocess.run([*NAMESPACE, tiny, "sh", str(data)], capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    program = f'{tiny} && exec "$2" -m tests.fault.full_disk "$1"'
    done = subprocess.run(
        [*NAMESPACE, program, "sh", str(data), sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stdout + done.stderr


def test_a_write_that_fails(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", *FLAGS)
    account = server.account()
    limit = (tmp_path / "data" / "exchange.sqlite-wal").stat().st_size + 300_000
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    placed = trade_until_refused(account)
    check_stopped(server, "exchange.sqlite: disk I/O error")
    check_kept(tmp_path / "data", account, placed)

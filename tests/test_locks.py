"""What the Makefile takes for granted of the two lock files."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pins(name: str) -> dict[str, str]:
    """The pinned versions of the lock file `name`, by package."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def test_development_lock_holds_the_runtime_lock() -> None:
    # `make test` installs into the environment that `make serve` made: a version that differs would
    # change a server's packages under it.
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_names_no_index_and_hashes_everything(name: str) -> None:
    text = (ROOT / name).read_text()

    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE), "an option line, such as an index"
    assert not re.search(r"^\S.*==\S+(?! \\)$", text.replace(" ;", ";"), re.MULTILINE)
    assert text.count("\n    --hash=sha256:") >= len(pins(name)) > 0

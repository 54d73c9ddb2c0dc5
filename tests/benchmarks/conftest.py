"""What the benchmarks' tests need of the machine."""

import pytest
from benchmarks.build import MissingTool, compiled


@pytest.fixture
def compiler() -> None:
    """A C compiler, which `make test` has installed where it could."""
    try:
        compiled("load")
    except MissingTool as error:
        pytest.skip(str(error))

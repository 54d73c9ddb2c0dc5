"""What is compiled and installed on demand, and what is said when that is impossible."""

from pathlib import Path

import pytest
from benchmarks import build
from benchmarks.rivals import install


def test_without_a_compiler_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "BUILD", tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(build.MissingTool, match=r"expected a C compiler, found none; install one"):
        build.compiled("load")


def test_what_does_not_compile_is_an_error_with_the_compilers_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\necho 'error: no such instruction' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(build, "BUILD", tmp_path)
    monkeypatch.setenv("CC", str(compiler))
    with pytest.raises(RuntimeError, match="no such instruction"):
        build.compiled("load")


@pytest.mark.parametrize(
    ("get", "said"),
    [
        (install.node_with_ws, "expected node and npm, found none"),
        (install.nginx_with_nchan, "expected apt-get"),
    ],
)
def test_a_rival_that_can_not_be_had_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, get: object, said: str
) -> None:
    monkeypatch.setattr(install, "BUILD", tmp_path)
    monkeypatch.setenv("PATH", "")
    assert callable(get)
    with pytest.raises(build.MissingTool, match=said):
        get()


def test_an_index_that_does_not_answer_is_a_missing_rival(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "BUILD", tmp_path)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(build.MissingTool, match="expected aiohttp and picows from the package index"):
        install.python_with_rivals()
    # Nothing half made passes for the whole the next time.
    assert not list(tmp_path.glob("*/.finished"))

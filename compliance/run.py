"""Runs the cases: against the echo server, and against the client."""

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kosoku import FailureError, run_fuzzingclient, run_fuzzingserver

from compliance.client import run_cases
from compliance.verdicts import Verdict

__all__ = ["run_client_cases", "run_server_cases"]


@contextmanager
def _echo_server() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "compliance.echo"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


async def run_server_cases(cases: Sequence[str] | None = None) -> list[Verdict]:
    """Run the cases that match (``None``: all) against the stream's transport, one after the other."""
    with _echo_server() as port:

        async def run(cases: Sequence[str] | None) -> list[Any]:
            return await run_fuzzingclient(f"ws://127.0.0.1:{port}/api/v1/stream", cases)

        return await _verdicts(run, cases)


async def run_client_cases(cases: Sequence[str] | None = None) -> list[Verdict]:
    """The same against the client."""

    async def run(cases: Sequence[str] | None) -> list[Any]:
        async with run_fuzzingserver(cases, port=0) as server:
            await run_cases(server.address, server.port)
            results: list[Any] = await server.get_result()
        return results

    return await _verdicts(run, cases)


async def _verdicts(
    run: Callable[[Sequence[str] | None], Awaitable[list[Any]]], cases: Sequence[str] | None
) -> list[Verdict]:
    """Each case's verdict.

    The suite gives a case 20 seconds, whatever the case itself says, and the largest take half of them where nothing
    else runs. One that has not finished is tried once more: a busy moment is no breach of the RFC.
    """
    verdicts = {verdict.case: verdict for verdict in await _results(run, cases)}
    slow = [verdict.case for verdict in verdicts.values() if "did not finish" in verdict.detail]
    if slow:
        verdicts.update((verdict.case, verdict) for verdict in await _results(run, slow))
    return list(verdicts.values())


async def _results(
    run: Callable[[Sequence[str] | None], Awaitable[list[Any]]], cases: Sequence[str] | None
) -> list[Verdict]:
    try:
        results = await run(cases)
    except FailureError as failure:
        results = failure.results
    return [
        Verdict(
            result.case_id,
            result.behavior.value,
            result.behavior_close.value,
            "; ".join(dict.fromkeys(filter(None, (result.result, result.result_close)))),
        )
        for result in results
    ]

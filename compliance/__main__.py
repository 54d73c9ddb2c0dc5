"""`python -m compliance`: run the cases, print a table, exit with 1 when something is not as explained."""

import argparse
import asyncio
import sys

from compliance.explained import PAGE, explained
from compliance.run import run_client_cases, run_server_cases
from compliance.verdicts import judge, summary


def main() -> None:
    """Run the cases that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m compliance", description=__doc__)
    parser.add_argument("cases", nargs="*", help="cases to run, such as 7.1.5 or '12.*'; all when absent")
    cases = parser.parse_args().cases or None
    rows = explained(PAGE.read_text())
    wrong = []
    for side, run in (("server", run_server_cases), ("client", run_client_cases)):
        try:
            verdicts = asyncio.run(run(cases))
        except ValueError as error:  # kosoku's word on a name that is no case
            sys.exit(f"expected cases such as 7.1.5 or '12.*': {error}")
        print(summary(verdicts, side, rows), end="\n\n", flush=True)
        wrong += [f"{side} {sentence}" for sentence in judge(verdicts, side, rows, whole=cases is None)]
    print("\n".join(wrong) if wrong else "all as they should be, or as compliance/README.md explains")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

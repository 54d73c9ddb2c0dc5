"""Starts the same server again and again, without importing everything each time: one line on stdin, one start.

python forked.py <flags of tickwire serve>
"""

import os
import sys

import tickwire.cli.serve
import tickwire.service.server  # noqa: F401 (so that the children need not)
from tickwire.cli import main

for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        sys.argv = ["tickwire", "serve", *sys.argv[1:]]
        sys.stdin.close()
        main()
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)

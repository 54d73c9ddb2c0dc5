"""``python -m tickwire.service.reference [--check] DIRECTORY``."""

import sys

from tickwire.service.reference.pages import main

sys.exit(main(sys.argv[1:]))

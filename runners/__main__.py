"""``python -m runners`` is ``flopwatch``."""

import sys

from runners.cli import main

sys.exit(main())

"""The benchmarks are no part of the installed package: they are found beside the tests."""

import sys
from pathlib import Path

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    # Last, so that an installed pygateway is tested and not the one in the work tree.
    sys.path.append(ROOT)

"""`python -m pygateway` is the command `pygateway`."""

import sys

from pygateway.cli import main

if __name__ == "__main__":
    sys.exit(main())

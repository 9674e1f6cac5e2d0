"""A worker that takes a second to start."""

import time

from pygateway.dataplane.plane import DataPlane
from pygateway.process.worker import main

if __name__ == "__main__":
    time.sleep(1.0)
    main(DataPlane)

"""A worker that, when it gets SIGUSR1, says which modules it has loaded: the product's own worker, run as it runs."""

import runpy
import signal
import sys


def tell(*_: object) -> None:
    print("modules:", " ".join(sorted(sys.modules)), flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, tell)
    runpy.run_module("pygateway.process.worker", run_name="__main__", alter_sys=True)

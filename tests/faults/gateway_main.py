"""A supervisor for tests: its settings, and the programs of its children, are its argument."""

import sys

import msgspec

from pygateway.observe import logs
from pygateway.process.children import Programs
from pygateway.process.supervisor import Supervisor
from pygateway.settings import Settings


class Start(msgspec.Struct):
    settings: Settings
    programs: Programs


if __name__ == "__main__":
    start = msgspec.json.decode(sys.argv[1], type=Start)
    logs.set_up("supervisor", start.settings.log_level, "text")
    sys.exit(Supervisor(start.settings, start.programs).run())

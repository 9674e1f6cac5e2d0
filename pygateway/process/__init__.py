"""The processes of a running gateway: a supervisor, control, and workers.

    supervisor (PID 1) ─┬─ control: source, translation, admin
                        └─ worker 1 … N: traffic

Nothing is imported here before it is needed: a worker that imports `pygateway.process.worker` passes by.
"""

from pygateway.settings import Settings


def run(settings: Settings) -> int:
    """Run a gateway until SIGTERM or SIGINT ends it; the exit code. The calling process becomes the supervisor."""
    from pygateway.observe import logs
    from pygateway.process.supervisor import Supervisor

    logs.set_up("supervisor", settings.log_level, settings.log_format)
    return Supervisor(settings).run()

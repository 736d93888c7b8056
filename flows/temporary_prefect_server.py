"""The process behind `flows.temporary_prefect`: prints its port, serves, and ends when its stdin does.

Its argument is the address to listen at.
"""

import os
import socket
import sys
import threading

_CHEAPER = {
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
}
"""The server works on the cores that the videos want. It has no automations and no page that shows events; task runs
and their states are written down many at a time, every five seconds and at the end."""


def main() -> None:
    """Serve Prefect's API on a free port."""
    os.environ.update({"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
                      | _CHEAPER)
    import uvicorn
    from prefect.server.api.server import create_app

    listener = socket.create_server((sys.argv[1], 0))
    server = uvicorn.Server(uvicorn.Config(create_app, factory=True, log_level="error", lifespan="on"))
    threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    server.run(sockets=[listener])


def _end_with_parent(server: object) -> None:
    sys.stdin.buffer.read()
    server.should_exit = True
    threading.Timer(5, os._exit, args=(0,)).start()


if __name__ == "__main__":
    main()

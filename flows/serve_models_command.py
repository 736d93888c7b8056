"""The command `serve-models`: makes vLLM's environment, starts it, says where it answers, and stops it cleanly.

Exit codes: 0 stopped by the user, 1 a server did not start or ended by itself, 2 wrong call.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from flows.pinned_environment import EnvironmentFailedError, cache_folder
from flows.vllm_environment import vllm_python
from flows.vllm_server import ServerDidNotStartError, ServerPlan, VllmServer
from pipeline.progress import StageProgress, add_log_json

STOPPED, FAILED, WRONG_CALL = 0, 1, 2
_LOOK_EVERY_S = 1.0
_LONGEST_NOTE = 80
_KEYS = {"captions": "VICO_CAPTION_API_KEY", "order": "VICO_ORDER_API_KEY"}


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the command."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run the command until it is stopped.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_args(argv)
    plans = plans_of(arguments)
    if not plans:
        return _complain("name a model: --vlm MODEL, --llm MODEL or both", WRONG_CALL)
    try:
        return _serve(plans, arguments)
    except KeyboardInterrupt:
        return STOPPED
    except (EnvironmentFailedError, ServerDidNotStartError) as error:
        return _complain(str(error), FAILED)


def plans_of(arguments: argparse.Namespace) -> list[ServerPlan]:
    """The servers that a command line asks for."""
    cpu = arguments.cpu or shutil.which("nvidia-smi") is None
    shared = {"host": arguments.host, "cpu": cpu, "more": tuple(arguments.vllm)}
    plans = []
    if arguments.vlm:
        plans.append(ServerPlan(
            role="captions", model=arguments.vlm, port=arguments.port, images=arguments.images,
            tensor_parallel=arguments.tensor_parallel, data_parallel=arguments.data_parallel, gpus=arguments.gpus,
            **shared))
    if arguments.llm:
        plans.append(ServerPlan(
            role="order", model=arguments.llm, port=arguments.port + len(plans), images=0,
            tensor_parallel=arguments.llm_tensor_parallel, gpus=arguments.llm_gpus, **shared))
    return plans


def _serve(plans: Sequence[ServerPlan], arguments: argparse.Namespace) -> int:
    """Run the servers until a signal comes or one of them ends."""
    logs = arguments.logs or cache_folder() / "logs"
    with contextlib.ExitStack() as servers:
        with StageProgress(["environment", *(plan.role for plan in plans)], arguments.log_json) as progress:
            progress.plan("environment", 1)
            python = vllm_python(plans[0].cpu, arguments.env)
            progress.reach("environment", 1)
            stop = threading.Event()
            for signal_number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signal_number, lambda *_: stop.set())
            running = [
                servers.enter_context(VllmServer(
                    plan, python, logs / f"vllm-{plan.role}-{plan.port}.log", os.environ.get(_KEYS[plan.role])))
                for plan in plans]
            for server in running:
                _await(server, arguments.starts_within, stop, progress)
        if not stop.is_set():
            _say_where(plans)
        while not stop.wait(_LOOK_EVERY_S):
            for server in running:
                if not server.running:
                    raise ServerDidNotStartError(
                        f"the server of {server.plan.model} ended by itself. Its last words:\n{server.last_words()}")
    return STOPPED


def _await(server: VllmServer, within_s: float, stop: threading.Event, progress: StageProgress) -> None:
    """Wait until a server answers, and show what it says meanwhile."""
    role = server.plan.role
    progress.plan(role, 1)
    server.wait_until_healthy(within_s, stop, lambda line: progress.reach(role, 0, line[-_LONGEST_NOTE:]))
    if not stop.is_set():
        progress.reach(role, 1, "")


def _say_where(plans: Sequence[ServerPlan]) -> None:
    flags = {"captions": "--captioner served --caption-urls {url} --caption-model {name}",
             "order": "--orderer served --order-urls {url} --order-model {name}"}
    for plan in plans:
        print(f"{plan.role}: {plan.served_name} at {plan.url}")
    print("build-vico SOURCES --out DIR " + " ".join(
        flags[plan.role].format(url=plan.url, name=plan.served_name) for plan in plans))
    print("stop it with Ctrl-C", flush=True)


def _complain(words: str, code: int) -> int:
    print(f"serve-models: {words}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="serve-models", description="Serve models for build-vico with vLLM, in an environment of its own. A key "
        "that clients must send is taken from VICO_CAPTION_API_KEY and VICO_ORDER_API_KEY. What follows -- goes to "
        "vLLM as it is.")
    parser.add_argument("--vlm", metavar="MODEL", help="the vision-language model that captions: a hub name, a folder")
    parser.add_argument("--llm", metavar="MODEL", help="a language model that orders, where it is another")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; give a key with any other")
    parser.add_argument("--port", type=int, default=8000, help="port of the first server; the second takes the next")
    parser.add_argument("--images", type=int, default=16, help="most frames of a clip (build-vico --caption-frames)")
    parser.add_argument("--tensor-parallel", type=int, default=1, help="GPUs that share one copy of the VLM")
    parser.add_argument("--data-parallel", type=int, default=1, help="copies of the VLM")
    parser.add_argument("--gpus", help="the GPUs of the VLM, as 0,1")
    parser.add_argument("--llm-tensor-parallel", type=int, default=1, help="GPUs that share the LLM")
    parser.add_argument("--llm-gpus", help="the GPUs of the LLM, as 2,3")
    parser.add_argument("--cpu", action="store_true", help="the build without CUDA; taken where there is no nvidia-smi")
    parser.add_argument("--env", type=Path, help="vLLM's environment; by default one in ~/.cache/video-xl by its pins")
    parser.add_argument("--logs", type=Path, help="folder of the servers' logs")
    parser.add_argument("--starts-within", type=float, default=1800.0, help="longest wait for a server, seconds")
    add_log_json(parser)
    parser.add_argument("vllm", nargs="*", metavar="-- FLAGS", help="more flags for vLLM")
    return parser

"""How fast the LLM client is: beside vLLM's own benchmark client, and against a server that takes two seconds.

    python -m benchmarks.served stub                          256 in flight, answers after 2 s
    python -m benchmarks.served vllm --python ENV/bin/python --url URL --model NAME --tokenizer DIR

`vllm` sends the same requests (eight frames each, a JSON schema, 64 answer tokens) through vLLM's benchmark client and
through ours, in turns. Start the server without caches that the second client would profit from:
`serve-models --vlm DIR -- --no-enable-prefix-caching --mm-processor-cache-gb 0`. ENV is the environment that
`serve-models` made. Prints one JSON line per run and asserts nothing.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.captioner_served import clip_schema
from pipeline.llm_client import LlmClient, Message, Request, ServerPool

_FRAMES, _SIDE = 8, (448, 796)
_ANSWER_TOKENS = 64
_RUN_VLLMS_CLIENT = (
    "import argparse; from vllm.benchmarks.serve import add_cli_args, main; "
    "from vllm.utils.argparse_utils import FlexibleArgumentParser as P; p = P(); add_cli_args(p); main(p.parse_args())")


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    stub = kinds.add_parser("stub")
    stub.add_argument("--in-flight", type=int, default=256)
    stub.add_argument("--requests", type=int, default=2560)
    vllm = kinds.add_parser("vllm")
    vllm.add_argument("--python", type=Path, required=True)
    vllm.add_argument("--url", required=True)
    vllm.add_argument("--model", required=True)
    vllm.add_argument("--tokenizer", required=True)
    vllm.add_argument("--requests", type=int, default=96)
    vllm.add_argument("--in-flight", type=int, default=32)
    vllm.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(argv)
    if arguments.kind == "stub":
        against_stub(arguments.in_flight, arguments.requests)
    else:
        beside_vllms_client(arguments)


def against_stub(in_flight: int, requests: int) -> None:
    """Requests per second and client CPU at a server that answers after two seconds."""
    stub = subprocess.Popen([sys.executable, "-m", "benchmarks.slow_server", "2"], stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{int(stub.stdout.readline())}/v1"
        print(json.dumps(asyncio.run(_ask_stub(url, in_flight, requests))))
    finally:
        stub.kill()


async def _ask_stub(url: str, in_flight: int, requests: int) -> dict[str, Any]:
    servers = ServerPool([url], most_in_flight=in_flight)
    client = LlmClient(servers)
    pictures = _pictures(32)
    # The number in flight has to grow to its limit before it is measured.
    await _ask_all(client, [_request("m", number, pictures) for number in range(3 * in_flight)])
    began, cpu = time.monotonic(), time.process_time()
    done = await _ask_all(client, [_request("m", number, pictures) for number in range(requests)])
    wall, cpu = time.monotonic() - began, time.process_time() - cpu
    await servers.close()
    return {
        "what": "stub", "in_flight": in_flight, "requests": done, "requests_per_s": round(done / wall, 1),
        "of_the_possible": round(done / wall / (in_flight / 2), 3), "cpu_ms_per_request": round(1000 * cpu / done, 2),
        "megabytes_per_request": round(len(_request("m", 0, pictures).body()) / 1e6, 3)}


async def _ask_all(client: LlmClient, requests: Sequence[Request]) -> int:
    return len(await asyncio.gather(*(client.ask(request) for request in requests)))


def beside_vllms_client(arguments: argparse.Namespace) -> None:
    """The same requests through both clients, in turns."""
    pictures = _pictures(_FRAMES * 8)
    asked = [_request(arguments.model, number, pictures) for number in range(arguments.requests)]
    with tempfile.TemporaryDirectory() as folder:
        data = _write_requests(Path(folder), asked)
        for number in range(arguments.rounds):
            ours = asyncio.run(_ask_vllm(arguments, asked))
            theirs = _vllms_client(arguments, data, Path(folder) / f"{number}")
            print(json.dumps({"what": "vllm", "round": number, "ours_per_s": ours, "vllm_bench_per_s": theirs,
                              "ratio": round(ours / theirs, 3)}), flush=True)


async def _ask_vllm(arguments: argparse.Namespace, asked: Sequence[Request]) -> float:
    servers = ServerPool(
        [arguments.url], key=os.environ.get("VICO_CAPTION_API_KEY"), most_in_flight=arguments.in_flight)
    client = LlmClient(servers)
    began = time.monotonic()
    done = await _ask_all(client, asked)
    wall = time.monotonic() - began
    await servers.close()
    return round(done / wall, 3)


def _vllms_client(arguments: argparse.Namespace, data: Path, results: Path) -> float:
    body = {"temperature": 0.0, "response_format": json.loads(
        _request("m", 0, _pictures(1)).body())["response_format"]}
    environment = dict(os.environ)
    if "VICO_CAPTION_API_KEY" in environment:
        environment["OPENAI_API_KEY"] = environment["VICO_CAPTION_API_KEY"]
    subprocess.run(
        [arguments.python, "-c", _RUN_VLLMS_CLIENT, "--backend", "openai-chat", "--base-url",
         arguments.url.removesuffix("/v1"), "--endpoint", "/v1/chat/completions", "--model", arguments.model,
         "--tokenizer", arguments.tokenizer, "--dataset-name", "custom_image", "--dataset-path", data,
         "--custom-output-len", str(_ANSWER_TOKENS), "--custom-ensure-client-side-data",
         "--num-prompts", str(arguments.requests), "--disable-shuffle",
         "--max-concurrency", str(arguments.in_flight), "--extra-body", json.dumps(body), "--disable-tqdm",
         "--save-result", "--result-dir", results, "--result-filename", "result.json"],
        env=environment, check=True, stdout=sys.stderr, cwd=tempfile.gettempdir())
    result = json.loads((results / "result.json").read_text(encoding="utf-8"))
    if result["completed"] != arguments.requests:
        raise RuntimeError(f"vLLM's client completed {result['completed']} of {arguments.requests} requests")
    return round(result["request_throughput"], 3)


def _write_requests(folder: Path, asked: Sequence[Request]) -> Path:
    """The requests as a data set of vLLM's benchmark client."""
    lines = []
    names: dict[bytes, Path] = {}
    for request in asked:
        content: list[dict[str, str]] = []
        for part in request.messages[0].parts:
            if isinstance(part, str):
                content.append({"type": "text", "text": part})
                continue
            if part not in names:
                names[part] = folder / f"{len(names)}.jpg"
                names[part].write_bytes(part)
            content.append({"type": "image", "image": str(names[part])})
        lines.append(json.dumps({"content": content}))
    path = folder / "requests.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _request(model: str, number: int, pictures: Sequence[bytes]) -> Request:
    dice = random.Random(number)
    parts = [part for frame in range(_FRAMES) for part in (f"Frame {frame}:", dice.choice(pictures))]
    return Request(model, (Message("user", (f"Describe clip {number}.", *parts)),), "clip", clip_schema(14),
                   _ANSWER_TOKENS)


def _pictures(count: int) -> list[bytes]:
    """JPEGs of the size that frames of films have."""
    dice = np.random.default_rng(0)
    pictures = []
    for _ in range(count):
        coarse = dice.integers(0, 255, (28, 50, 3), dtype=np.uint8)
        fine = cv2.resize(coarse, _SIDE[::-1], interpolation=cv2.INTER_CUBIC)
        pictures.append(cv2.imencode(".jpg", fine, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes())
    return pictures


if __name__ == "__main__":
    main()

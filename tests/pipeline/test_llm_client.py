"""The client that asks model servers, against a server that fails on purpose."""

import asyncio
import json
import time
import traceback
from collections.abc import Coroutine
from typing import Any

import pytest

from pipeline.llm_client import (
    Answer,
    Budget,
    BudgetSpentError,
    LlmClient,
    Message,
    Request,
    ServerPool,
    ServerRefusesError,
    ServersDownError,
)
from pipeline.llm_client.adaptive_limit import AdaptiveLimit
from pipeline.llm_client.answer import read_completion, read_count, read_embeddings
from pipeline.llm_client.errors import TroubleError
from pipeline.llm_client.server import _retry_after
from tests.fault_server import KINDS, FaultServer

KEY = "sk-planted-5f2c"
SCHEMA = {"type": "object", "properties": {"order": {"type": "array", "maxItems": 3}}}


def request(number: int = 0, picture: bytes = b"jpeg") -> Request:
    return Request(model="m", messages=(Message("user", (f"number {number}", picture)),), schema_name="order",
                   schema=SCHEMA, max_tokens=20)


def answers(count: int, *urls: str, **how: Any) -> tuple[list[Answer], LlmClient]:
    """The answers to so many different requests, and the client that got them."""
    servers = ServerPool(urls, **({"timeout_s": 2.0} | how))
    client = LlmClient(servers)

    async def ask() -> list[Answer]:
        try:
            return await asyncio.gather(*(client.ask(request(number)) for number in range(count)))
        finally:
            await servers.close()

    return run(ask()), client


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 120))


def test_a_body_is_json_with_the_pictures_in_it() -> None:
    said = json.loads(request(7, b"\xff\xd8").body())
    assert said["messages"][0]["content"] == [
        {"type": "text", "text": "number 7"},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9g="}}]
    assert said["response_format"]["json_schema"]["schema"] == SCHEMA
    assert (said["model"], said["max_tokens"], said["temperature"]) == ("m", 20, 0.0)


def test_a_key_changes_with_everything_that_decides_the_answer() -> None:
    one = request()
    others = [
        request(1), request(picture=b"jpef"), one.and_then(Message("assistant", ("x",))),
        Request("n", one.messages, "order", SCHEMA, 20), Request("m", one.messages, "order", {}, 20),
        Request("m", one.messages, "order", SCHEMA, 21), Request("m", one.messages, "order", SCHEMA, 20, 0.5),
        Request("m", one.messages, "orders", SCHEMA, 20)]
    assert request().key() == one.key()
    assert len({one.key(), *(other.key() for other in others)}) == len(others) + 1


@pytest.mark.parametrize("kind", ["429", "500", "503", "half", "drop", "hang"])
def test_every_trouble_is_retried_until_it_goes_well(kind: str) -> None:
    with FaultServer(fault_share=0.4, kinds=(kind,), seed=3, retry_after="0") as server:
        got, client = answers(12, server.url, timeout_s=0.7)
        assert {answer.text for answer in got} == {'{"order": [1, 2, 3]}'}
        assert server.outcomes()[kind] > 0
        troubles = sum(count for what, count in client.counts.items() if what not in ("sent", "answered"))
        assert client.counts["answered"] == 12
        assert client.counts["sent"] == 12 + troubles == len(server.seen)


@pytest.mark.parametrize(("said", "seconds"), [
    ("2", 2.0), ("-1", 0.0), ("1e9", 600.0), ("Fri, 31 Dec 2100 23:59:59 GMT", 600.0),
    ("Sat, 01 Jan 2000 00:00:00 GMT", 0.0), ("soon", None), (None, None)])
def test_no_clock_makes_anyone_wait_for_hours(said: str | None, seconds: float | None) -> None:
    assert _retry_after(said) == seconds


def test_retry_after_is_honoured_for_the_whole_server() -> None:
    with FaultServer(fault_share=1.0, kinds=("429",), retry_after="1") as server:
        servers = ServerPool([server.url])
        client = LlmClient(servers)

        async def ask() -> None:
            first = asyncio.create_task(client.ask(request(0)))
            await asyncio.sleep(0.3)
            server._share = 0.0
            began = time.monotonic()
            await client.ask(request(1))  # another request waits as well
            assert time.monotonic() - began > 0.6
            await first
            await servers.close()

        run(ask())
        assert [seen.outcome for seen in server.seen].count("429") == 1


def test_a_wrong_key_ends_it_at_once_and_is_said_nowhere() -> None:
    with FaultServer(key="another") as server, pytest.raises(ServerRefusesError) as refused:
        answers(1, server.url, key=KEY)
    assert "VICO_CAPTION_API_KEY" in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


def test_the_key_is_in_no_text_that_comes_back() -> None:
    """The server shouts it in every error, and puts it into an answer."""
    with FaultServer(key=KEY, say=lambda _: f'{{"said": "{KEY}"}}') as server:
        got, _ = answers(1, server.url, key=KEY)
    assert got[0].text == '{"said": "[key]"}'
    with FaultServer(key=KEY, fault_share=1.0, kinds=("500",)) as server, pytest.raises(ServersDownError) as down:
        answers(1, server.url, key=KEY, give_up_s=0.5)
    words = "".join(traceback.format_exception(down.value, chain=True))
    assert "no luck" in words
    assert KEY not in words


def test_work_is_spread_over_servers_by_load() -> None:
    with FaultServer(delay_s=0.05) as slow, FaultServer(delay_s=0.01) as fast:
        answers(300, slow.url, fast.url, most_in_flight=8)
        assert len(slow.seen) + len(fast.seen) == 300
        assert 30 < len(slow.seen) < len(fast.seen)


def test_a_dead_server_is_left_out_and_tried_again() -> None:
    with FaultServer(fault_share=1.0, kinds=("500",)) as sick, FaultServer(delay_s=0.02) as well:
        servers = ServerPool([sick.url, well.url], most_in_flight=4)
        client = LlmClient(servers)

        async def ask() -> None:
            await asyncio.gather(*(client.ask(request(number)) for number in range(60)))
            assert 3 <= len(sick.seen) <= 10
            sick._share = 0.0
            await asyncio.sleep(1.5)
            await asyncio.gather(*(client.ask(request(number)) for number in range(60, 120)))
            assert sick.outcomes()["answered"] > 5
            await servers.close()

        run(ask())


def test_when_no_server_answers_it_ends_with_words_that_help() -> None:
    began = time.monotonic()
    with pytest.raises(ServersDownError, match="Start the server again"):
        answers(50, "http://127.0.0.1:9/v1", give_up_s=0.5)
    assert time.monotonic() - began < 15  # those who wait for a place learn it with the first


@pytest.mark.parametrize("other", [(), ("http://127.0.0.1:9/v1",)])
def test_servers_that_say_nothing_but_429_are_given_up_like_dead_ones(other: tuple[str, ...]) -> None:
    """A quota that is used up is told so, too."""
    began = time.monotonic()
    with FaultServer(fault_share=1.0, kinds=("429",), retry_after="0") as server:
        with pytest.raises(ServersDownError, match="nothing but 429: too many requests, or a quota that is used up"):
            answers(20, server.url, *other, give_up_s=0.5)
        server._share = 0.0
        assert len(answers(3, server.url)[0]) == 3
    assert time.monotonic() - began < 60


def test_a_server_that_said_something_between_429s_is_not_given_up() -> None:
    async def look() -> None:
        servers = ServerPool(["http://127.0.0.1:9/v1"], give_up_s=0.2)
        [server], busy = servers._servers, TroubleError("429", "too many requests")
        server.went_wrong(busy, 0.0, time.monotonic())
        await asyncio.sleep(0.3)
        server.refused()
        server.went_wrong(busy, 0.0, time.monotonic())
        servers.check_alive("429")
        await asyncio.sleep(0.3)
        with pytest.raises(ServersDownError):
            servers.check_alive("429")
        await servers.close()

    run(look())


def test_servers_that_were_down_are_tried_again() -> None:
    with FaultServer(fault_share=1.0, kinds=("500",)) as server:
        servers = ServerPool([server.url], give_up_s=0.3)
        client = LlmClient(servers)

        async def ask() -> None:
            with pytest.raises(ServersDownError):
                await client.ask(request(0))
            server._share = 0.0
            with pytest.raises(ServersDownError):  # at once: it is not yet time
                await asyncio.wait_for(client.ask(request(1)), 0.5)
            await asyncio.sleep(3)
            assert (await client.ask(request(2))).finish_reason == "stop"
            await servers.close()

        run(ask())


def test_a_request_that_fails_alone_is_given_up_and_the_others_are_not() -> None:
    def say(said: dict[str, Any]) -> str:
        if "number 3" in said["messages"][0]["content"][0]["text"]:
            raise ConnectionResetError
        return "{}"

    with FaultServer(say=say) as server:
        servers = ServerPool([server.url])
        client = LlmClient(servers)
        client_module_wait = asyncio.sleep

        async def ask() -> list[Answer]:
            async def others() -> None:
                for number in range(10, 60):
                    await client.ask(request(number))
                    await client_module_wait(0.2)

            busy = asyncio.create_task(others())
            bad = await client.ask(request(3))
            busy.cancel()
            await servers.close()
            return [bad]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipeline.llm_client.client._LONGEST_WAIT_S", 0.2)
            bad = run(ask())[0]
    assert bad.finish_reason == "failed"
    assert not bad.final


def test_refused_requests_are_answers_unless_all_are_refused() -> None:
    class Strict(FaultServer):
        async def _complete(self, body: bytes, writer: asyncio.StreamWriter) -> bool:
            if b"number 1" in body:
                writer.write(b"HTTP/1.1 400 Bad\r\ncontent-length: 9\r\n\r\ntoo large")
                return True
            return await super()._complete(body, writer)

    with Strict() as server:
        got, _ = answers(10, server.url)
        assert [answer.finish_reason for answer in got] == ["stop", "refused"] + ["stop"] * 8
        servers = ServerPool([server.url])
        client = LlmClient(servers)

        async def ask() -> None:
            for number in range(10, 19):
                await client.ask(request(number))

        with pytest.raises(ServerRefusesError, match="the first 8 requests were refused"):
            run(ask())


@pytest.mark.parametrize(("budget", "may_be"), [(Budget(max_tokens=1000), 8), (Budget(max_cost=0.001), 10)])
def test_a_budget_is_never_overrun(budget: Budget, may_be: int) -> None:
    """An answer takes 100 tokens and 20."""
    with FaultServer(delay_s=0.02) as server:
        servers = ServerPool([server.url])
        client = LlmClient(servers, budget=budget, price_in=1.0)

        async def ask() -> list[Any]:
            got = await asyncio.gather(*(client.ask(request(number)) for number in range(30)), return_exceptions=True)
            await servers.close()
            return got

        got = run(ask())
    assert all(isinstance(one, Answer | BudgetSpentError) for one in got)
    assert sum(isinstance(one, Answer) for one in got) == may_be
    assert budget.spent
    assert budget.max_tokens is None or budget.tokens <= budget.max_tokens
    assert budget.max_cost is None or budget.cost <= budget.max_cost + 1e-12


def test_tokens_are_counted_by_the_server_where_it_can() -> None:
    async def count(url: str) -> list[int] | None:
        servers = ServerPool([url])
        client = LlmClient(servers)
        try:
            return await client.count_tokens("m", ["one two", "three"])
        finally:
            await servers.close()

    with FaultServer() as server:
        assert run(count(server.url)) == [2, 2]
    with FaultServer(counts_tokens=False) as server:
        assert run(count(server.url)) is None


def test_the_limit_doubles_while_latency_holds_and_halves_on_trouble() -> None:
    limit = AdaptiveLimit(most=256)
    for _ in range(300):
        limit.went_well("clip", 1.0, int(limit.value))
    assert limit.value == 256
    limit.went_wrong(sent_at=10.0, now=11.0)
    limit.went_wrong(sent_at=10.5, now=11.1)  # sent before the cut
    assert limit.value == 128
    for _ in range(128):
        limit.went_well("clip", 1.0, int(limit.value))
    assert 128.5 < limit.value < 129.5  # one more a round


def test_the_limit_stops_growing_when_latency_rises_or_nobody_needs_it() -> None:
    limit = AdaptiveLimit(most=256)
    for _ in range(20):
        limit.went_well("clip", 1.0, 2)
    assert limit.value == 16
    for _ in range(200):
        limit.went_well("clip", 1.0 + limit.value / 10, int(limit.value))
    assert limit.value < 128


def test_concurrency_reaches_what_the_server_bears() -> None:
    with FaultServer(delay_s=0.3) as server:
        answers(600, server.url, most_in_flight=64)
        assert server.most_in_flight == 64


def test_every_kind_of_fault_is_one_the_client_knows_of() -> None:
    assert set(KINDS) >= {"429", "500", "503", "hang", "half", "drop", "wrong_json"}


def body(content: str = '"{}"', ended: str = '"stop"', tokens: str = "7") -> str:
    """An answer as a server writes it, from pieces of JSON."""
    return (f'{{"choices": [{{"message": {{"content": {content}}}, "finish_reason": {ended}}}], '
            f'"usage": {{"prompt_tokens": {tokens}, "completion_tokens": 5}}}}')


@pytest.mark.parametrize("text", [
    body('[{"type": "text", "text": "{}"}]'), body("5"), body('{"a": 1}'), body("true"), body(ended='["stop"]'),
    body(ended="3"), body(tokens="1e999"), body(tokens="NaN"), body(tokens="-7"), body(tokens="1" + "0" * 400),
    body(tokens="[7]"), "[" * 100_000, '{"choices": [' * 100_000, body("1" * 5000), "[1]", "null", ""])
def test_what_is_no_answer_is_asked_for_again_and_never_stored(text: str) -> None:
    with pytest.raises(TroubleError) as trouble:
        read_completion(text, 0.1)
    assert trouble.value.what == "half_answer"


def test_an_answer_without_words_counts_as_empty() -> None:
    assert read_completion(body("null", "null"), 0.1) == Answer("", "stop", 7, 5, 0.1)


def test_half_an_emoji_in_an_answer_becomes_a_character_that_can_be_stored() -> None:
    got = read_completion(body(r'"I see a \ud83d."', r'"\ude00"'), 0.1)
    assert (got.text, got.finish_reason) == ("I see a \ufffd.", "\ufffd")
    assert read_completion(body(r'"\ud83d\ude00"'), 0.1).text == "\U0001f600"


@pytest.mark.parametrize("text", ['{"count": 1e999}', '{"count": -5}', "[1]", "[" * 100_000])
def test_what_is_no_count_is_asked_for_again(text: str) -> None:
    with pytest.raises(TroubleError):
        read_count(text, 0.1)


@pytest.mark.parametrize("text", [
    '{"data": [{"index": 0, "embedding": [1, 2]}], "usage": {"prompt_tokens": 1e999}}',
    '{"data": [{"index": 1e999, "embedding": [1, 2]}]}', "[" * 100_000])
def test_what_is_no_embedding_is_asked_for_again(text: str) -> None:
    with pytest.raises(TroubleError):
        read_embeddings(text, 1, 0.1)

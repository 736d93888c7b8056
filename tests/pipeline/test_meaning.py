"""The embedding model: a clue that is said of another clip in other words goes; nothing is asked or paid twice."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.llm_client import ServerRefusesError
from pipeline.llm_client.answer import read_embeddings
from pipeline.llm_client.errors import TroubleError
from pipeline.meaning import KNOWN, Meaning
from pipeline.sample_videos import sample_script, write_video
from pipeline.served_models import ServedModels
from pipeline.stopped import StoppedError
from schemas.build_config import BuildConfig
from tests.builds import data_bytes, rows
from tests.fault_server import FaultServer, right_embedding
from tests.stages import run_stages

SAID = (
    "A fox creeps along a hedge.", "Waves break over a stone pier.", "The organist turns a page of music.",
    "Steam rises from a row of kettles.", "A vixen prowls beside some bushes.", "Lorries queue at a toll booth.",
    "A potter shapes grey clay.", "Lanterns float down the canal.")
"""What is said of eight clips: the fifth is the first in other words."""
SAME = {SAID[4]: SAID[0]}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    write_video(replace(sample_script(seed=2, duration_s=40), width=320, height=180), folder / "film.mp4")
    said = [{"video": "film.mp4", "start_s": 5 * at, "end_s": 5 * at + 5, "text": text} for at, text in enumerate(SAID)]
    (folder / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
    return folder / "film.mp4"


def config(film: Path, server: FaultServer | None, **more: Any) -> BuildConfig:
    choices = {"captioner": "file", "captions": [str(film.with_name("said.jsonl"))], "clip_seconds": 5,
               "embedding_model": "e", "embedding_urls": [server.url] if server else [], "frame_side": 90,
               "caption_frame_side": 180, "caption_frames": 1}
    return BuildConfig(**choices | more)


def understands(text: str) -> list[float]:
    return right_embedding(SAME.get(text, text))


def test_what_is_said_elsewhere_in_other_words_is_dropped(film: Path, tmp_path: Path) -> None:
    with FaultServer(embed=understands) as server:
        run_stages(film, tmp_path / "out", config(film, server))
    run_stages(film, tmp_path / "without", config(film, None, embedding_model=None))
    clues = {clue["text"]: clue for clue in rows(tmp_path / "out", "clues")}
    before = {clue["text"]: clue for clue in rows(tmp_path / "without", "clues")}
    assert set(clues) == set(before) == set(SAID)
    assert before[SAID[0]]["kept"]
    assert before[SAID[4]]["kept"]
    changed = {text for text in SAID if clues[text] != before[text]}
    assert changed == {SAID[0], SAID[4]}
    assert {(clues[text]["kept"], clues[text]["reason"]) for text in changed} == {(False, "clue_meant_elsewhere")}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["rejected_by_reason"]["clue_meant_elsewhere"] == 2
    [usage] = manifest["served"]["usage"]
    assert (usage["role"], usage["model"], usage["questions"]) == ("embeddings", "e", 8)
    assert usage["prompt_tokens"] == sum(len(text.split()) for text in SAID)
    assert not any(SAID[0] in sample["question"] for sample in rows(tmp_path / "out", "samples"))
    assert "2 clues were dropped because the embedding model `e`" in (tmp_path / "out" / "README.md").read_text()


def test_no_text_is_asked_twice_and_answers_replay(film: Path, tmp_path: Path) -> None:
    with FaultServer(embed=understands) as server:
        run_stages(film, tmp_path / "out", config(film, server))
        run_stages(film, tmp_path / "other", config(film, server, answers=[str(tmp_path / "out")], frame_side=100))
        asked = Counter(text for seen in server.seen for text in seen.key.split("\n"))
    assert set(asked) == {text for row in KNOWN for text in row} | set(SAID)
    assert set(asked.values()) == {1}
    run_stages(film, tmp_path / "again", config(film, None, answers=[str(tmp_path / "out")]))
    assert data_bytes(tmp_path / "again") == data_bytes(tmp_path / "out")
    with pytest.raises(StoppedError, match="embedding-urls"):
        run_stages(film, tmp_path / "nobody", config(
            film, None, answers=[str(tmp_path / "out")], embedding_model="another"))


def test_a_server_that_fails_in_every_way_changes_nothing(film: Path, tmp_path: Path) -> None:
    with FaultServer(embed=understands) as server:
        run_stages(film, tmp_path / "out", config(film, server))
    with FaultServer(embed=understands, fault_share=0.7, retry_after="0") as failing:
        run_stages(film, tmp_path / "tried", config(film, failing, request_seconds=1))
    assert len(failing.outcomes()) >= 2
    assert data_bytes(tmp_path / "tried") == data_bytes(tmp_path / "out")


def test_a_model_that_does_not_understand_is_refused(film: Path, tmp_path: Path) -> None:
    with FaultServer(embed=lambda text: [1.0, len(text) / 1e3]) as server, \
            pytest.raises(ServerRefusesError, match="choose another --embedding-model"):
        run_stages(film, tmp_path / "out", config(film, server))


def test_a_wrong_key_is_a_wrong_setup(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VICO_CAPTION_API_KEY", "right")  # the key of other servers, which must not be sent
    monkeypatch.setenv("VICO_EMBEDDING_API_KEY", "wrong")
    with FaultServer(key="right") as server, pytest.raises(ServerRefusesError, match="VICO_EMBEDDING_API_KEY"):
        run_stages(film, tmp_path / "out", config(film, server))


def test_a_budget_holds_for_embeddings_too(film: Path, tmp_path: Path) -> None:
    with FaultServer(embed=understands) as server:
        with pytest.raises(StoppedError, match="budget"):
            run_stages(film, tmp_path / "out", config(film, server, max_tokens=100))
        assert server.seen == []
        run_stages(film, tmp_path / "out", config(film, server, max_tokens=5000))
        asked = len(server.seen)
        run_stages(film, tmp_path / "out", config(film, server, max_tokens=400, frame_side=100))
        assert len(server.seen) == asked


def test_vectors_are_unit_vectors_in_the_order_of_the_texts(film: Path, tmp_path: Path) -> None:
    texts = [f"thing {number}" for number in range(150)]
    with FaultServer() as server, ServedModels(config(film, server), tmp_path) as models:
        vectors = models.embeddings("e", [*texts, texts[7]])
        assert Meaning(config(film, server), models).alike_from() == pytest.approx(0.5, abs=0.1)
    assert vectors.shape == (151, 64)
    for text, vector in zip([*texts, texts[7]], vectors, strict=True):
        right = right_embedding(text)
        assert vector @ vector == pytest.approx(1, abs=1e-3)
        assert vector @ right == pytest.approx(sum(one * one for one in right) ** 0.5, rel=1e-3)
    assert sum(len(seen.key.split("\n")) for seen in server.seen) == 150 + 3 * len(KNOWN)


@pytest.mark.parametrize("body", [
    "", "[]", "{}", '{"data": []}', '{"data": [{"index": 0, "embedding": [1]}]}',
    '{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}',
    '{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]}',
    '{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [0]}]}',
    '{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [NaN]}]}',
    '{"data": [{"index": 0, "embedding": "x"}, {"index": 1, "embedding": "y"}]}',
])
def test_half_an_answer_is_none(body: str) -> None:
    with pytest.raises(TroubleError):
        read_embeddings(body, 2, 0.1)


@pytest.mark.parametrize(("choices", "words"), [
    ({"embedding_model": "e"}, "embedding-urls"), ({"embedding_urls": ["http://x/v1"]}, "embedding-model"),
    ({"embedding_model": "e", "embedding_urls": ["http://key@x/v1"]}, "VICO_EMBEDDING_API_KEY")])
def test_choices_that_do_not_fit_say_what_is_missing(choices: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        BuildConfig(**choices)

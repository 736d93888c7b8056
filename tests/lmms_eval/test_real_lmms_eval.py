"""The real lmms-eval finds Video-XL by its entry point and asks it a task of generated videos from end to end.

Its environment (2 GB, some minutes) is made once for its pins and kept in VIDEO_XL_CACHE, else ~/.cache/video-xl.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from flows.pinned_environment import pinned_python
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.question import Question
from model.evaluation.viewing import VideoStretch
from model.evaluation.vst_answerer import VstAnswerer
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from tests.model.evaluation.official_sets import write_film
from tests.model.tiny_models import byte_tokenizer, tiny_model

ROOT = Path(__file__).parents[2]
PINS = ROOT / "requirements" / "lmms-eval.txt"
TASK = """
task: generated_films
dataset_path: json
dataset_kwargs: {{data_files: {{test: {questions}}}}}
test_split: test
output_type: {output}
doc_to_visual: !function generated_films.visuals
doc_to_text: !function generated_films.words
doc_to_target: answer
{choices}
generation_kwargs: {{max_new_tokens: 6, do_sample: false}}
process_results: !function generated_films.{judge}
metric_list:
  - metric: given_back
    aggregation: mean
    higher_is_better: true
"""
FUNCTIONS = """
def visuals(doc, *more):
    return [doc["video"]]

def words(doc, *more):
    return "<image>\\n" + doc["question"]

def said(doc, results):
    return {"given_back": float(results[0] == doc["answer"])}
"""


@pytest.fixture(scope="session")
def python() -> Path:
    """An interpreter with lmms-eval."""
    # PyPI's torchvision is built for CUDA and breaks `import transformers` beside a torch for CPUs.
    return pinned_python("lmms-eval", PINS, unwanted=["torchvision"])


@pytest.fixture(scope="session")
def ours(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our package as it is installed, entry points and all; of what it needs only PyAV: lmms-eval's is too old."""
    copy, target = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("installed")
    for part in ("model", "pipeline", "schemas", "flows"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, copy)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", target, copy,
         "av>=16"],
        check=True)
    return target


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    made = tiny_model()
    made.save_pretrained(folder)
    VideoXLProcessor.for_model(made.config, byte_tokenizer()).save_pretrained(folder)
    return folder


@pytest.fixture
def films(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        write_film(tmp_path / f"{name}.mp4")
    return tmp_path


def answers_by_hand(model: Path, films: Path, questions: list[tuple[str, str]]) -> list[str]:
    """What the model says at ratio 4 about ten frames."""
    asked = VideoXLForConditionalGeneration.from_pretrained(model).eval()
    asked.processor = VideoXLProcessor.from_pretrained(model)
    answerer, found = VstAnswerer(asked, [4]), []
    for video, words in questions:
        viewing = VideoStretch(films / f"{video}.mp4")
        frames = [(time_s, answerer.prepare(picture, False)[0])
                  for time_s, picture in viewing.pictures(FramePolicy(10))]
        reply = answerer.look(iter(frames), None).reply(Question("q", viewing, words, "open", "", most_tokens=6))
        found.append(reply.text)
    return found


def lmms_eval(python: Path, ours: Path, model: Path, folder: Path) -> dict[str, float]:
    """Run the task of a folder; returns its figures."""
    ran = subprocess.run(
        [python, "-m", "lmms_eval", "--model", "video_xl", "--model_args",
         f"pretrained={model},ratio=4,frames=10", "--tasks", "generated_films", "--include_path", folder,
         "--batch_size", "1", "--device", "cpu", "--log_samples", "--verbosity", "DEBUG",
         "--output_path", folder / "out"],
        env=os.environ | {"PYTHONPATH": str(ours), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
                          "HF_HOME": str(folder / "hf"), "PYTHONNOUSERSITE": "1"},
        capture_output=True, text=True, timeout=900, check=False, cwd=folder)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    [results] = (folder / "out").rglob("*results.json")
    return json.loads(results.read_text())["results"]["generated_films"]


def write_task(films: Path, rows: list[dict], output: str = "generate_until", choices: str = "") -> None:
    questions = films / "questions.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (films / "generated_films.yaml").write_text(
        TASK.format(questions=questions, output=output, judge="said", choices=choices))
    (films / "generated_films.py").write_text(FUNCTIONS)


def test_lmms_eval_asks_the_model_and_scores_what_it_says(python: Path, ours: Path, model: Path, films: Path) -> None:
    """Three targets are what the model says when asked by hand, the fourth is not."""
    questions = [("one", "What?"), ("one", "And then?"), ("two", "What?"), ("two", "Who?")]
    answers = answers_by_hand(model, films, questions)
    answers[-1] += " or not"
    write_task(films, [{"video": str(films / f"{video}.mp4"), "question": words, "answer": answer}
                       for (video, words), answer in zip(questions, answers, strict=True)])
    figures = lmms_eval(python, ours, model, films)
    assert figures["given_back,none"] == 0.75

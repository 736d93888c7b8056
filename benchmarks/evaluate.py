"""What an evaluation costs: decoding alone, the model alone, both together, and five questions beside one.

    OMP_NUM_THREADS=1 python benchmarks/evaluate.py [--size tiny|small | --model DIR] [--films 3] [--frames 256]
                                                    [--ratio 8] [--device cpu]

Films of 640 x 360 are drawn. Without --model one with random weights is asked: `tiny`, whose frames cost less than
decoding them, or `small` (`video_xl.py`), whose frames of 336 pixels cost more, as those of every real model do. Ratios
are of wall times of one run; decoding and model need a core (or a GPU) each, or they are not beside each other.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from video_xl import configuration

from model.evaluation.decode_ahead import DecodeAhead
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.question import Question
from model.evaluation.viewing import VideoStretch
from model.evaluation.vst_answerer import VstAnswerer
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from pipeline.sample_videos import sample_script, write_video
from tests.model.tiny_models import byte_tokenizer, tiny_model

FILM_S = 20
TOKENS = 2  # a letter and the end of the turn


def load(folder: Path | None, size: str, device: str) -> VideoXLForConditionalGeneration:
    """The model with its processor."""
    if folder is None:
        torch.manual_seed(0)
        model = tiny_model() if size == "tiny" else VideoXLForConditionalGeneration(configuration(size))
        model.processor = VideoXLProcessor.for_model(model.config, byte_tokenizer())
    else:
        model = VideoXLForConditionalGeneration.from_pretrained(folder, dtype="auto")
        model.processor = VideoXLProcessor.from_pretrained(folder)
    return model.to(device).eval()


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call; what a GPU still has to do counts."""
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def ask(answerer: VstAnswerer, films: Sequence[VideoStretch], policy: FramePolicy, questions: int) -> None:
    """As the harness does."""
    with DecodeAhead(films, policy, answerer.prepare) as ahead:
        for number, film in enumerate(films):
            seen = answerer.look(ahead.frames(number), None)
            for which in range(questions):
                seen.reply(Question("q", film, f"Question {which}?", "letter", "A", most_tokens=TOKENS))


def decode(answerer: VstAnswerer, films: Sequence[VideoStretch], policy: FramePolicy) -> None:
    """Everything but the model."""
    with DecodeAhead(films, policy, answerer.prepare) as ahead:
        for number in range(len(films)):
            for _ in ahead.frames(number):
                pass


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--size", choices=["tiny", "small"], default="tiny")
    parser.add_argument("--films", type=int, default=3)
    parser.add_argument("--frames", type=int, default=256)
    parser.add_argument("--ratio", type=int, default=8)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    answerer = VstAnswerer(load(options.model, options.size, options.device), [options.ratio])
    policy = FramePolicy(options.frames)
    with tempfile.TemporaryDirectory() as folder:
        films = []
        for seed in range(options.films):
            films.append(VideoStretch(Path(folder) / f"{seed}.mp4"))
            write_video(sample_script(seed, FILM_S), films[-1].path)
        ready = [[(time_s, answerer.prepare(picture, False)[0]) for time_s, picture in film.pictures(policy)]
                 for film in films]
        ask(answerer, films[:1], FramePolicy(8), 1)  # warm
        alone = seconds(lambda: decode(answerer, films, policy))
        model = seconds(lambda: [answerer.look(iter(frames), None) for frames in ready])
        one = seconds(lambda: ask(answerer, films, policy, 1))
        five = seconds(lambda: ask(answerer, films, policy, 5))
    print(f"{options.films} films of {options.frames} frames, {options.model or options.size}, ratio {options.ratio}, "
          f"{options.device}")
    print("| decoding alone s | model alone s | together, one question s | / the slower | five questions / one |")
    print("|---|---|---|---|---|")
    print(f"| {alone:.2f} | {model:.2f} | {one:.2f} | {one / max(alone, model):.2f} | {five / one:.2f} |")


if __name__ == "__main__":
    main()

"""How well the attention of answers points at what is asked for: needles of a data set of single moments.

    python benchmarks/where_it_looks.py --model CHECKPOINT --moments DIR [--ratios 4 16] [--span 16] [--questions 40]

DIR is films/dev/moments of a grid run (`make learn`) or another data set of `model/evaluation/single_moments.py`. Every
question `find_colour` about a stretch is answered; printed are, for each ratio and set of layers: answers that are
right, the mean overlap (intersection over union) of the first span with the needle's two seconds, how often that span
touches the needle, and the text's share of the attention. `best` is the largest overlap that a span of whole VSTs can
have, `whole` that of the whole stretch: what is had without looking.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import pyarrow.parquet as pq
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from model.evaluation.held_out import StoredFrames, held_out_spans
from model.evaluation.span_overlap import Span, overlap
from model.memory import Memory
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.where import where

_MARK = "<image>\n"


def evidence_of(moments: Path) -> dict[str, Span]:
    """Where each sample's needle is, in seconds."""
    files = sorted((moments / "data" / "samples").glob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file, columns=["sample_id", "evidence"]).to_pylist()]
    return {row["sample_id"]: (row["evidence"][0]["start_s"], row["evidence"][0]["end_s"]) for row in rows}


def best_span(memory: Memory, truth: Span) -> float:
    """The largest overlap of a run of whole VSTs with the truth; a frame a second."""
    start_s = memory.state.times_s[0]
    spans = sorted({(first + start_s, last + 1 + start_s) for first, last in memory.vst_frames()})
    return max(overlap((one[0], other[1]), truth) for one in spans for other in spans if other[1] > one[0])


def measure(model: VideoXLForConditionalGeneration, options: argparse.Namespace, ratio: int) -> None:
    """Ask everything at one ratio and print a line for each set of layers."""
    films, truth = StoredFrames(options.moments), evidence_of(options.moments)
    layers: list[Sequence[int] | None] = [None, *([at] for at in range(model.config.text_config.num_hidden_layers))]
    found: dict[int, list[tuple[float, float, float]]] = {at: [] for at in range(len(layers))}
    right, best, whole = [], [], []
    for span in held_out_spans([options.moments], ["find_colour"], ["open"], options.span, options.questions):
        frames = [(span.start_s + second, frame) for second, frame in enumerate(films.of(span))]
        memory = model.compress(iter(frames), ratio=ratio).close()
        for sample in span.samples:
            asked, wanted = (turn["value"].removeprefix(_MARK) for turn in sample["conversations"])
            said = model.answer(memory, asked, max_new_tokens=8, do_sample=False)
            needle = truth[sample["sample_id"]]
            right.append(said == wanted)
            best.append(best_span(memory, needle))
            whole.append(overlap((span.start_s, span.end_s), needle))
            for at, some in enumerate(layers):
                place = where(model, memory, model.processor.question_ids(asked), said, end_s=span.end_s, layers=some)
                one = overlap((place.spans[0].start_s, place.spans[0].end_s), needle)
                found[at].append((one, float(one > 0), place.text_share))
    print(f"ratio {ratio}: {len(right)} questions, right {fmean(right):.3f}, best {fmean(best):.3f}, "
          f"whole {fmean(whole):.3f}")
    for at, some in enumerate(layers):
        overlaps, touches, text = (fmean(values) for values in zip(*found[at], strict=True))
        print(f"  layers {'all' if some is None else some}: overlap {overlaps:.3f}, touches {touches:.3f}, "
              f"text's share {text:.3f}")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="a checkpoint that finds needles")
    parser.add_argument("--moments", type=Path, required=True, help="a data set of single moments, with a test split")
    parser.add_argument("--ratios", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--span", type=int, default=16, help="seconds of the stretches that are looked at")
    parser.add_argument("--questions", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = VideoXLForConditionalGeneration.from_pretrained(options.model, dtype=torch.float32).eval()
    model.processor = VideoXLProcessor.from_pretrained(options.model)
    for ratio in options.ratios:
        measure(model, options, ratio)


if __name__ == "__main__":
    main()

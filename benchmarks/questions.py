"""The question stage on films that exist as scripts only: time and memory for a given number of clips.

    python -m benchmarks.questions --clips 50000 --clips-per-film 1285

Prints, film after film being made and asked about and forgotten, what the question stage takes of the CPU
beside drawing the films, the peak memory at a tenth of the way and at the end, and what a million clips
would take on two cores.
"""

import argparse
import resource
import time

from pipeline.questions import ask_about
from schemas.build_config import BuildConfig
from tests.scripted_films import scripted_film


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=50_000)
    parser.add_argument("--clips-per-film", type=int, default=1285, help="1285 are five hours")
    choices = parser.parse_args()
    config = BuildConfig(captioner="file", captions=["none"], captions_complete=True)
    drawing = asking = 0.0
    clips = questions = 0
    early = 0
    for seed in range(-(-choices.clips // choices.clips_per_film)):
        began = time.process_time()
        film = scripted_film(seed, choices.clips_per_film, repeated=choices.clips_per_film // 5)
        drawn = time.process_time()
        asked = ask_about(config, film.subject)
        asking += time.process_time() - drawn
        drawing += drawn - began
        clips += choices.clips_per_film
        questions += len(asked.samples)
        if not early and clips >= choices.clips / 10:
            early = _peak_mb()
    print(f"{clips:,} clips in films of {choices.clips_per_film:,}: {questions:,} questions")
    print(f"CPU s: {asking:.1f} asking, {drawing:.1f} drawing the films; {1000 * asking / clips:.2f} ms a clip, "
          f"{1000 * asking / questions:.2f} ms a question")
    print(f"peak memory: {early} MB after a tenth, {_peak_mb()} MB at the end")
    print(f"a million clips on two cores: {asking / clips * 1e6 / 2 / 60:.0f} minutes")


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()

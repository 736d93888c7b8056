"""How well an embedding model tells a moment in other words from another moment of the same scene.

    python -m benchmarks.embeddings --url http://127.0.0.1:8000/v1 --model all-minilm-l6-v2

The model is asked about moments that `pipeline.meaning` does not know, which share hardly a word with what they are
compared with. Prints how many are found by the threshold that the build would use, and how many of the others are taken
for the same.
"""

import argparse
import tempfile
from pathlib import Path

from pipeline.meaning import Meaning
from pipeline.served_models import ServedModels
from schemas.build_config import BuildConfig

MOMENTS = (
    ("A woman plays the violin on a stage.", "A lady performs on a fiddle before an audience.",
     "A woman tunes a piano backstage."),
    ("A boy climbs over a fence.", "A lad scrambles across a railing.", "A boy leans on a fence and eats an apple."),
    ("Soldiers march through a village.", "Troops walk in step past some cottages.",
     "Soldiers unload crates in a village."),
    ("A mechanic changes a tyre.", "Someone in overalls swaps the wheel of an automobile.",
     "A mechanic pours oil into an engine."),
    ("A cat jumps onto a table.", "A feline leaps up on a desk.", "A cat drinks milk under a table."),
    ("Two men play chess in a park.", "A couple of gentlemen have a board game outdoors.",
     "Two men jog through a park."),
    ("A waiter drops a tray of glasses.", "A server lets crockery fall to the floor.",
     "A waiter writes down an order."),
    ("The sun rises over the mountains.", "Dawn breaks above high peaks.", "Clouds gather over the mountains."),
    ("A nurse takes the pulse of a patient.", "A hospital worker checks someone's heartbeat.",
     "A nurse changes the sheets of a bed."),
    ("A fisherman pulls in a net full of fish.", "A man on a boat hauls up his catch.",
     "A fisherman mends a net on the shore."),
)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True)
    choices = parser.parse_args()
    config = BuildConfig(embedding_urls=[choices.url], embedding_model=choices.model)
    with tempfile.TemporaryDirectory() as work, ServedModels(config, Path(work)) as models:
        alike_from = Meaning(config, models).alike_from()
        vectors = models.embeddings(choices.model, [text for row in MOMENTS for text in row])
    moment, same, other = vectors.reshape(len(MOMENTS), 3, -1).transpose(1, 0, 2)
    print(f"said elsewhere from a cosine of {alike_from:.3f} on")
    print(f"in other words: {((moment * same).sum(1) >= alike_from).sum()} of {len(MOMENTS)} found")
    print(f"another moment: {((moment * other).sum(1) >= alike_from).sum()} of {len(MOMENTS)} taken for the same")


if __name__ == "__main__":
    main()

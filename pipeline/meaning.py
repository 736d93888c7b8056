"""Whether what a clue says is said of another clip in other words: an embedding model is asked.

How near two vectors lie means something else with every model. So the model is first asked about moments whose
relation is known: each in other words, and beside it another moment of the same scene. A clue that lies nearer to what
is said of another place than half way between the two counts as said there too.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.llm_client import ServerRefusesError
from pipeline.other_places import Places, events_of, sentences_of
from pipeline.served_models import ServedModels
from schemas.build_config import BuildConfig
from schemas.reasons import Reason
from schemas.records import Caption, Clip, Clue

VERSION = "1"
"""Part of the key of the clue stage."""

KNOWN = (
    ("A man chops onions in a kitchen.", "Someone cuts up onions on a counter while cooking.",
     "A man washes plates in a kitchen."),
    ("Two boys kick a ball on the beach.", "A pair of kids play football by the sea.",
     "Two boys build a tower of sand on the beach."),
    ("A woman opens a letter and starts to cry.", "A lady in tears reads a message she has just unfolded.",
     "A woman folds a letter and puts it into a drawer."),
    ("A train arrives at a crowded station.", "A locomotive pulls in where many passengers wait.",
     "Passengers buy tickets at a crowded station."),
    ("A dog runs across a snowy field.", "A hound dashes over white open ground in winter.",
     "A dog sleeps beside a fireplace."),
    ("The presenter points at a map of Europe.", "A host shows something on a chart of the European continent.",
     "The presenter shakes hands with a guest."),
    ("A car stops in front of a hotel.", "A vehicle pulls up at the entrance of an inn.",
     "A car is washed in a garage."),
    ("An old man paints a wooden boat blue.", "A grey-haired sailor gives his rowing boat a coat of blue.",
     "An old man rows a wooden boat across a lake."),
    ("Rain falls on an empty street at night.", "A deserted road is wet from a downpour after dark.",
     "Snow lies on an empty street in the morning."),
    ("A crowd cheers as a runner wins the race.",
     "Spectators celebrate when an athlete crosses the finish line first.",
     "A crowd waits in line in front of a stadium."),
    ("A chef pours soup into bowls.", "A cook ladles broth into dishes.", "A chef slices bread on a board."),
    ("A child blows out the candles of a cake.", "A kid extinguishes the flames on a birthday cake.",
     "A child unwraps a large present."),
)
"""A moment, the same in other words, and another moment of the same scene."""

_LEAST_GAP = 0.02
"""By so much must a model find the same moment in other words more alike, as a mean cosine, to be of any use."""
_LONGEST = 1000
"""So many characters of a sentence are compared; more than a model may take would be refused."""


class Meaning:
    """Asks the embedding model."""

    def __init__(self, config: BuildConfig, models: ServedModels) -> None:
        self._model, self._models = config.embedding_model, models

    def depends_on(self) -> Any:
        """The model, and what it is tried with."""
        return [VERSION, self._model, KNOWN, _LONGEST]

    def check(self, captions: Sequence[Caption], clips: dict[int, Clip], clues: Sequence[Clue]) -> list[Clue]:
        """The same clues, those that are said of another place in other words dropped.

        Raises:
            StoppedError, ServerRefusesError, ServersDownError: the video has to wait.
        """
        kept = [clue for clue in clues if clue.kept]
        places = Places(events_of(captions) + sentences_of(captions, clips))
        if not kept or not places.said:
            return list(clues)
        alike_from = self.alike_from()
        texts = [_cut(one.text) for one in (*kept, *places.said)]
        vectors = self._models.embeddings(self._model, texts)
        elsewhere = {}
        for clue, vector in zip(kept, vectors[:len(kept)], strict=True):
            likeness = vectors[len(kept):] @ vector
            likeness[places.own(clue)] = -1.0
            elsewhere[clue.clue_id] = likeness.max() >= alike_from
        return [replace(clue, kept=False, reason=Reason.CLUE_MEANT_ELSEWHERE)
                if elsewhere.get(clue.clue_id) else clue for clue in clues]

    def alike_from(self) -> float:
        """The cosine from which on two texts say the same, by what the model makes of `KNOWN`.

        Raises:
            ServerRefusesError: it cannot tell the same moment in other words from another moment.
            StoppedError, ServersDownError: see `check`.
        """
        texts = [text for row in KNOWN for text in row]
        vectors = self._models.embeddings(self._model, texts, of_the_video=False).reshape(len(KNOWN), 3, -1)
        moment, in_other_words, other_moment = np.moveaxis(vectors, 1, 0)
        same, other = ((moment * row).sum(axis=1).mean() for row in (in_other_words, other_moment))
        if same - other < _LEAST_GAP:
            raise ServerRefusesError(
                f"the embedding model {self._model} finds a moment in other words ({same:.2f}) hardly more like it "
                f"than another moment of the same scene ({other:.2f}): choose another --embedding-model, or none")
        return float(same + other) / 2


def _cut(text: str) -> str:
    return text[:_LONGEST]

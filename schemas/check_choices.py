"""What can be chosen about the checks that a data set goes through: by pictures, without pictures, against lists."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class CheckChoices(BaseModel):
    """How clues and questions are tested, and which videos are left out or planted with needles."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    picture_questions: Annotated[int, Field(
        ge=0, le=8,
        description="with captioner 'served': clips that the model is shown for each clue, its own and those most like "
                    "it, to say whether the clue is seen there; 0: none")] = 4
    embedding_model: Annotated[str | None, Field(
        description="an embedding model's name at --embedding-urls: clues that are said of another clip in other words "
                    "are dropped too")] = None
    blind: Annotated[Literal["auto", "built-in", "served"], Field(
        description="who has to guess the answers without the video: the 'built-in' guesser, or the 'served' model "
                    "that orders; 'auto' is 'served' with orderer 'served'")] = "auto"
    exclude: Annotated[list[str], Field(
        description="lists of known test videos, which are left out: YouTube ids, video ids or fingerprints of the "
                    "pictures, one a line; kept with the output, where later runs find them")] = []
    calibrate: Annotated[float, Field(
        ge=0, le=1,
        description="share of the videos of which a copy with planted needles is made, to see how many are found; "
                    "needs captioner 'served'")] = 0.0

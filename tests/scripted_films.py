"""Films that exist as a script only: clips with captions, clues and measures, and what happens when, from a seed.

`scripted_film` draws thousands of events without any story; `storied_film` strings scenes together in which one
step plausibly follows another, in the words of a captioner.
"""

from dataclasses import dataclass, field

import numpy as np

from pipeline.question_desk import Frames, Subject
from schemas.records import Caption, Clip, Clue, KeyEvent, Measures

CLIP_S = 14.0
_WHO = (
    "a baker", "a girl in a red coat", "an old fisherman", "two boys", "a woman with a hat", "a soldier", "a nurse",
    "a tall man", "a dog", "a grey cat", "a street singer", "a cyclist", "a waiter", "a painter", "a farmer", "a child",
    "a horse", "a judge", "a diver", "a mechanic", "a dancer", "a monk", "a postman", "a teacher", "a bride")
_DOES = (
    "carries", "drops", "paints", "examines", "hides", "washes", "throws", "repairs", "unwraps", "points at", "lifts",
    "pushes", "buys", "kicks", "polishes", "sketches", "balances", "trades", "burns", "catches", "shakes", "opens")
_WHAT = (
    "a wooden box", "a green bottle", "an umbrella", "a map", "a ladder", "a basket of apples", "a bicycle wheel",
    "a lantern", "a violin", "a stack of letters", "a copper pot", "a fishing net", "a chess board", "a mirror",
    "a paper kite", "a suitcase", "a clock", "a rope", "a birdcage", "a carpet", "a globe", "a candle", "a drum")
_WHERE = (
    "by the river", "under a bridge", "on the stairs", "in the market", "beside a fountain", "on the roof",
    "near the church", "in an alley", "at the harbour", "behind the barn", "in the garden", "on the platform")
_SETTINGS = (
    "a crowded bakery", "windy cliffs", "an empty classroom", "the train corridor", "a snowy forest", "some dim cellar",
    "a hospital ward", "the orchard", "a hotel lobby", "desert dunes", "an ice rink", "a shipyard", "the library",
    "a laundromat", "vineyard slopes", "a subway tunnel")
_ACTIONS = ("waves", "whistles", "kneels", "stretches", "bows", "yawns", "laughs", "jumps", "sneezes", "nods")
_HOW = (
    "towards a passing tram", "under bare trees", "with closed eyes", "holding flowers", "while rain falls",
    "among tourists", "against the wall", "beside parked vans", "wearing yellow gloves", "amid falling leaves")
STORIES = (
    ("{} fills the pot with water", "{} chops onions on a board", "{} fries the onions in butter",
     "{} pours the soup into bowls", "{} carries the bowls to the table"),
    ("{} unlocks the car", "{} drives along a narrow road", "{} stops at a petrol station",
     "{} parks under the trees", "{} climbs out and stretches both arms"),
    ("{} sands an old chair", "{} stirs a can of blue paint", "{} paints the chair blue",
     "{} hangs the brush up to dry"),
    ("{} knots the laces of worn boots", "{} walks up a stony path", "{} rests on a flat rock", "{} reaches the summit",
     "{} takes a photograph of the valley", "{} slides down a snowfield"),
    ("{} buys a ticket at the counter", "{} waits on the platform", "{} boards the yellow train",
     "{} looks out of the window", "{} steps off with a suitcase"),
    ("{} plants seeds in a row", "{} waters the young plants", "{} pulls carrots out of the soil",
     "{} sells carrots at a stall"),
    ("{} breaks eggs into flour", "{} kneads the dough", "{} slides a loaf into the oven", "{} slices the warm bread"),
    ("{} sets up an easel", "{} sketches the harbour in pencil", "{} mixes blue and white", "{} signs the painting"),
    ("{} warms up beside the track", "{} crouches at the start line", "{} sprints around the bend",
     "{} tears the ribbon with both arms raised", "{} receives a medal"),
    ("{} knocks at a green door", "{} hangs a coat on a hook", "{} drinks tea with an old woman",
     "{} shakes hands at the gate"),
)


@dataclass(frozen=True)
class Film:
    """A film, and the truth about it."""

    subject: Subject
    happenings: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """When each thing happens, by its words."""


def scripted_film(seed: int, clips: int, repeated: int = 6) -> Film:
    """An event or two in every clip, none of which follows from another; `repeated` events come several times."""
    rng = np.random.default_rng([1, seed])
    texts = _different(rng, 2 * clips + repeated)
    happenings: dict[str, list[tuple[float, float]]] = {}
    events: list[list[KeyEvent]] = [[] for _ in range(clips)]

    def happens(index: int, text: str, slot: int) -> None:
        start_s = round(CLIP_S * index + 4 * slot + float(rng.uniform(0, 1)), 3)
        event = KeyEvent(start_s=start_s, end_s=round(start_s + float(rng.uniform(1, 2.9)), 3), text=text)
        events[index].append(event)
        happenings.setdefault(text, []).append((event.start_s, event.end_s))

    for index in range(clips):
        for slot in range(1 + int(rng.random() < 0.3)):
            happens(index, texts.pop(), slot)
    for _ in range(repeated):
        text = texts.pop()
        near = int(rng.integers(max(1, clips - 10)))
        for index in rng.choice(min(clips, 10), int(rng.integers(2, 5)), replace=False) if clips >= 10 else []:
            happens(near + int(index), text, 2)
    return _film(f"{seed:032x}", rng, events, happenings)


def storied_film(seed: int, clips: int) -> Film:
    """Scenes with a story in each, one step a clip, by people of several names, in the words of a captioner."""
    rng = np.random.default_rng([2, seed])
    events: list[list[KeyEvent]] = []
    happenings: dict[str, list[tuple[float, float]]] = {}
    told: set[str] = set()
    while len(events) < clips:
        who = f"{_WHO[rng.integers(len(_WHO))].capitalize()} {_HOW[rng.integers(len(_HOW))]}"
        steps = [step.format(who) + "." for step in STORIES[rng.integers(len(STORIES))]]
        if told & set(steps):
            continue
        told |= set(steps)
        for text in steps[: clips - len(events)]:
            start_s = CLIP_S * len(events) + 2.0
            events.append([KeyEvent(start_s=start_s, end_s=start_s + 8, text=text)])
            happenings[text] = [(start_s, start_s + 8)]
    return _film(f"{seed + (1 << 64):032x}", rng, events, happenings)


def _different(rng: np.random.Generator, count: int) -> list[str]:
    parts = (_WHO, _DOES, _WHAT, _WHERE)
    total = int(np.prod([len(part) for part in parts]))
    texts = []
    for number in rng.choice(total, count, replace=False).tolist():
        words = []
        for part in parts:
            number, place = divmod(number, len(part))
            words.append(part[place])
        texts.append(" ".join(words).capitalize() + ".")
    return texts


def _film(
    video_id: str, rng: np.random.Generator, events: list[list[KeyEvent]],
    happenings: dict[str, list[tuple[float, float]]],
) -> Film:
    clips, captions, clues = [], {}, []
    for index, inside in enumerate(events):
        clips.append(Clip(
            clip_id=f"{video_id}-{index:06d}", video_id=video_id, clip_index=index, start_s=CLIP_S * index,
            end_s=CLIP_S * (index + 1), cuts_s=[], frames_expected=14, frames_decoded=14, caption_frames_s=[],
            measures=Measures(
                motion=float(rng.uniform(0, 0.5)), brightness=float(rng.uniform(0.1, 0.9)), colours=["red"],
                colour_shares={}, moving_share=0.3, direction=None, brightness_change=0.0)))
        inside.sort(key=lambda event: event.start_s)
        said = [event.text for event in inside]
        captions[index] = Caption(
            clip_index=index, caption=" ".join(said), sentences=said, captioner="file", key_events=list(inside),
            setting=_SETTINGS[rng.integers(len(_SETTINGS))],
            actions=[" ".join(parts[rng.integers(len(parts))] for parts in (_ACTIONS, _HOW, _WHERE))])
        for event in inside:
            is_once = len(happenings[event.text]) == 1
            clues.append(Clue(
                clue_id=f"{video_id[-6:]}-{len(clues):05d}", video_id=video_id, clip_indexes=[index],
                start_s=event.start_s, end_s=event.end_s, text=event.text, kind="event", sentences=[0],
                orderer="clock", kept=is_once, similarity=0.1))
    frames = np.arange(14 * len(clips))
    return Film(Subject(video_id, clips, captions, clues, Frames(frames, frames // 14), "clock"), happenings)

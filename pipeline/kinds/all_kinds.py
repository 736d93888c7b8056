"""Every kind of question about the clues of a span, by name; `describe` is made of runs of clips instead."""

from pipeline.kinds.changes import look_changed, place_changed
from pipeline.kinds.continuations import say_what_follows
from pipeline.kinds.counts import how_often, never_happens
from pipeline.kinds.draft import Kind
from pipeline.kinds.neighbours import came_before, came_next, what_follows
from pipeline.kinds.orders import order_actions, order_events, storyline
from pipeline.kinds.places import first_or_last, when, which_minute

KINDS: dict[str, Kind] = {
    "order_events": order_events, "order_actions": order_actions, "storyline": storyline,
    "first_or_last": first_or_last, "came_next": came_next, "came_before": came_before,
    "what_follows": what_follows, "say_what_follows": say_what_follows, "when": when, "which_minute": which_minute,
    "look_changed": look_changed, "place_changed": place_changed, "how_often": how_often,
    "never_happens": never_happens,
}

WITHOUT_OPTIONS = frozenset({"storyline", "say_what_follows"})
"""Kinds that are answered in words only, so nobody can guess them."""
OF_COMPLETE_CAPTIONS = frozenset({"how_often", "never_happens"})
"""Kinds that are asked, but in the shortest videos, only where the captions name every event."""

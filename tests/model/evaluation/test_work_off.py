"""Working things off in the order that they need."""

from threading import Event, Lock
from time import sleep

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.evaluation.ablation.work_off import Work, work_off


@given(st.integers(1, 4), st.lists(st.integers(0, 11), max_size=12))
@settings(max_examples=40, deadline=None)
def test_everything_is_done_once_after_what_it_needs_and_never_too_much_at_a_time(jobs: int, needs: list[int]) -> None:
    lock, done, now, most = Lock(), [], set(), []

    def do(number: int, needed: int | None) -> None:
        with lock:
            assert needed is None or needed in done
            now.add(number)
            most.append(len(now))
        sleep(0.001)
        with lock:
            now.discard(number)
            done.append(number)

    earlier = [need if need < number else None for number, need in enumerate(needs)]
    work_off([Work(number, lambda number=number, need=need: do(number, need), need)
              for number, need in enumerate(earlier)], jobs, lambda: None)
    assert sorted(done) == list(range(len(needs)))
    assert max(most, default=0) <= jobs


def test_what_most_waits_for_begins_first_whatever_the_order() -> None:
    begun = []
    chains = {"a": None, "a1": "a", "b": None, "b1": "b", "b2": "b1", "b3": "b1", "c": None}
    work_off([Work(name, lambda name=name: begun.append(name), need) for name, need in chains.items()], 1, lambda: None)
    assert begun == ["b", "b1", "a", "a1", "b2", "b3", "c"]


def test_one_begins_while_others_of_its_level_still_run() -> None:
    second_is_done, seen = Event(), []
    work_off([Work("slow", lambda: seen.append(second_is_done.wait(20))), Work("quick", lambda: None),
              Work("behind quick", second_is_done.set, "quick")], 2, lambda: None)
    assert seen == [True]


def test_a_failure_stops_what_runs_and_nothing_new_begins() -> None:
    stopped, begun = Event(), []

    def fail() -> None:
        raise ValueError("it does not work")

    with pytest.raises(ValueError, match="does not work"):
        work_off([Work("long", lambda: begun.append(stopped.wait(20))), Work("bad", fail),
                  Work("next", lambda: begun.append("next")), Work("behind bad", lambda: begun.append("no"), "bad")],
                 2, stopped.set)
    assert begun == [True]

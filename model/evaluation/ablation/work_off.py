"""Working things off, some at a time, each as soon as what it needs is done."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """A thing to be done once what it needs, if anything, is done."""

    name: Hashable
    do: Callable[[], None]
    needs: Hashable | None = None


def work_off(work: Sequence[Work], jobs: int, stop: Callable[[], None]) -> None:
    """Do everything; of what may begin, what most waits for begins first, and of equals what stands first.

    So a long chain does not begin last, when there is nothing left to do beside it.

    Args:
        work: what is to be done; what something needs is among it.
        jobs: at most so many at a time, each in a thread.
        stop: asks those that run to end; called when one has failed, whose error is raised once they have.
    """
    left, done = _most_awaited_first(work), set[Hashable]()
    running: dict[Future[None], Hashable] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while left or running:
                ready = [item for item in left if item.needs is None or item.needs in done]
                for item in ready[: jobs - len(running)]:
                    left.remove(item)
                    running[pool.submit(item.do)] = item.name
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    done.add(running.pop(future))
                    future.result()
        except BaseException:
            stop()
            raise


def _most_awaited_first(work: Sequence[Work]) -> list[Work]:
    """In the order of how much can only be done after each."""
    needs, awaited = {item.name: item.needs for item in work}, Counter[Hashable]()
    for item in work:
        before = item.needs
        while before is not None:
            awaited[before] += 1
            before = needs[before]
    return sorted(work, key=lambda item: -awaited[item.name])

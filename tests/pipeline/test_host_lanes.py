"""No host is visited by too many at a time, or too often."""

import itertools
import threading
import time

from pipeline.host_lanes import HostLanes


def _visit_all(lanes: HostLanes, hosts: list[str], lasts_s: float) -> tuple[list[float], int]:
    begun: list[float] = []
    now, most = [0], [0]
    lock = threading.Lock()

    def visit(host: str) -> None:
        with lanes.visit(host):
            with lock:
                begun.append(time.monotonic())
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(lasts_s)
            with lock:
                now[0] -= 1

    threads = [threading.Thread(target=visit, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(begun), most[0]


def test_visits_to_one_host_wait_for_each_other() -> None:
    _, most = _visit_all(HostLanes(2, 0.0), ["a"] * 8, 0.02)
    assert most == 2


def test_visits_begin_some_time_after_each_other() -> None:
    begun, _ = _visit_all(HostLanes(8, 0.3), ["a"] * 4, 0.0)
    assert all(later - earlier > 0.1 for earlier, later in itertools.pairwise(begun))


def test_hosts_do_not_wait_for_other_hosts() -> None:
    _, most = _visit_all(HostLanes(1, 10.0), ["a", "b", "c"], 0.2)
    assert most == 3

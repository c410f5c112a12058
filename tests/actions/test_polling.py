"""One poller however many subscription, alive as long as somebody does."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from addon.actions.polling import Pollers, Subscription
from addon.errors import UpstreamUnexpected
from tests.support.proxy import eventually

PATIENCE = 10.0


class Scripted:
    """A look that gives one value after the other, each when it is told to go on."""

    def __init__(self) -> None:
        self.looks = 0
        self.value: int | Exception = 1
        self.looked = threading.Event()

    def __call__(self, before: int | None) -> int:
        self.looks += 1
        self.looked.set()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def test_many_watchers_cost_one_look_and_all_see_each_change() -> None:
    pollers, look = Pollers[int]("test"), Scripted()
    with ExitStack() as stack:
        subscriptions: list[Subscription[int]] = [
            stack.enter_context(pollers.subscribe("run", look)) for _ in range(50)
        ]
        snapshots = {subscription.wait(0, PATIENCE) for subscription in subscriptions}
        assert {snapshot.value for snapshot in snapshots} == {1}
        before, first = look.looks, snapshots.pop()
        look.value = 2
        assert {subscription.wait(first.version, PATIENCE).value for subscription in subscriptions} == {2}
        assert look.looks - before <= 3


def test_an_equal_value_replaces_the_older_one() -> None:
    """It may hold the time of its poll, which the comparison ignores."""
    pollers, look = Pollers[int]("test"), Scripted()
    with pollers.subscribe("run", look) as subscription:
        first = subscription.wait(0, PATIENCE)
        look.value = True  # equals 1
        eventually(lambda: subscription.wait(first.version, 0).value is True)
        assert subscription.wait(first.version, 0).version == first.version


def test_a_failed_look_is_told_and_the_next_one_works() -> None:
    pollers, look = Pollers[int]("test"), Scripted()
    with pollers.subscribe("run", look) as subscription:
        first = subscription.wait(0, PATIENCE)
        look.value = UpstreamUnexpected("down")
        failed = subscription.wait(first.version, PATIENCE)
        assert (failed.value, failed.error) == (1, look.value)
        look.value = 1
        again = subscription.wait(failed.version, PATIENCE)
        while again.error:
            again = subscription.wait(again.version, PATIENCE)
        assert again.value == 1


def test_a_fault_in_a_look_is_told_like_any_other() -> None:
    pollers, look = Pollers[int]("test"), Scripted()
    look.value = RuntimeError("secret")
    with pollers.subscribe("run", look) as subscription:
        error = subscription.wait(0, PATIENCE).error
        assert error is not None
        assert (error.status, error.message) == (500, "internal error of the Actions extension")


def test_the_last_watcher_ends_the_looking() -> None:
    pollers, look = Pollers[int]("polling-test-ends"), Scripted()
    with pollers.subscribe("run", look) as subscription:
        subscription.wait(0, PATIENCE)
        threads = [each for each in threading.enumerate() if each.name == "polling-test-ends"]
    threads[0].join(PATIENCE)
    assert not threads[0].is_alive()
    with pollers.subscribe("run", look) as subscription:
        assert subscription.wait(0, PATIENCE).value == 1


def test_nothing_new_is_waited_for_no_longer_than_asked() -> None:
    pollers, look = Pollers[int]("test"), Scripted()
    with pollers.subscribe("run", look) as subscription:
        first = subscription.wait(0, PATIENCE)
        assert subscription.wait(first.version, 0.05) == first

"""A child process: what its calls return and raise, and what crashes, hangs and hunger cost."""

import os
import threading
import time

import numpy as np
import pytest

from renderer.child import Child, ChildCrashed, ChildTimeout


@pytest.fixture
def child():
    child = Child("testing", seconds=30)
    yield child
    child.close()


def test_arrays_go_and_come_as_they_are(child):
    values = np.arange(3_000_000, dtype=np.float32).reshape(1000, 3000)
    assert np.array_equal(child.ask(np.flipud, values), values[::-1])
    assert np.array_equal(child.ask(np.asfortranarray, values[:, ::7]), values[:, ::7])


def test_one_process_serves_many_calls_from_many_threads(child):
    answers = {}
    threads = [threading.Thread(target=lambda i=i: answers.update({i: child.ask(divmod, i, 7)})) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {i: divmod(i, 7) for i in range(20)}
    assert len({child.ask(os.getpid) for _ in range(3)}) == 1
    assert child.ask(os.getpid) != os.getpid()


def test_what_a_call_raises_is_raised(child):
    with pytest.raises(ZeroDivisionError):
        child.ask(divmod, 1, 0)
    assert child.ask(divmod, 8, 3) == (2, 2)


def test_what_is_printed_does_not_disturb_the_answers(child):
    assert child.ask(print, "words on the standard output") is None
    assert child.ask(divmod, 8, 3) == (2, 2)


def test_a_crash_costs_one_call(child):
    child.ask(os.getpid)
    with pytest.raises(ChildCrashed, match="testing process died with exit status -6"):
        child.ask(os.abort)
    assert child.ask(divmod, 8, 3) == (2, 2)


def test_what_hangs_costs_one_call(child):
    child.ask(os.getpid)
    child.seconds = 0.3
    start = time.monotonic()
    with pytest.raises(ChildTimeout, match="Testing took longer than 0.3 seconds"):
        child.ask(time.sleep, 60)
    assert time.monotonic() - start < 10
    child.seconds = 30
    assert child.ask(divmod, 8, 3) == (2, 2)


def test_what_wants_too_much_memory_is_refused_and_costs_one_call():
    child = Child("testing", memory=200 << 20)
    assert len(child.ask(bytes, 50 << 20)) == 50 << 20
    with pytest.raises(MemoryError):
        child.ask(np.ones, 100 << 20)
    assert child.ask(divmod, 8, 3) == (2, 2)
    child.close()


def test_each_thread_knows_what_its_own_calls_have_cost(child):
    assert child.cpu_seconds == 0
    child.ask(sum, range(3_000_000))
    mine = child.cpu_seconds
    assert mine > 0.005
    thread = threading.Thread(target=child.ask, args=(sum, range(3_000_000)))
    thread.start()
    thread.join()
    assert child.cpu_seconds == mine

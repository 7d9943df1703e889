"""Memory for what is saved: taken, given back, and made ready before it is needed."""

import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral_server.llama.host_memory import HostMemory

BLOCK = 16 * 1024


def take(memory: HostMemory, size: int) -> memoryview:
    state = memory.take(size)
    assert state is not None
    return state


def test_what_is_taken_holds_what_is_written_to_it() -> None:
    memory = HostMemory(4 * BLOCK)
    one, other = take(memory, BLOCK + 1), take(memory, 5)
    one[:] = b"1" * len(one)
    other[:] = b"2" * len(other)
    assert (len(one), bytes(one)) == (BLOCK + 1, b"1" * (BLOCK + 1))
    assert bytes(other) == b"22222"


def test_what_is_given_back_is_taken_again() -> None:
    memory = HostMemory(2 * BLOCK)
    for _ in range(5):
        memory.give_back(take(memory, 2 * BLOCK))


def test_there_is_no_more_of_it_than_was_asked_for() -> None:
    memory = HostMemory(2 * BLOCK)
    first = take(memory, BLOCK + 1)
    assert memory.take(1) is None
    memory.give_back(first)
    assert memory.take(2 * BLOCK + 1) is None
    take(memory, 2 * BLOCK)


def test_what_is_free_in_two_places_is_not_taken_as_one() -> None:
    memory = HostMemory(3 * BLOCK)
    first, _, third = (take(memory, BLOCK) for _ in range(3))
    memory.give_back(first)
    memory.give_back(third)
    assert memory.take(2 * BLOCK) is None
    take(memory, BLOCK)
    take(memory, BLOCK)


def test_there_is_at_least_a_block() -> None:
    memory = HostMemory(1)
    assert memory.size == BLOCK
    take(memory, 1)


def test_of_more_memory_than_there_can_be_a_part_is_had() -> None:
    memory = HostMemory(2**62)
    assert 2**20 < memory.size < 2**62
    take(memory, 100)


def test_much_memory_is_divided_into_few_blocks() -> None:
    memory = HostMemory(8192 * 3 * BLOCK)
    first, second = take(memory, 3 * BLOCK), take(memory, 1)
    memory.give_back(first)
    third = take(memory, 3 * BLOCK)
    third[:] = b"3" * len(third)
    assert bytes(second) == b"\0"


@given(st.lists(st.integers(-8, 3 * BLOCK), max_size=30))
def test_nobody_shares_memory(sizes: list[int]) -> None:
    """A size takes; a negative number gives one of those back."""
    memory = HostMemory(8 * BLOCK)
    taken: list[tuple[bytes, memoryview]] = []
    for number, size in enumerate(sizes):
        if size >= 0:
            if (state := memory.take(size)) is not None:
                state[:] = b"%c" % number * size
                taken.append((b"%c" % number, state))
        elif taken:
            memory.give_back(taken.pop(size % len(taken))[1])
    assert all(bytes(state) == mark * len(state) for mark, state in taken)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives memory out ahead")
def test_memory_is_ready_before_it_is_taken() -> None:
    memory = HostMemory(8 * BLOCK)
    assert memory.num_ready == 0
    memory.make_ready(2 * BLOCK + 1)
    wait_until_ready(memory, 3 * BLOCK)
    memory.take(2 * BLOCK)
    assert memory.num_ready == BLOCK
    memory.make_ready(2 * BLOCK)
    wait_until_ready(memory, 2 * BLOCK)
    memory.make_ready(100 * BLOCK)
    wait_until_ready(memory, 6 * BLOCK)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives memory out ahead")
def test_making_ready_leaves_what_is_written() -> None:
    memory = HostMemory(4 * BLOCK)
    state = take(memory, 3 * BLOCK)
    state[:] = b"x" * len(state)
    memory.make_ready(BLOCK)
    wait_until_ready(memory, BLOCK)
    assert bytes(state) == b"x" * len(state)


def wait_until_ready(memory: HostMemory, size: int) -> None:
    deadline = time.monotonic() + 20
    while memory.num_ready != size:
        assert time.monotonic() < deadline, memory.num_ready
        time.sleep(0.001)

"""Memory for what is saved: taken, given back, and made ready before it is needed."""

import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral_server.llama.host_memory import HostMemory

BLOCK = 16 * 1024


def is_inside(state: bytearray | memoryview) -> bool:
    return isinstance(state, memoryview)


def test_what_is_taken_holds_what_is_written_to_it() -> None:
    memory = HostMemory(4 * BLOCK)
    one, other = memory.take(BLOCK + 1), memory.take(5)
    one[:] = b"1" * len(one)
    other[:] = b"2" * len(other)
    assert (len(one), bytes(one)) == (BLOCK + 1, b"1" * (BLOCK + 1))
    assert bytes(other) == b"22222"


def test_what_is_given_back_is_taken_again() -> None:
    memory = HostMemory(2 * BLOCK)
    for _ in range(5):
        state = memory.take(2 * BLOCK)
        assert is_inside(state)
        memory.give_back(state)


def test_where_it_has_no_room_there_is_other_memory() -> None:
    memory = HostMemory(2 * BLOCK)
    first = memory.take(BLOCK + 1)
    second = memory.take(1)
    assert is_inside(first)
    assert not is_inside(second)
    memory.give_back(second)
    memory.give_back(first)
    assert is_inside(memory.take(2 * BLOCK))


def test_less_than_a_block_of_memory_is_none() -> None:
    assert not is_inside(HostMemory(BLOCK - 1).take(1))


def test_more_memory_than_there_can_be_is_asked_for_in_vain() -> None:
    memory = HostMemory(2**62)
    state = memory.take(100)
    assert not is_inside(state)
    assert len(state) == 100


def test_much_memory_is_divided_into_few_blocks() -> None:
    memory = HostMemory(8192 * 3 * BLOCK)
    first, second = memory.take(3 * BLOCK), memory.take(1)
    memory.give_back(first)
    third = memory.take(3 * BLOCK)
    third[:] = b"3" * len(third)
    assert bytes(second) == b"\0"


@given(st.lists(st.integers(-8, 3 * BLOCK), max_size=30))
def test_nobody_shares_memory(sizes: list[int]) -> None:
    """A size takes; a negative number gives one of those back."""
    memory = HostMemory(8 * BLOCK)
    taken: list[tuple[bytes, bytearray | memoryview]] = []
    for number, size in enumerate(sizes):
        if size >= 0:
            state, mark = memory.take(size), b"%c" % number
            state[:] = mark * size
            taken.append((mark, state))
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
    state = memory.take(3 * BLOCK)
    state[:] = b"x" * len(state)
    memory.make_ready(BLOCK)
    wait_until_ready(memory, BLOCK)
    assert bytes(state) == b"x" * len(state)


def wait_until_ready(memory: HostMemory, size: int) -> None:
    deadline = time.monotonic() + 20
    while memory.num_ready != size:
        assert time.monotonic() < deadline, memory.num_ready
        time.sleep(0.001)

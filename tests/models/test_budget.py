"""Who fits, who does not, and who goes to make room."""

from hypothesis import given
from hypothesis import strategies as st

from corral_server.models.budget import Limits, Shortage, add, choose_victims, find_shortage

GB = 10**9


def test_without_limits_everything_fits() -> None:
    assert find_shortage(Limits(), {"RAM": 900 * GB}, {"RAM": 900 * GB, "CUDA0": 80 * GB}) is None


def test_a_pool_bounds_the_sum_over_all_devices() -> None:
    limits = Limits(total=10 * GB)
    assert find_shortage(limits, {"RAM": 4 * GB}, {"RAM": 1 * GB, "CUDA0": 5 * GB}) is None
    assert find_shortage(limits, {"RAM": 4 * GB}, {"RAM": 2 * GB, "CUDA0": 5 * GB}) == Shortage(
        "total", required=7 * GB, available=6 * GB, limit=10 * GB
    )


def test_a_device_bounds_its_own_bytes_alone() -> None:
    limits = Limits(devices={"RAM": 2 * GB})
    assert find_shortage(limits, {"CUDA0": 70 * GB}, {"RAM": 2 * GB, "CUDA0": 70 * GB}) is None


def test_ram_is_named_before_gpus() -> None:
    limits = Limits(devices={"CUDA0": 1, "RAM": 1})
    shortage = find_shortage(limits, {}, {"CUDA0": 2, "RAM": 2})
    assert shortage is not None and shortage.device == "RAM"


def test_what_takes_nothing_of_a_full_device_fits() -> None:
    limits = Limits(devices={"CUDA0": GB, "RAM": GB})
    assert find_shortage(limits, {"CUDA0": 2 * GB}, {"RAM": GB}) is None


def test_a_shortage_is_hopeless_where_an_empty_machine_would_not_do() -> None:
    assert Shortage("RAM", required=3, available=0, limit=2).is_hopeless
    assert not Shortage("RAM", required=2, available=0, limit=2).is_hopeless


def test_candidates_go_in_their_order_until_it_fits() -> None:
    limits = Limits(total=10)
    candidates = [("old", {"RAM": 3}), ("newer", {"RAM": 3}), ("newest", {"RAM": 3})]
    assert choose_victims(limits, {"RAM": 9}, {"RAM": 4}, candidates) == ["old"]
    assert choose_victims(limits, {"RAM": 9}, {"RAM": 5}, candidates) == ["old", "newer"]


def test_nobody_goes_where_it_fits_or_never_will() -> None:
    limits = Limits(total=10)
    candidates = [("one", {"RAM": 3})]
    assert choose_victims(limits, {"RAM": 3}, {"RAM": 7}, candidates) == []
    assert choose_victims(limits, {"RAM": 9}, {"RAM": 5}, candidates) is None


def test_one_whose_going_is_not_needed_stays() -> None:
    limits = Limits(devices={"RAM": 10, "CUDA0": 10})
    used = {"RAM": 10, "CUDA0": 10}
    candidates = [("on the GPU", {"CUDA0": 10}), ("in RAM", {"RAM": 10})]
    assert choose_victims(limits, used, {"RAM": 5}, candidates) == ["in RAM"]


footprints = st.dictionaries(st.sampled_from(["RAM", "CUDA0", "CUDA1"]), st.integers(0, 20))


@given(
    total=st.none() | st.integers(0, 60),
    devices=footprints,
    others=st.lists(footprints, max_size=5),
    wanted=footprints,
)
def test_victims_make_room_are_few_and_none_go_in_vain(
    total: int | None,
    devices: dict[str, int],
    others: list[dict[str, int]],
    wanted: dict[str, int],
) -> None:
    limits = Limits(total=total, devices=devices)
    used = add(others)
    victims = choose_victims(limits, used, wanted, list(enumerate(others)))

    def left(gone: list[int]) -> dict[str, int]:
        return add(footprint for index, footprint in enumerate(others) if index not in gone)

    if victims is None:
        assert find_shortage(limits, {}, wanted) is not None
        return
    assert find_shortage(limits, left(victims), wanted) is None
    for victim in victims:
        spared = [other for other in victims if other != victim]
        assert find_shortage(limits, left(spared), wanted) is not None

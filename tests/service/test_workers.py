"""What is added up from the files of prometheus_client, whose keys are read once and whose numbers every time."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

from service.slipway_service import workers


def test_numbers_are_read_again_although_keys_are_not(tmp_path: Path) -> None:
    one, two = MmapedDict(str(tmp_path / "counter_1.db")), MmapedDict(str(tmp_path / "counter_2.db"))
    for number in range(1, 4):
        one.write_value("a", number, 0)
        two.write_value("a", 10 * number, 0)
        assert workers.totals(tmp_path) == {"counter": {"a": 11.0 * number}}


def test_keys_that_are_added_later_are_found(tmp_path: Path) -> None:
    # The keys have all lengths, as padding depends on them; the file grows beyond its first 64 KiB.
    file = MmapedDict(str(tmp_path / "histogram_1.db"))
    expected: dict[str, float] = {}
    for number in range(300):
        expected[f"{number}:" + "é" * number] = number + 0.5
        file.write_value(f"{number}:" + "é" * number, number + 0.5, 0)
        if number % 37 == 0:
            assert workers.totals(tmp_path) == {"histogram": expected}
    assert (tmp_path / "histogram_1.db").stat().st_size > 1 << 16
    assert workers.totals(tmp_path) == {"histogram": expected}


def test_numbers_are_those_that_the_client_library_reads(tmp_path: Path) -> None:
    file = MmapedDict(str(tmp_path / "counter_1.db"))
    for number in range(50):
        file.write_value("k" * (number + 1), 1 / (number + 1), number)
    read = MmapedDict.read_all_values_from_file(str(tmp_path / "counter_1.db"))
    assert workers.totals(tmp_path)["counter"] == {key: value for key, value, _, _ in read}


def test_kinds_are_kept_apart(tmp_path: Path) -> None:
    MmapedDict(str(tmp_path / "counter_1.db")).write_value("a", 1, 0)
    MmapedDict(str(tmp_path / "histogram_1.db")).write_value("a", 2, 0)
    assert workers.totals(tmp_path) == {"counter": {"a": 1.0}, "histogram": {"a": 2.0}}


def test_the_file_of_a_process_that_has_just_begun_is_empty(tmp_path: Path) -> None:
    (tmp_path / "counter_1.db").touch()
    assert workers.totals(tmp_path) == {"counter": {}}
    (tmp_path / "counter_1.db").write_bytes(bytes(1 << 16))
    assert workers.totals(tmp_path) == {"counter": {}}
    MmapedDict(str(tmp_path / "counter_1.db")).write_value("a", 1, 0)
    assert workers.totals(tmp_path) == {"counter": {"a": 1.0}}

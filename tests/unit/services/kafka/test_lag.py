from aftersend.services.kafka.lag import PartitionLag


def test_consumption_continues_at_the_committed_or_first_available_offset() -> None:
    assert 5 == PartitionLag("t", 0, 5, 0, 9).start
    assert 3 == PartitionLag("t", 0, None, 3, 9).start
    assert 7 == PartitionLag("t", 0, 5, 7, 9).start


def test_records_deleted_before_consumption_are_counted() -> None:
    assert [0, 0, 2] == [
        position.lost
        for position in (PartitionLag("t", 0, 5, 0, 9), PartitionLag("t", 0, None, 3, 9), PartitionLag("t", 0, 5, 7, 9))
    ]


def test_lag_is_the_age_of_the_next_record() -> None:
    assert 0.0 == PartitionLag("t", 0, 5, 0, 9).lag_seconds(100.0)
    assert 10.0 == PartitionLag("t", 0, 5, 0, 9, 4, 90.0).lag_seconds(100.0)
    assert 0.0 == PartitionLag("t", 0, 5, 0, 9, 4, 101.0).lag_seconds(100.0)  # its writer's clock is ahead

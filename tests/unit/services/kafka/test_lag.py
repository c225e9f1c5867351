from aftersend.services.kafka.lag import PartitionLag


def test_reading_goes_on_where_it_was_left_or_at_what_there_still_is() -> None:
    assert 5 == PartitionLag("t", 0, 5, 0, 9).start
    assert 3 == PartitionLag("t", 0, None, 3, 9).start
    assert 7 == PartitionLag("t", 0, 5, 7, 9).start


def test_what_was_deleted_before_it_was_read() -> None:
    assert [0, 0, 2] == [
        position.lost
        for position in (PartitionLag("t", 0, 5, 0, 9), PartitionLag("t", 0, None, 3, 9), PartitionLag("t", 0, 5, 7, 9))
    ]


def test_for_how_long_the_next_record_has_waited() -> None:
    assert 0.0 == PartitionLag("t", 0, 5, 0, 9).lag_seconds(100.0)
    assert 10.0 == PartitionLag("t", 0, 5, 0, 9, 4, 90.0).lag_seconds(100.0)
    assert 0.0 == PartitionLag("t", 0, 5, 0, 9, 4, 101.0).lag_seconds(100.0)  # its writer's clock is ahead

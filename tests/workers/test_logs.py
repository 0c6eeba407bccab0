"""What Celery's consumer may say in a worker's log."""

import logging

from workers import logs


def record(name: str, words: str) -> logging.LogRecord:
    failed = (ValueError, ValueError("boom"), None)
    return logging.LogRecord(name, logging.CRITICAL, __file__, 1, words, (), failed)


def test_celerys_consumer_is_heard_once_in_ten_seconds_without_a_traceback(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    seldom = logs.Seldom()
    first, second = (record("celery.worker.consumer.consumer", "Frequent restarts") for _ in range(2))
    assert seldom.filter(first)
    assert first.exc_info is None
    assert not seldom.filter(second)
    now[0] += logs.SAY_EVERY_S
    assert seldom.filter(second)


def test_everybody_else_is_heard_each_time_with_tracebacks():
    seldom = logs.Seldom()
    for one in (record("workers.fleet.leases", "away"), record("workers.fleet.leases", "away")):
        assert seldom.filter(one)
        assert one.exc_info is not None
    assert not seldom.filter(record("py.warnings", "CPendingDeprecationWarning: tasks"))
    assert seldom.filter(record("py.warnings", "ResourceWarning: unclosed"))

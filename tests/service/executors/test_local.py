"""What is particular to processes of this machine; that jobs end as they should is in test_init.py."""

import pytest


@pytest.fixture
def where():
    return "local"


def test_a_cancelled_job_ends_its_process_in_order(store, executor, dispatcher, submit, wait_for, wait_for_progress):
    job = submit(budget=5000)
    wait_for_progress(job)
    (worker,) = executor.workers
    store.cancel(job)
    assert wait_for(job).state == "cancelled"
    assert worker.wait(20) == 0

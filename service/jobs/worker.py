"""`python -m service.jobs.worker JOB ATTEMPT`: the process that the local executor starts for an attempt at a job.

Settings are those of the service, from the environment. SIGTERM has the job stop when it next reports and puts it back
into the queue.
"""

from __future__ import annotations

import logging
import signal
import sys

from service.jobs.context import FanOut, Line, connected, one_after_another
from service.settings import Settings
from service.store.jobs import JobStore


def main() -> None:
    """Carry out the attempt that the command line names."""
    job, attempt = sys.argv[1], int(sys.argv[2])
    settings = Settings()
    with connected(settings, job, attempt) as (store, line):
        signal.signal(signal.SIGTERM, lambda *_: line.stop("released"))
        carry_out(settings, job, attempt, line, store)


def carry_out(
    settings: Settings, job: str, attempt: int, line: Line, store: JobStore, fan_out: FanOut = one_after_another
) -> None:
    """Work at an attempt for which this process was started; the arguments are those of `work`."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    import torch  # takes seconds, during which the worker beats already

    from service.jobs.work import work

    torch.set_num_threads(settings.job_threads)
    work(settings, job, attempt, line, store, fan_out)


if __name__ == "__main__":
    main()

"""Threads that come and go."""

import os
import threading

import models
from support import Job, check_distinct, memory_comes_back, run_threads, share, wait_until

import raddle


def count_threads():
    return threading.active_count(), len(os.listdir("/proc/self/task"))


def test_pairs_and_batches(device):
    """Scenario 9, Thread Churn.

    50 threads one after another with a product of 16^2, each followed by a checker thread with one
    of 8^2; then 4 batches of 20 threads from a barrier with 32^2 (sim: 10 pairs). Both threads'
    answers of every pair are right. No device memory and no thread of the process is left over.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    small, tiny, batch = (models.matmul(size, size, size) for size in (16, 8, 32))
    loaded = {case.name: raddle.load(case.data, device) for case in (small, tiny, batch)}
    pairs = [
        (Job(loaded[small.name], small, index, variants=1), Job(loaded[tiny.name], tiny, index, variants=1))
        for index in range(share(device, 50))
    ]
    batches = [[Job(loaded[batch.name], batch, number, index) for index in range(20)] for number in range(4)]
    check_distinct([job for group in pairs + batches for job in group])
    threads = count_threads()
    right = 0
    with memory_comes_back(device):
        for pair in pairs:
            for job in pair:
                right += run_threads(1, lambda _, job=job: job.run() is not None, limit=10)[0]
        for jobs in batches:
            right += sum(run_threads(20, lambda index, jobs=jobs: jobs[index].run() is not None))
    assert right == 2 * len(pairs) + 80
    # The system may be a moment behind the join of a thread.
    wait_until(lambda: count_threads() == threads, limit=5, what="the end of all threads")

"""Many shapes at once: a plan is compiled for each, once, and used by all."""

import models
import pytest
from support import Job, check_distinct, run_threads, share

import raddle


class Fresh(Job):
    """A job whose answers alone come from another load of its model: the threads find nothing
    compiled."""

    def __init__(self, model, alone, case, *seed, variants=1):
        super().__init__(alone, case, *seed, variants=variants)
        self.model = model


@pytest.mark.limit(120)
@pytest.mark.parametrize("plan_cache", [64, 8])
def test_unique_sizes(device_name, plan_cache):
    """Scenario 15, Graph Stress, unique sizes.

    16 threads x 30 sizes 64 + 7 i (sim: 6 sizes) of relu(a @ b), every thread with its own data;
    join 60 s. All answers are right. With room for 64 plans each size is compiled exactly once,
    whichever threads ask; with room for 8 plans go and come back.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    sizes = [64 + 7 * index for index in range(share(device_name, 30))]
    case = models.matmul_relu()
    with raddle.Device(device_name, lanes=32, plan_cache=plan_cache) as device:
        model, alone = raddle.load(case.data, device), raddle.load(case.data, device)
        jobs = [
            [Fresh(model, alone, models.sized(case, size), thread) for size in sizes] for thread in range(16)
        ]
        check_distinct([job for row in jobs for job in row])

        def work(index):
            return sum(job.run() is not None for job in jobs[index])

        assert run_threads(16, work, limit=60) == [len(sizes)] * 16
        stats = model.stats()
        if plan_cache >= len(sizes):
            assert (stats["plans"], stats["plans_compiled"], stats["plans_evicted"]) == (
                len(sizes),
                len(sizes),
                0,
            )
        else:
            assert stats["plans"] <= plan_cache and stats["plans_evicted"] > 0


def test_same_size(device):
    """Scenario 15, Graph Stress, one size: 16 threads x 50 at 128^2 (sim: 10), of which no plan
    is there before: it is compiled once, and all answers are right; join 60 s.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    case = models.matmul_relu()
    model, alone = raddle.load(case.data, device), raddle.load(case.data, device)
    jobs = [Fresh(model, alone, models.sized(case, 128), thread, variants=3) for thread in range(16)]
    check_distinct(jobs)
    iterations = share(device, 50)

    def work(index):
        return sum(jobs[index].run(iteration) is not None for iteration in range(iterations))

    assert run_threads(16, work, limit=60) == [iterations] * 16
    assert model.stats()["plans_compiled"] == 1


def test_mixed_operators(device):
    """Scenario 15, Graph Stress, mixed: 12 threads x 30 (sim: 6), four of them products of 96^2,
    four relu on 128^2, four a + b on 112^2; join 60 s. All answers are right.

    Seen to fail when the answers of all callers pass through one shared buffer.
    """
    cases = [models.matmul(96, 96, 96), models.relu(128, 128), models.add(112, 112)]
    loaded = [(raddle.load(case.data, device), raddle.load(case.data, device)) for case in cases]
    jobs = [Fresh(*loaded[thread % 3], cases[thread % 3], thread, variants=3) for thread in range(12)]
    check_distinct(jobs)
    iterations = share(device, 30)

    def work(index):
        return sum(jobs[index].run(iteration) is not None for iteration in range(iterations))

    assert run_threads(12, work, limit=60) == [iterations] * 12
    assert [model.stats()["plans_compiled"] for model, _ in loaded] == [1, 1, 1]


def test_one_compiles_for_all(device):
    """8 threads call a model of many nodes at once, whose plan is not there: one of them compiles
    it, and all get right answers. Ten models, one after another.

    Seen to fail when every caller of a new shape compiles it.
    """
    case = models.encoder_layer(1, 8, 64, 4, layers=6)
    alone = raddle.load(case.data, device)
    jobs = [Job(alone, case, thread, variants=1) for thread in range(8)]
    check_distinct(jobs)
    for _ in range(10):
        model = raddle.load(case.data, device)

        def work(index):
            jobs[index].checked(model(*jobs[index].inputs[0]))
            return 1

        assert run_threads(8, work) == [1] * 8
        assert model.stats()["plans_compiled"] == 1

import shutil
from types import SimpleNamespace

from service.jobs.kinds.optimize import OptimizeJob, run
from service.settings import Settings


def test_the_default_model_answers_a_job_as_it_answers_a_request(bundle, tmp_path):
    for name in ("large", "small"):
        shutil.copytree(bundle, tmp_path / name)
    settings = Settings(models=tmp_path, supernets=tmp_path / "supernets", defaults=("small",))
    asked = OptimizeJob(kind="optimize", num_architectures=1, num_starts=4, num_steps=5)
    assert run(asked, SimpleNamespace(settings=settings))["model"] == "small"

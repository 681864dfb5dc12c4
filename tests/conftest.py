"""Shared by all tests: annotated shapes and types are checked at run time, and every run is the same run."""

import hypothesis
import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("crlso", "beartype.beartype")  # before any test imports crlso

torch.set_num_threads(1)
hypothesis.settings.register_profile("crlso", derandomize=True, deadline=None)
hypothesis.settings.load_profile("crlso")


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """Tests neither read nor fill the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRLSO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def interpreted(monkeypatch):
    """BoTorch does without the kernel that it would compile for 20 seconds on a machine that has not done so before."""
    acquisition = pytest.importorskip("botorch.acquisition.multi_objective.logei", reason="pip install 'crlso[bench]'")
    monkeypatch.setattr(acquisition, "_load_attempted", True, raising=False)


@pytest.fixture(scope="session")
def accuracy():
    """A made-up benchmark of NAS-Bench-201: what operations are worth, by place; twins have the same value."""
    from crlso.spaces import get_space

    space, worth = get_space("nasbench201"), np.array([0.0, 1.0, 2.0, 3.0, 0.5])

    def value(arch):
        codes = space.canonical(arch).graph.edge_types[np.triu_indices(4, 1)]
        return float(60 + worth[codes] @ [1.0, 1.1, 1.9, 1.3, 1.4, 1.6])

    return value


@pytest.fixture(scope="session")
def population():
    """Some 200 classes of NAS-Bench-201, enough to train on in a second."""
    from crlso.latent.population import Population
    from crlso.spaces import get_space

    space = get_space("nasbench201")
    mass = {}
    for arch in space.sample(300, np.random.default_rng(0)):
        mass[arch] = mass.get(arch, 0) + 1
    representatives = tuple(space.canonical(arch) for arch in mass)
    index = {arch.key: row for row, arch in enumerate(representatives)}
    return Population(representatives, np.array(list(mass.values())), index)


@pytest.fixture(scope="session")
def forest(population):
    """The population's expressions."""
    from crlso.graphs import Forest
    from crlso.spaces import get_space

    return Forest.of((arch.graph for arch in population.representatives), get_space("nasbench201").schema)


@pytest.fixture(scope="session")
def targets(population, accuracy):
    """All classes of the population labelled."""
    from crlso.latent.objectives import Targets
    from crlso.networks import costs
    from crlso.spaces import get_space

    schema = get_space("nasbench201").schema
    values = np.array([accuracy(arch) for arch in population.representatives])
    counted = [costs(arch) for arch in population.representatives]
    sizes = np.array([[cost.params, cost.flops] for cost in counted], dtype=float)
    return Targets(population, schema, values, np.ones(len(values), dtype=bool), sizes, torch.device("cpu"))


@pytest.fixture(scope="session")
def bundle(population, forest, targets, accuracy, tmp_path_factory):
    """Directory of a model that has learned the population for a second; every third class has no measurement."""
    from crlso.latent.bundle import save_bundle
    from crlso.latent.config import LatentConfig
    from crlso.latent.trainer import Trainer
    from crlso.latent.vae import GraphVAE
    from crlso.spaces import get_space
    from crlso.tables import Metric, Table

    space, metric, device = get_space("nasbench201"), Metric("accuracy", unit="percent"), torch.device("cpu")
    sizes = {"latent": 4, "hidden": 32, "decoder_hidden": 64, "icnn_hidden": 16, "members": 2}
    config = LatentConfig(epochs=20, batch=64, learning_rate=1e-2, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vae = GraphVAE(config, space.schema)
    Trainer(vae, targets, forest, 0, device).fit()
    with torch.no_grad():
        latents = vae.encode(forest)
        scores = vae.score(latents).numpy()
    texts = tuple(arch.text for arch in population.representatives)
    values = np.array([accuracy(arch) for arch in population.representatives])
    vae.calibration.fit(scores, values)
    measured = np.arange(len(texts)) % 3 > 0
    table = Table(space.name, "made-up", np.array(texts)[measured].tolist(), {metric: values[measured]})
    path = tmp_path_factory.mktemp("models") / "small"
    save_bundle(path, vae, space, metric, texts, latents, table, {"quality": {}})
    return path


@pytest.fixture(scope="session")
def model(bundle):
    """The bundle, loaded."""
    from crlso.latent.bundle import load_bundle

    return load_bundle(bundle)


@pytest.fixture(scope="session")
def latent():
    """A latent space of NAS-Bench-201 explored for a second, on some 1,500 of its classes."""
    from crlso.latent.config import LatentConfig
    from crlso.latent.space import explore
    from crlso.spaces import get_space

    sizes = {"latent": 8, "hidden": 32, "decoder_hidden": 64, "members": 1, "icnn_hidden": 8}
    config = LatentConfig(epochs=6, batch=128, learning_rate=1e-2, population=3000, **sizes)
    return explore(get_space("nasbench201"), config)


@pytest.fixture(scope="session")
def save_digits():
    """Writes forty digits to train on and thirty to test on to an `.npz` file, of ten classes or fewer."""
    from crlso.supernet.sources import load_images

    digits = load_images("digits")

    def save(path, *, classes=10):
        arrays = {}
        for part, images, count in (("train", digits.train, 40), ("test", digits.test, 30)):
            arrays[f"x_{part}"] = images.x[:count].permute(0, 2, 3, 1).numpy()
            arrays[f"y_{part}"] = images.y[:count].numpy() % classes
        np.savez(path, **arrays)
        return path

    return save

"""A bundle reads back to the bit, is refused when any byte differs, and is written whole or not at all."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crlso import spaces
from crlso.exceptions import BundleError, TableError
from crlso.graphs import Forest
from crlso.latent import bundle as module
from crlso.latent.bundle import check_free, load_bundle, save_bundle
from crlso.latent.config import LatentConfig
from crlso.latent.vae import GraphVAE
from crlso.tables import Metric, Table

FILES = ["architectures.txt", "config.json", "manifest.json", "measurements.parquet", "model.safetensors"]


@pytest.fixture
def copy(bundle, tmp_path):
    """A bundle that may be damaged."""
    shutil.copytree(bundle, tmp_path / "copy")
    return tmp_path / "copy"


def save(model, path, **options):
    texts = tuple(arch.text for arch in model.known)
    save_bundle(
        path, model.vae, model.space, model.metric, texts, model.latents, model.table, {"quality": {}}, **options
    )


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def reseal(path, **changes):
    """Make a manifest that vouches for what is there, as a bundle of another origin would have."""
    body = {**json.loads((path / "manifest.json").read_bytes()), **changes}
    body.pop("digest")
    body["files"] = {name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in body["files"]}

    def encoded(value):
        return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()

    sealed = {**body, "digest": hashlib.sha256(encoded(body)).hexdigest()}
    (path / "manifest.json").write_bytes(encoded(sealed))


def test_what_is_saved_again_is_the_same_to_the_byte(model, bundle, tmp_path):
    save(model, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(bundle)
    again = load_bundle(str(tmp_path / "again"))
    assert (again.name, again.digest) == ("again", model.digest)
    assert torch.equal(again.latents, model.latents)
    assert [arch.text for arch in again.known] == [arch.text for arch in model.known]
    assert again.table.digest == model.table.digest
    assert again.metric == model.metric
    assert again.vae.config == model.vae.config
    for name, tensor in model.vae.state_dict().items():
        assert torch.equal(again.vae.state_dict()[name], tensor), name


def test_files_are_plain(bundle):
    assert sorted(file.name for file in bundle.iterdir()) == FILES
    for name, content in contents(bundle).items():
        assert not content.startswith((b"\x80", b"PK")), f"{name} is a pickle or an archive"
    assert json.loads((bundle / "manifest.json").read_text())["format"] == module.FORMAT


def test_a_bundle_without_a_table(model, tmp_path):
    texts = tuple(arch.text for arch in model.known)
    save_bundle(tmp_path / "m", model.vae, model.space, model.metric, texts, model.latents, None, {})
    assert load_bundle(tmp_path / "m").table is None
    assert "measurements.parquet" not in contents(tmp_path / "m")


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_byte_is_refused_by_the_name_of_its_file(copy, name, data):
    file = copy / name
    content = bytearray(file.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    original = content[position]
    content[position] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    try:
        with pytest.raises(BundleError, match=f"{name}.*train the model again"):
            load_bundle(copy)
    finally:
        content[position] = original
        file.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["cut", "grown", "empty", "missing"])
def test_a_file_of_another_length_is_refused_by_its_name(copy, name, damage):
    file = copy / name
    content = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes({"cut": content[:-1], "grown": content + b" ", "empty": b""}[damage])
    with pytest.raises(BundleError, match=rf"copy.*{name}"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "is no bundle: it has no readable manifest.json; `crlso train` makes one"),
        (lambda path: path.mkdir(), "is no bundle: it has no readable manifest.json"),
        (lambda path: path.write_text("a file"), "is no bundle: it has no readable manifest.json"),
        (lambda path: (path / "manifest.json").mkdir(parents=True), "is no bundle"),
    ],
)
def test_what_is_no_bundle_is_told_so(tmp_path, make, message):
    make(tmp_path / "x")
    with pytest.raises(BundleError, match=message):
        load_bundle(tmp_path / "x")


@pytest.mark.parametrize("content", ["", "{", "[]", "5", "null", "{}", '{"digest": 5, "files": 7}', '{"digest": NaN}'])
def test_a_manifest_of_something_else_is_told_so(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(BundleError, match=r"manifest\.json (is not a manifest of crlso|was changed)"):
        load_bundle(tmp_path)


def test_a_manifest_that_says_the_same_in_other_bytes_is_refused(copy):
    content = json.loads((copy / "manifest.json").read_bytes())
    (copy / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"manifest\.json was changed after it was written"):
        load_bundle(copy)


def test_another_format_is_refused(copy):
    reseal(copy, format=module.FORMAT + 1)
    with pytest.raises(BundleError, match="has format 2, not 1: train the model again"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"no tensors"),
        ("config.json", b'{"latent": 4, "colour": "blue"}'),
        ("config.json", b"{}"),
        ("architectures.txt", b"resnet50\n"),
        ("architectures.txt", b"\xff\xff\n"),
        ("measurements.parquet", b"PAR1"),
    ],
)
def test_content_that_does_not_fit_together_is_refused(copy, name, content):
    (copy / name).write_bytes(content)
    reseal(copy)
    with pytest.raises(BundleError, match="is not a bundle that this version of crlso can read"):
        load_bundle(copy)


@pytest.mark.parametrize("changes", [{"space": "nasbench999"}, {"metric": {"colour": 1}}, {"metric": None}])
def test_a_manifest_that_makes_no_sense_is_refused(copy, changes):
    reseal(copy, **changes)
    with pytest.raises(BundleError, match="is not a bundle that this version of crlso can read"):
        load_bundle(copy)


def test_a_manifest_names_no_files_elsewhere(copy, tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"x")
    files = json.loads((copy / "manifest.json").read_bytes())["files"]
    reseal(copy, files={**files, "../elsewhere": ""})
    with pytest.raises(BundleError, match=r"lists '\.\./elsewhere'"):
        load_bundle(copy)


def test_a_sealed_copy_is_a_bundle(copy, model):
    """The manifest vouches for itself by a rule that this test knows."""
    reseal(copy)
    assert load_bundle(copy).digest == model.digest
    reseal(copy, seed=5)
    assert load_bundle(copy).digest != model.digest


def test_nothing_is_replaced_without_leave(model, copy, tmp_path):
    before = contents(copy)
    for refuse in (lambda: save(model, copy), lambda: check_free(copy, overwrite=False)):
        with pytest.raises(BundleError, match=r"holds a model already.*--force"):
            refuse()
    assert contents(copy) == before
    check_free(copy, overwrite=True)
    (copy / "old").touch()
    save(model, copy, overwrite=True)
    assert contents(copy) == before
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_what_is_no_bundle_is_never_replaced(model, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("all there is")
    with pytest.raises(BundleError, match="is no bundle: choose another directory"):
        save(model, tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "all there is"


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (OSError(28, "No space left on device"), BundleError),
        (TableError("broken"), TableError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failed_save_leaves_what_was_there(model, copy, monkeypatch, there, failure, expected):
    def fail(*args, **kwargs):
        raise failure

    if not there:
        shutil.rmtree(copy)
    before = contents(copy) if there else None
    monkeypatch.setattr(module, "write_table", fail)
    with pytest.raises(expected):
        save(model, copy, overwrite=True)
    assert [path.name for path in copy.parent.iterdir()] == ([copy.name] if there else [])
    assert there is False or contents(copy) == before


def test_a_directory_that_cannot_be_made_is_told_so(model, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="cannot be written: Not a directory"):
        save(model, tmp_path / "file" / "model")


def test_missing_directories_on_the_way_are_made(model, tmp_path):
    save(model, tmp_path / "a" / "b" / "model")
    assert load_bundle(tmp_path / "a" / "b" / "model").digest == model.digest


@pytest.fixture
def own_bundle(tmp_path, monkeypatch):
    """A bundle in a space of the user's own, whose name is forgotten once it is saved; its text, and the names."""
    text = "# mine\n{name: my-chain, kind: chain, blocks: [{choices: {c: [a, b, d]}}]}"
    monkeypatch.setattr(spaces, "_SPACES", dict(spaces._SPACES))
    names = dict(spaces._SPACES)
    space = spaces.register_space(spaces.read_space(text))
    config = LatentConfig(latent=2, hidden=4, decoder_hidden=4, icnn_hidden=4, members=1)
    known = list(space.enumerate())
    vae = GraphVAE(config, space.schema)
    with torch.no_grad():
        latents = vae.encode(Forest.of((arch.graph for arch in known), space.schema))
    table = Table("my-chain", "mine", ["a", "b"], {Metric("score"): np.array([1.0, 2.0])})
    texts = tuple(arch.text for arch in known)
    save_bundle(tmp_path / "own", vae, space, Metric("score"), texts, latents, table, {"quality": {}})
    monkeypatch.setattr(spaces, "_SPACES", names)
    return tmp_path / "own", text


def test_a_space_of_ones_own_comes_with_the_bundle(own_bundle):
    path, text = own_bundle
    assert (path / "space.yaml").read_text() == text
    model = load_bundle(path)
    assert model.space.name == "my-chain"
    assert spaces.get_space("my-chain") is model.space
    assert [arch.text for arch in model.known] == ["a", "b", "d"]
    assert model.measured(model.known[1]) == 2.0
    assert load_bundle(path).space is model.space


def test_a_space_whose_name_stands_for_another_one_is_refused(own_bundle):
    path, text = own_bundle
    spaces.register_space(spaces.read_space(text.replace("d]", "e]")))
    with pytest.raises(BundleError, match="'my-chain' was described otherwise before: give this one another name"):
        load_bundle(path)


def test_a_bundle_whose_space_is_described_no_more_is_refused(own_bundle):
    path, text = own_bundle
    (path / "space.yaml").write_text(text.replace("kind", "sort"))
    with pytest.raises(BundleError, match=r"space.yaml was changed"):
        load_bundle(path)
    reseal(path)
    with pytest.raises(BundleError, match="kind: chain"):
        load_bundle(path)

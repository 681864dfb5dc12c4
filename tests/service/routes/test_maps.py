import numpy as np
import pytest

from crlso.latent.atlas import Atlas

MAP = "/v1/models/small/map"


@pytest.fixture(scope="module")
def atlas(model):
    return Atlas.of(model)


def test_the_map_has_a_column_of_everything_and_an_entry_for_each(real, model, atlas):
    content = real.get(MAP).json()
    assert (content["model"], content["digest"], content["space"]) == ("small", model.digest, "nasbench201")
    assert (content["metric"], content["unit"], content["direction"]) == ("accuracy", "percent", "max")
    columns = ("x", "y", "predicted", "measured", "params", "flops", "twins")
    assert {len(content[name]) for name in columns} == {len(atlas.architectures)}
    np.testing.assert_allclose(np.column_stack([content["x"], content["y"]]), atlas.places, atol=1e-4)
    np.testing.assert_allclose(content["predicted"], atlas.predicted, rtol=1e-5)
    assert [value is None for value in content["measured"]] == np.isnan(atlas.measured).tolist()
    assert content["params"] == atlas.costs["params"].tolist()


def test_the_map_is_sent_small_and_only_when_it_has_changed(real):
    plain = real.get(MAP, headers={"Accept-Encoding": "identity"})
    zipped = real.get(MAP, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.content == plain.content
    assert int(zipped.headers["content-length"]) < len(plain.content) / 2
    again = real.get(MAP, headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert real.get(MAP, headers={"If-None-Match": '"other"'}).status_code == 200


def test_an_architecture_is_shown_in_full(real, model, atlas):
    for index in (0, len(atlas.architectures) - 1):
        content, arch = real.get(f"/v1/models/small/architectures/{index}").json(), atlas.architectures[index]
        assert (content["index"], content["architecture"]) == (index, arch.text)
        assert content["svg"] == model.space.draw(arch)
        assert {name: content[name] for name in ("params", "flops")} == model.costs(arch)
        assert content["measured"] == model.measured(arch)
        assert content["predicted"]["mean"] == pytest.approx(atlas.predicted[index])
        assert content["twins"] == np.count_nonzero(atlas.classes == atlas.classes[index])
        assert content["x"] ** 2 + content["y"] ** 2 < 1.5


def test_ranks_count_what_is_better(real, atlas):
    known = atlas.measured[~np.isnan(atlas.measured)]
    items = real.get("/v1/models/small/architectures?order=measured&page_size=200").json()["items"]
    for item in items:
        expected = None if item["measured"] is None else 1 + np.count_nonzero(known > item["measured"])
        assert item["rank"] == expected


@pytest.mark.parametrize(("order", "sign"), [("predicted", -1), ("measured", -1), ("params", 1), ("flops", 1)])
def test_pages_give_everything_once_and_in_order(real, atlas, order, sign):
    items, token = [], ""
    while token is not None:
        query = f"order={order}&page_size=70" + (f"&page_token={token}" if token else "")
        page = real.get(f"/v1/models/small/architectures?{query}").json()
        items += page["items"]
        token = page["next_page_token"]
        assert page["total"] == len(atlas.architectures)
    assert sorted(item["index"] for item in items) == list(range(len(atlas.architectures)))
    values = [item["predicted"]["mean"] if order == "predicted" else item[order] for item in items]
    there = [sign * value for value in values if value is not None]
    assert there == sorted(there)
    assert values[len(there) :] == [None] * (len(values) - len(there))


@pytest.mark.parametrize(
    ("path", "status", "slug", "says"),
    [
        ("/v1/models/none/map", 404, "unknown-name", "small"),
        ("/v1/models/small/architectures/100000", 404, "unknown-name", "known: 0 to"),
        ("/v1/models/small/architectures/-1", 422, "invalid-request", ""),
        ("/v1/models/small/architectures/x", 422, "invalid-request", ""),
        ("/v1/models/small/architectures/9999999999999999999999", 422, "invalid-request", ""),
        ("/v1/models/small/architectures?order=beauty", 422, "invalid-request", ""),
        ("/v1/models/small/architectures?page_size=0", 422, "invalid-request", ""),
        ("/v1/models/small/architectures?page_token=-5", 422, "invalid-page-token", "page_token"),
    ],
)
def test_what_is_not_there_is_a_problem(real, check_problem, path, status, slug, says):
    assert says in check_problem(real.get(path), status, slug)["detail"]


def test_a_page_beyond_the_end_is_empty(real):
    page = real.get("/v1/models/small/architectures?page_token=999999").json()
    assert (page["items"], page["next_page_token"]) == ([], None)


def test_a_broken_model_has_no_map(client, add, check_problem):
    add("beta", sound=False)
    check_problem(client.get("/v1/models/beta/map"), 503, "model-unavailable")

from crlso.spaces import get_space, space_names
from service.problems import KINDS


def test_every_space_is_listed_with_an_example_that_parses(client):
    spaces = {card["name"]: card for card in client.get("/v1/spaces").json()["spaces"]}
    assert list(spaces) == space_names()
    for name, card in spaces.items():
        space = get_space(name)
        assert space.parse(card["example"]).text == card["example"]
        assert card["size"] == space.size
        assert card["vocabulary"]["edge_types"] == list(space.schema.edge_types)


def test_models_are_listed_and_broken_ones_named(client, add):
    add("beta", sound=False)
    content = client.get("/v1/models").json()
    assert [card["name"] for card in content["models"]] == ["alpha"]
    assert "digest" in content["unavailable"]["beta"]


def test_a_model_shows_the_record_of_its_training(client):
    content = client.get("/v1/models/alpha").json()
    assert content["manifest"]["metrics"] == {"holdout_tau": 0.91}
    assert (content["space"], content["metric"], content["direction"]) == ("nasbench201", "val_accuracy", "max")


def test_a_broken_model_is_unavailable_and_an_absent_one_unknown(client, add, check_problem):
    add("beta", sound=False)
    assert "train" in check_problem(client.get("/v1/models/beta"), 503, "model-unavailable")["detail"]
    assert "alpha" in check_problem(client.get("/v1/models/gamma"), 404, "unknown-name")["detail"]
    check_problem(client.get("/v1/models/..%2Falpha"), 404, "no-such-path")


def test_every_kind_of_problem_is_explained_where_its_type_says(client, check_problem):
    for kind in KINDS.values():
        content = client.get(kind.type).json()
        assert (content["type"], content["status"]) == (kind.type, kind.status)
    check_problem(client.get("/problems/none"), 404, "unknown-name")


def test_lists_supernets_and_what_does_not_load(client, add_supernet):
    assert client.get("/v1/supernets").json() == {"supernets": [], "unavailable": {}}
    add_supernet("paths")
    add_supernet("broken", sound=False)
    content = client.get("/v1/supernets").json()
    assert content["supernets"] == [{"name": "paths", "space": "nasbench201", "digest": "e" * 64}]
    assert list(content["unavailable"]) == ["broken"]

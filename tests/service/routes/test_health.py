import shutil


def test_live(client):
    assert client.get("/health/live").json() == {"status": "live"}


def test_ready_with_one_sound_model_and_names_the_broken_one(client, add):
    add("beta", sound=False)
    response = client.get("/health/ready")
    assert response.status_code == 200
    assert response.json()["models"] == ["alpha"]
    assert list(response.json()["unavailable"]) == ["beta"]


def test_not_ready_without_any_sound_model(client, add, models, check_problem):
    shutil.rmtree(models / "alpha")
    add("beta", sound=False)
    content = check_problem(client.get("/health/ready"), 503, "model-unavailable")
    assert "crlso.train" in content["detail"]
    assert list(content["unavailable"]) == ["beta"]


def test_not_ready_before_the_directory_is_there_but_once_it_is(client, models, check_problem):
    models.rename(models.with_name("elsewhere"))
    check_problem(client.get("/health/ready"), 503, "model-unavailable")
    assert client.get("/health/live").status_code == 200
    models.with_name("elsewhere").rename(models)
    assert client.get("/health/ready").status_code == 200

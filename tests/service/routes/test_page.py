import re

from service.routes.page import FOLDER


def test_the_page_and_its_parts_are_sent_with_a_policy_that_lets_nothing_in(client):
    for path, media in (("/", "text/html"), ("/ui/main.js", "text/javascript"), ("/ui/base.css", "text/css")):
        response = client.get(path)
        assert (response.status_code, response.headers["content-type"].partition(";")[0]) == (200, media)
        assert response.headers["content-security-policy"].startswith("default-src 'self';")
        assert "unsafe" not in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"


def test_nothing_else_is_sent(client, check_problem):
    check_problem(client.get("/ui/..%2Fapp.py"), 404, "no-such-path")
    check_problem(client.get("/ui/none.js"), 404, "no-such-path")
    check_problem(client.post("/"), 405, "method-not-allowed")


def test_an_unchanged_part_is_not_sent_again(client):
    tag = client.get("/ui/main.js").headers["etag"]
    assert client.get("/ui/main.js", headers={"If-None-Match": tag}).status_code == 304


def test_the_page_names_no_other_host_and_holds_no_script_or_style():
    for file in FOLDER.iterdir():
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", text), file.name
        if file.suffix == ".html":
            assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)
        if file.suffix == ".js":
            assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text), file.name


def test_modules_are_short_and_each_is_used():
    files = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.iterdir()}
    everything = "\n".join(files.values())
    for name, text in files.items():
        assert text.count("\n") < 400, name
        if name != "index.html":
            assert re.search(rf"[\"'/]{re.escape(name)}[\"']", everything), f"{name} is used nowhere"
    for name in re.findall(r"from \"\./([\w.]+)\"", everything):
        assert (FOLDER / name).is_file()

"""What the image promises, as far as its Dockerfile tells; `docker/check.sh` builds it and looks inside."""

import ast
import re
from pathlib import Path

from service.settings import Settings

ROOT = Path(__file__).parents[2]
INSTRUCTIONS = [
    tuple(line.split(maxsplit=1))
    for line in re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", (ROOT / "docker/Dockerfile").read_text(), flags=re.M))
    .strip()
    .splitlines()
    if line.strip()
]
FINAL = INSTRUCTIONS[max(i for i, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM") :]


def final(word):
    """The arguments of the final stage's instructions of one kind."""
    return [rest for found, rest in FINAL if found == word]


def environment():
    return dict(pair.split("=", 1) for rest in final("ENV") for pair in rest.split())


def test_it_runs_as_a_user_with_a_number_other_than_0():
    (user,) = final("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_it_says_how_it_is_asked_whether_it_lives_and_how_it_is_stopped():
    (check,) = final("HEALTHCHECK")
    _, _, command = check.partition("CMD ")
    program, option, code = ast.literal_eval(command)
    assert (program, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    assert "/health/live" in code
    assert final("STOPSIGNAL") == ["SIGTERM"]


def test_the_service_is_its_command_and_gets_its_signals():
    assert final("CMD") == ['["python", "-m", "service"]']  # a list: no shell stands between
    assert not final("ENTRYPOINT")  # so that `docker run IMAGE crlso train …` works


def test_no_installer_runs_in_the_final_stage():
    assert not [run for run in final("RUN") if re.search(r"\b(apt-get|pip|curl|wget)\b", run)]
    assert all("--from=build" in copy for copy in final("COPY"))


def test_whatever_is_kept_is_kept_in_the_volume():
    kept = environment()
    assert final("VOLUME") == ["/data"]
    directories = [name.upper() for name, field in Settings.model_fields.items() if field.annotation is Path]
    for name in (*directories, "CACHE"):
        assert f"{kept[f'CRLSO_{name}']}/".startswith("/data/")
    assert kept["HOME"] == "/data"


def test_every_setting_is_known_to_the_service():
    known = {f"CRLSO_{name.upper()}" for name in (*Settings.model_fields, "cache")}
    assert {name for name in environment() if name.startswith("CRLSO_")} <= known


def test_no_index_is_written_down():
    asked = [rest for word, rest in INSTRUCTIONS if word == "ARG"]
    assert "PIP_INDEX_URL" in asked
    assert not [rest for _, rest in INSTRUCTIONS if "://" in rest]


def test_only_what_is_copied_is_sent_to_the_builder():
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        name for word, rest in INSTRUCTIONS if word == "COPY" and "--from" not in rest for name in rest.split()[:-1]
    }
    assert sent == copied | {"docker/wheelhouse"}

"""Every journey of the page, driven in headless Chromium."""

import json
import math
import re
import sys
import time
from itertools import pairwise

import pytest

PHONE = {"viewport": {"width": 360, "height": 780}, "is_mobile": True, "has_touch": True}


def until(condition, seconds=20):
    """Wait for what the page does by itself; its policy lets no condition be evaluated inside."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


@pytest.fixture
def report(capsys):
    """Prints a figure that was measured."""

    def show(text):
        with capsys.disabled():
            sys.stdout.write(f"\n{text}")

    return show


def climb(page, **fields):
    for name, value in fields.items():
        page.fill(f"#optimise [name={name}]", str(value))
    page.click("#optimise button[type=submit]")
    page.wait_for_selector("#climb-live:has-text('visited')")


def figures(element):
    """Names and values of a list of figures."""
    return dict(zip(element.locator("dt").all_inner_texts(), element.locator("dd").all_inner_texts(), strict=True))


def middle(page):
    box = page.locator("#map").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def pixels(page):
    """The map as a picture, to tell whether it changed."""
    return page.evaluate("document.getElementById('map').toDataURL()")


# The map


def test_the_map_says_what_it_shows(visitor):
    page = visitor.open()
    assert "All 15,625 architectures of nasbench201" in page.inner_text("#map-lead")
    assert "4,930 of them distinct" in page.inner_text("#map-lead")
    assert page.locator("#model option").all_inner_texts() == ["small"]
    assert len(page.locator("#legend .ticks span").all_inner_texts()) == 5
    measured = pixels(page)
    page.select_option("#colour", "predicted")
    until(lambda: pixels(page) != measured)


def test_the_cell_under_the_cursor_is_shown_with_what_is_known_of_it(visitor):
    page = visitor.open()
    x, y = middle(page)
    for turn in range(300):  # outwards until something is there
        page.mouse.move(x + turn * math.cos(turn), y + turn * math.sin(turn))
        if page.locator("#map.pointing").count():
            break
    page.wait_for_selector("#cell svg text")
    told = figures(page.locator("#cell"))
    assert list(told) == ["Predicted", "Measured", "Rank", "Params", "FLOPs", "Twins"]
    assert "±" in told["Predicted"]
    assert told["Rank"].endswith("of 15,625")
    assert page.inner_text("#cell code").count("|+|") == 2


def test_the_map_is_walked_and_moved_by_keys(visitor):
    page = visitor.open()
    page.focus("#map")
    page.keyboard.press("Home")
    page.wait_for_selector("#cell svg text")
    assert figures(page.locator("#cell"))["Rank"] == "1 of 15,625"
    assert "Rank 1 of 15,625" in page.inner_text("#cell-live")
    page.keyboard.press("p")
    assert "Rank 2 of 15,625" in page.inner_text("#cell-live")
    page.keyboard.press("n")
    assert "Rank 1 of 15,625" in page.inner_text("#cell-live")
    for key, undo in (("ArrowLeft", "ArrowRight"), ("ArrowUp", "ArrowDown"), ("+", "0")):
        before = pixels(page)
        page.keyboard.press(key)
        until(lambda before=before: pixels(page) != before)
        page.keyboard.press(undo)
        until(lambda before=before: pixels(page) == before)


def test_the_map_zooms_where_the_wheel_turns_and_shows_all_again(visitor):
    page = visitor.open()
    before = pixels(page)
    page.mouse.move(*middle(page))
    page.mouse.wheel(0, -600)
    until(lambda: pixels(page) != before)
    page.click("#zoom-all")
    page.mouse.move(5, 5)
    until(lambda: pixels(page) == before)


def test_the_table_lists_what_the_map_shows_and_leads_to_it(visitor):
    page = visitor.open()
    rows = page.locator("#known tbody tr")
    assert rows.count() == 12
    assert rows.nth(0).locator("td").first.inner_text() == "1"
    page.click("#known-more")
    until(lambda: rows.count() == 24)
    page.select_option("#order", "params")
    until(lambda: rows.count() == 12)
    rows.nth(3).locator("button").click()
    page.wait_for_selector("#cell code")
    assert page.inner_text("#cell code") == rows.nth(3).locator("button").inner_text()


@pytest.mark.parametrize("zooms", [0, 4])
def test_fifteen_thousand_points_pan_at_thirty_frames_a_second(visitor, report, zooms):
    page = visitor.open()
    page.focus("#map")
    for _ in range(zooms):
        page.keyboard.press("+")
    page.wait_for_timeout(400)
    rates = []
    for _ in range(4):  # the machine may be busy with something else for a while
        stamps = pan(page)
        spans = [after - before for before, after in pairwise(stamps)]
        rates.append(1000 * len(spans) / sum(spans))
        report(f"{zooms} zooms in: {rates[-1]:.0f} frames/s, the slowest frame {max(spans):.0f} ms")
    assert max(rates) >= 30


def pan(page):
    """Drag the map about for a second and more; the times of the frames in which it was drawn."""
    page.evaluate("""() => {
        const stamps = (window.stamps = []);
        const draw = CanvasRenderingContext2D.prototype.clearRect;
        CanvasRenderingContext2D.prototype.clearRect = function (...box) {
            stamps.push(performance.now());
            return draw.apply(this, box);
        };
        window.undo = () => (CanvasRenderingContext2D.prototype.clearRect = draw);
    }""")
    x, y = middle(page)
    page.mouse.move(x, y)
    page.mouse.down()
    end, step = time.monotonic() + 1.5, 0
    while time.monotonic() < end:
        step += 1
        page.mouse.move(x + 150 * ((step * 0.02) % 2 - 1), y + 90 * ((step * 0.031) % 2 - 1))
    page.mouse.up()
    return page.evaluate("() => { window.undo(); return window.stamps; }")


# Optimise


def test_an_ascent_is_drawn_as_it_comes_and_ends_in_cards(visitor):
    page = visitor.open()
    before = pixels(page)
    climb(page, num_architectures=5, num_starts=16, num_steps=30)
    until(lambda: pixels(page) != before)
    cards = page.locator("#cards li")
    assert cards.count() == 5
    ranks = []
    for card in cards.all():
        told = figures(card)
        ranks.append(int(re.match(r"([\d,]+) of 15,625", told["True rank"])[1].replace(",", "")))
        assert re.fullmatch(r"[\d,]+", told["Params"])
        assert "±" in card.locator("h3").inner_text()
        assert card.locator("svg text").count() > 3
        assert card.locator("code").inner_text().count("|+|") == 2
    assert min(ranks) < 3000
    assert page.locator("#pareto .proposal").count() == 5


def test_limits_seed_and_starts_reach_the_service(visitor):
    page = visitor.open()
    page.focus("#map")
    page.keyboard.press("Home")
    page.click("text=Start an ascent here")
    assert "a chosen architecture" in page.inner_text("#start-from")
    with page.expect_request("**/v1/optimize/stream") as sent:
        climb(page, num_architectures=2, seed=7, params=700000, num_starts=16, num_steps=20)
    body = json.loads(sent.value.post_data)
    assert body["constraints"] == [{"metric": "params", "max": 700000}]
    assert (body["seed"], body["num_starts"], len(body["start_from"])) == (7, 16, 1)
    for card in page.locator("#cards li").all():
        assert int(figures(card)["Params"].replace(",", "")) <= 700000
    page.click("text=forget")
    assert page.locator("#start-from").is_hidden()


def test_what_cannot_be_solved_is_said_with_what_would_be_right(visitor):
    page = visitor.open()
    page.fill("#optimise [name=params]", "1")
    page.click("#optimise button[type=submit]")
    page.wait_for_selector("#climb-error:has-text('keeps all limits')")
    assert page.locator("#proposals").is_hidden()


def test_proposals_are_copied_saved_and_found_on_the_map(visitor):
    page = visitor.open(permissions=["clipboard-read", "clipboard-write"])
    climb(page, num_architectures=2, num_starts=16, num_steps=20)
    card = page.locator("#cards li").first
    notation = card.locator("code").inner_text()
    card.get_by_role("button", name="Copy notation").click()
    card.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == notation
    with page.expect_download() as saved:
        card.get_by_role("button", name="Download as Python").click()
    script = saved.value.path().read_text()
    assert saved.value.suggested_filename == "nasbench201-1.py"
    compile(script, "saved", "exec")
    assert notation in script
    page.locator("#cards li").nth(1).get_by_role("button", name="Show on the map").click()
    page.wait_for_selector("#cell code")
    until(lambda: page.inner_text("#cell code") == page.locator("#cards code").nth(1).inner_text())


def test_where_onnx_is_missing_the_card_says_what_to_install(visitor):
    page = visitor.open()
    missing = {
        "title": "No",
        "status": 422,
        "detail": "export to onnx needs the package onnx: pip install 'crlso[onnx]'",
    }
    page.route("**/export?*", lambda route: route.fulfill(status=422, json=missing))
    climb(page, num_architectures=1, num_starts=16, num_steps=20)
    page.get_by_role("button", name="Download as ONNX").click()
    page.wait_for_selector("#cards .error:has-text('crlso[onnx]')")
    visitor.forgive("422")


def test_what_is_drawn_can_never_run(visitor):
    page = visitor.open()
    evil = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" onload="hurt=1"><script>hurt=1</script>'
        '<foreignObject><img src="http://elsewhere.test/x"/></foreignObject><g style="x"><text onclick="y">word</text>'
        "</g></svg>"
    )

    def spoil(route):
        route.fulfill(json=route.fetch().json() | {"svg": evil, "architecture": "<img src=x onerror=alert(1)>"})

    page.route("**/architectures/*", spoil)
    page.focus("#map")
    page.keyboard.press("Home")
    page.wait_for_selector("#cell svg text")
    markup = page.inner_html("#cell")
    assert not re.search("script|foreignObject|onload|onclick|style=|<img", markup.replace("&lt;img src=x onerror", ""))
    assert page.evaluate("window.hurt") is None
    visitor.forgive("Content Security Policy")  # which says that it kept the handlers from running


# Pareto


def test_the_plot_names_its_front_and_changes_its_cost(visitor):
    page = visitor.open()
    page.wait_for_selector("#pareto svg")
    assert page.locator("#pareto .front-dot").count() > 3
    assert "against params" in page.get_attribute("#pareto svg", "aria-label")
    page.select_option("#cost", "flops")
    assert "against FLOPs" in page.get_attribute("#pareto svg", "aria-label")


# Studies and jobs


def test_studies_are_listed_and_shown_with_their_curve(visitor):
    page = visitor.open("/#/studies", ready="#studies tbody tr")
    assert page.get_attribute("nav a[href='#/studies']", "aria-current") == "page"
    page.click("text=digits by hand")
    page.wait_for_selector("#studies .chart")
    assert "16 done" in figures(page.locator("#studies .figures"))["Trials"]
    assert page.locator("#studies tbody tr").count() == 24
    assert "the best is 95.64" in page.get_attribute("#studies .chart", "aria-label")
    page.click("text=All studies")
    page.wait_for_selector("#study-new:visible")


def test_a_study_is_opened_by_the_form(visitor, served):
    page = visitor.open("/#/studies", ready="#study-new [name=space] option")
    form = page.locator("#study-new")
    form.locator("[name=name]").fill("mine")
    form.locator("[name=strategy]").select_option("gp")
    form.locator("[name=budget]").fill("40")
    form.locator("[name=params]").fill("5e5")
    form.get_by_role("button").click()
    page.wait_for_selector("#studies h2:has-text('mine')")
    study = list(served.fake.studies.values())[-1][0]
    assert (study["strategy"], study["budget"], study["space"]) == ("gp", 40, "nasbench201")
    assert study["limits"] == [{"metric": "params", "max": 500000}]
    assert "Nobody has asked yet" in page.inner_text("#studies")


def test_a_refused_study_says_why(visitor):
    page = visitor.open("/#/studies", ready="#study-new [name=space] option")
    page.fill("#study-new [name=metric]", "params")
    page.click("#study-new button[type=submit]")
    page.wait_for_selector("#study-new-error:has-text('needs no trials')")
    visitor.forgive("422")


def test_jobs_are_listed_filtered_and_cancelled(visitor, served):
    page = visitor.open("/#/jobs", ready="#jobs tbody tr")
    rows = page.locator("#jobs tbody tr")
    assert rows.count() == 3
    page.get_by_label("Kind").select_option("supernet")
    until(lambda: rows.count() == 1)
    page.get_by_role("button", name=re.compile("Cancel")).click()
    until(lambda: served.fake.jobs["job-4"]["state"] == "cancelled")
    page.wait_for_selector("#jobs .badge.cancelled")


def test_a_supernet_run_is_traced_while_it_goes_on_and_after_a_broken_line(visitor, served):
    served.fake.cut = 20
    page = visitor.open("/#/jobs/job-4", ready="#jobs .chart")
    page.wait_for_selector("#jobs .badge.succeeded")
    assert served.fake.last_ids == [None, "20"]
    heads = page.locator("#jobs .traces h3").all_inner_texts()
    assert [re.split(r" [\d.]", head)[0] for head in heads] == ["Loss", "Accuracy, %", "Operations alive", "Params"]
    assert page.locator("#jobs .key li").all_inner_texts() == ["sep conv 3x3 8", "skip connect 6"]
    assert "at step 60" in page.locator("#jobs .chart").first.get_attribute("aria-label")
    assert page.inner_text("#jobs .log[role=log]").count("epoch") == 6
    page.click("summary:has-text('Result')")
    assert "front" in page.inner_text("pre[aria-label=Result]")


def test_a_supernet_run_is_started_by_the_form(visitor, served):
    page = visitor.open("/#/jobs", ready="#jobs tbody tr")
    page.fill("#run-new [name=name]", "mine")
    page.select_option("#run-new [name=method]", "dnad")
    page.fill("#run-new [name=epochs]", "7")
    page.fill("#run-new [name=images]", "pets")
    page.click("#run-new button[type=submit]")
    page.wait_for_selector("#run-new .error:has-text('no images')")
    page.fill("#run-new [name=images]", "digits")
    page.click("#run-new button[type=submit]")
    page.wait_for_selector("#jobs h2:has-text('supernet: mine')")
    page.wait_for_selector("#jobs .chart")
    asked = {"kind": "supernet", "name": "mine", "method": "dnad", "preset": "small", "space": "darts-flexible"}
    assert list(served.fake.jobs.values())[-1]["request"] == asked | {
        "images": "digits",
        "seed": 0,
        "set": ["epochs=7"],
    }
    visitor.forgive("422")


def test_a_training_is_started_by_the_form_with_what_was_filled_in(visitor, served):
    page = visitor.open("/#/jobs", ready="#jobs tbody tr")
    page.fill("#train-new [name=name]", "few")
    page.fill("#train-new [name=labels]", "300")
    page.click("#train-new button[type=submit]")
    page.wait_for_selector("#jobs h2:has-text('train: few')")
    asked = {"kind": "train", "name": "few", "space": "nasbench201", "dataset": "cifar10", "labels": 300, "seed": 0}
    assert list(served.fake.jobs.values())[-1]["request"] == asked | {"set": []}


def test_a_running_job_is_cancelled_where_it_is_shown(visitor, served):
    page = visitor.open("/#/jobs/job-4", ready="#jobs .badge.running")
    page.get_by_role("button", name="Cancel job-4").click()
    page.wait_for_selector("#jobs .badge.cancelled")
    assert page.get_by_role("button", name="Cancel job-4").count() == 0


def test_a_failed_job_says_why(visitor):
    page = visitor.open("/#/jobs/job-3", ready="#jobs .badge.failed")
    page.wait_for_selector("#jobs .error:has-text('no metric')")


def test_the_services_own_studies_and_jobs_are_shown(whole, visitor):  # in this order, so that the page closes first
    page = visitor.open("/#/studies", ready="#study-new [name=space] option", service=whole)
    page.fill("#study-new [name=name]", "real")
    page.select_option("#study-new [name=strategy]", "random")
    page.click("#study-new button[type=submit]")
    page.wait_for_selector("#studies h2:has-text('real')")
    path = f"/v1/studies/{page.url.rpartition('/')[2]}"
    (trial,) = send(page, whole, f"{path}/ask", {"client_id": "node"})["trials"]
    send(page, whole, f"{path}/tell", {"trial": trial["number"], "values": [93.5]})
    page.wait_for_selector("#studies .chart[aria-label*='the best is 93.50']")
    assert page.inner_text("#studies tbody .badge.done") == "done"

    page.click("#turn button:has-text('Ask')")
    page.wait_for_selector("#turn svg.drawing text")
    notation = page.inner_text("#turn code")
    page.reload()
    page.click("#turn button:has-text('Ask')")  # the same tab, which has not told yet
    page.wait_for_selector(f"#turn code:text-is('{notation}')")
    page.fill("#turn input", "94.25")
    page.click("#turn button[type=submit]")
    page.wait_for_selector("#turn >> text=Trial 2 is told.")
    page.wait_for_selector("#studies .chart[aria-label*='the best is 94.25']")
    page.click("#turn button:has-text('Ask')")
    page.click("#turn button:has-text('It failed')")
    page.wait_for_selector("#studies tbody .badge.failed")
    assert notation in page.inner_text("#studies tbody tr:has(.badge.done) >> nth=0")

    job = send(page, whole, "/v1/jobs", {"kind": "optimize", "num_starts": 8, "num_steps": 5})
    page.click("nav >> text=Jobs")
    page.click(f"text={job['id']}")
    page.wait_for_selector("#jobs .badge.succeeded", timeout=90_000)
    page.click("summary:has-text('Result')")
    assert "proposals" in page.inner_text("pre[aria-label=Result]")

    page.click("nav >> text=Jobs")
    page.fill("#train-new [name=name]", "few")
    page.fill("#train-new [name=dataset]", "mnist")
    page.click("#train-new button[type=submit]")
    page.wait_for_selector("#train-new .error:has-text('cifar100')")
    page.fill("#train-new [name=dataset]", "cifar10")
    page.click("#train-new button[type=submit]")
    page.wait_for_selector("#jobs h2:has-text('train: few')")
    page.click("button:has-text('Cancel')")
    page.wait_for_selector("#jobs .badge.cancelled")
    visitor.forgive("404")


def send(page, service, path, body):
    """What another client sends meanwhile."""
    answer = page.request.post(service.url + path, data=body)
    assert answer.ok, answer.text()
    return answer.json()


# Whoever asks, on whatever machine


def test_a_key_is_asked_for_used_and_forgotten_with_the_tab(visitor, served):
    served.fake.key = "right"
    page = visitor.open(ready="#key[open]")
    page.fill("#key [name=key]", "right")
    page.keyboard.press("Enter")
    page.wait_for_selector("#known tbody tr")
    climb(page, num_architectures=1, num_starts=16, num_steps=10)
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    visitor.forgive("401")


def test_a_service_without_studies_and_jobs_says_so(visitor):
    page = visitor.open()
    absent = {"title": "No such path", "status": 404, "detail": "no such path"}
    page.route(re.compile("/v1/(studies|jobs)"), lambda route: route.fulfill(status=404, json=absent))
    page.click("nav >> text=Studies")
    page.wait_for_selector("#studies .error:has-text('offers no studies')")
    assert page.locator("#study-new").is_hidden()
    page.click("nav >> text=Jobs")
    page.wait_for_selector("#jobs .error:has-text('offers no jobs')")
    page.click("nav >> text=Map")
    climb(page, num_architectures=1, num_starts=16, num_steps=10)
    visitor.forgive("404")


def test_a_service_that_is_gone_is_reported_and_found_again(visitor):
    page = visitor.open()
    page.route("**/v1/optimize/stream", lambda route: route.abort())
    page.click("#optimise button[type=submit]")
    page.wait_for_selector("#climb-error:has-text('cannot be reached')")
    page.unroute("**/v1/optimize/stream")
    climb(page, num_architectures=1, num_starts=16, num_steps=10)
    assert page.locator("#climb-error").is_hidden()
    visitor.forgive("ERR_FAILED")


def test_models_that_do_not_load_are_named_and_without_any_nothing_can_be_asked(visitor):
    page = visitor.open()
    none = {"models": [], "unavailable": {"beta": "its digest does not fit"}}
    page.route("**/v1/models", lambda route: route.fulfill(json=none))
    page.reload()
    page.wait_for_selector("#notice:has-text('beta does not load: its digest does not fit')")
    assert "crlso.train" in page.inner_text("#notice")
    assert page.locator("#climb-start").is_disabled()


def test_the_whole_page_is_reached_by_the_keyboard(visitor):
    page = visitor.open()
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.id || document.activeElement.textContent.trim().slice(0, 20)")
        )
    assert seen[0] == "Skip to content"
    assert {"Studies", "model", "colour", "map", "zoom-in", "climb-start", "cost", "order", "known"} <= set(seen)
    page.focus("#map")
    page.keyboard.press("Tab")
    width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert float(width.removesuffix("px")) >= 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("where", ["/", "/#/studies", "/#/studies/study-1", "/#/jobs", "/#/jobs/job-4"])
def test_axe_finds_nothing(visitor, report, where, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    ready = {"/": "#known tbody tr", "/#/studies/study-1": "#studies .chart"}
    page = visitor.open(
        where, ready=ready.get(where, ".badge, #studies tbody tr"), color_scheme=scheme, bypass_csp=True
    )
    if where == "/":
        climb(page, num_architectures=2, num_starts=16, num_steps=10)
        page.click("summary")
    violations = axe.Axe().run(page).response["violations"]
    told = [(one["impact"], one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in violations]
    report(f"{where} {scheme}: {len(told)} violations")
    assert told == []


@pytest.mark.parametrize("where", ["/", "/#/studies/study-1", "/#/jobs/job-4"])
def test_a_phone_is_wide_enough(visitor, where):
    ready = {"/": "#known tbody tr", "/#/studies/study-1": "#studies .chart"}.get(where, "#jobs .chart")
    page = visitor.open(where, ready=ready, **PHONE)
    if where == "/":
        climb(page, num_architectures=2, num_starts=16, num_steps=10)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_finger_pans_and_a_tap_picks(visitor):
    page = visitor.open(**PHONE)
    page.locator("#map").scroll_into_view_if_needed()
    page.touchscreen.tap(*middle(page))
    page.wait_for_selector("#cell code")


def test_who_wants_no_motion_sees_the_ascent_at_once(visitor):
    page = visitor.open(reduced_motion="reduce")
    climb(page, num_architectures=1, num_starts=16, num_steps=30)
    page.wait_for_timeout(100)
    at_once = pixels(page)
    page.wait_for_timeout(600)
    assert pixels(page) == at_once


def test_dark_and_light_are_followed_while_the_page_is_open(visitor):
    page = visitor.open(color_scheme="light")
    before = pixels(page)
    page.emulate_media(color_scheme="dark")
    until(lambda: pixels(page) != before)
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(18, 23, 22)"

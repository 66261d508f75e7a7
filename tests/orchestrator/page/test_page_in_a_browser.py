"""The page in a real Chromium: curves are drawn, hostile words stay words, the keyboard reaches all of it."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.orchestrator.page.pages import Page, page

CHROMIUM = os.environ.get("SURREAL_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
HOSTILE = "<img src=x onerror=document.title='owned'>"

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: install one, or name it in SURREAL_CHROMIUM"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM)
        yield opened
        opened.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    made = context.new_page()
    made.said = []
    made.on("console", lambda message: made.said.append(message.text))
    made.on("pageerror", lambda error: made.said.append(str(error)))
    yield made
    context.close()


def learn(served: Page, name: str, steps: range) -> None:
    with (served.runs[name].folder / "metrics.jsonl").open("a") as file:
        for step in steps:
            row = {"time": 1e9 + step, "role": "learner", "steps": step, "episode_return": step % 7, HOSTILE: 1.0}
            file.write(json.dumps(row) + "\n")


def test_curves_of_long_runs_are_drawn_and_follow_without_an_error_on_the_console(tab: Any, tmp_path: Path) -> None:
    with page(tmp_path, ("one", "two")) as served:
        learn(served, "one", range(10_000))
        learn(served, "two", range(10))
        tab.goto(served.url)
        tab.wait_for_selector(".area[data-curves='2'][data-last='9999'] canvas")
        learn(served, "one", range(10_000, 40_000))
        tab.wait_for_selector(".area[data-last='39999']")
        assert tab.said == []


def test_a_curve_is_zoomed_by_the_pointer_and_by_the_keyboard_and_asked_for_anew(tab: Any, tmp_path: Path) -> None:
    with page(tmp_path) as served:
        learn(served, "one", range(10_000))
        tab.goto(served.url)
        tab.wait_for_selector(".area[data-last='9999'] canvas")
        over = tab.locator(".u-over").bounding_box()
        with tab.expect_response(lambda answer: "window%22%3A%7B%22from" in answer.url) as zoomed:
            tab.mouse.move(over["x"] + 0.25 * over["width"], over["y"] + 50)
            tab.mouse.down()
            tab.mouse.move(over["x"] + 0.5 * over["width"], over["y"] + 50, steps=5)
            tab.mouse.up()
        seen = zoomed.value.json()["curves"]["learner.episode_return"]["one"]
        assert 2_400 < seen["x"][0] < 2_600 and 4_900 < seen["x"][-1] < 5_100
        tab.locator(".area").focus()
        with tab.expect_response("**/api/curves*") as whole:
            tab.keyboard.press("0")
        assert whole.value.json()["curves"]["learner.episode_return"]["one"]["x"][0] == 0
        assert tab.said == []


def test_two_hundred_runs_are_listed_and_drawn_together(tab: Any, tmp_path: Path) -> None:
    names = tuple(f"run-{index:03}" for index in range(200))
    with page(tmp_path, names) as served:
        for status, name in zip(list(served.statuses), names, strict=True):
            served.statuses[names.index(name)] = replace(status, labels={"sweep": "all"}, state="succeeded")
            learn(served, name, range(20))
        tab.goto(served.url)
        tab.wait_for_selector(".area[data-curves='8'] canvas")
        tab.locator(".group input").check()
        tab.wait_for_selector(".area[data-curves='200'] canvas")
        assert tab.locator(".run").count() == 200 and tab.said == []


@pytest.mark.parametrize("scheme, back", [("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 28)")])
def test_the_page_follows_light_and_dark(browser: Any, tmp_path: Path, scheme: str, back: str) -> None:
    context = browser.new_context(color_scheme=scheme)
    tab = context.new_page()
    with page(tmp_path) as served:
        tab.goto(served.url)
        assert tab.locator("body").evaluate("element => getComputedStyle(element).backgroundColor") == back
    context.close()


def test_hostile_names_and_lines_stay_words(tab: Any, tmp_path: Path) -> None:
    with page(tmp_path, (HOSTILE,)) as served:
        learn(served, HOSTILE, range(5))
        served.runs[HOSTILE].lines = [HOSTILE, "<script>document.title='owned'</script>"]
        tab.goto(served.url)
        tab.wait_for_selector(".area[data-curves='1'] canvas")
        tab.get_by_role("tab", name="Logs").click()
        tab.wait_for_selector("#panel pre")
        assert HOSTILE in tab.locator("#panel pre").text_content()
        tab.locator("#add").select_option(f"learner.{HOSTILE}")
        tab.wait_for_selector(".plot:nth-child(2) .area[data-curves='1'] canvas")
        tab.locator(".u-over").last.hover()
        tab.wait_for_selector(".tip:not([hidden])")
        assert tab.title() == "surreal" and tab.locator("#runs img, #panel img, .plot img, .tip img").count() == 0


def test_the_keyboard_reaches_runs_and_tabs_and_a_deleted_run_is_said(tab: Any, tmp_path: Path) -> None:
    with page(tmp_path, ("one", "two")) as served:
        learn(served, "one", range(5))
        tab.goto(served.url)
        tab.wait_for_selector("#detail:not([hidden])")
        tab.get_by_role("button", name="two").focus()
        tab.keyboard.press("Enter")
        tab.wait_for_selector("#detail-name:text('two: running')")
        tab.get_by_role("tab", name="Overview").focus()
        tab.keyboard.press("ArrowRight")
        tab.wait_for_selector("[role=tab][aria-selected=true]:text-is('Processes')")
        del served.statuses[1]
        tab.wait_for_selector("#detail-reason:text('two is gone')")
        assert tab.locator(".run").count() == 1


def test_the_page_fits_a_phone(browser: Any, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800})
    tab = context.new_page()
    with page(tmp_path) as served:
        learn(served, "one", range(50))
        tab.goto(served.url)
        tab.wait_for_selector(".area[data-curves='1'] canvas")
        assert tab.locator("html").evaluate("element => element.scrollWidth") <= 390
    context.close()

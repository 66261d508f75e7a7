"""The page in a real Chromium: curves are drawn, hostile words stay words, the keyboard reaches all of it."""

import json
import os
import shutil
from collections.abc import Iterator
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
        tab.wait_for_selector(".plot .scatterlayer .trace:nth-child(2)", state="attached")
        before = tab.locator(".plot .xtick").last.text_content()
        learn(served, "one", range(10_000, 40_000))
        tab.wait_for_selector(f".plot .xtick:last-child:not(:text-is('{before}'))", state="attached")
        assert tab.said == []


def test_hostile_names_and_lines_stay_words(tab: Any, tmp_path: Path) -> None:
    with page(tmp_path, (HOSTILE,)) as served:
        learn(served, HOSTILE, range(5))
        served.runs[HOSTILE].lines = [HOSTILE, "<script>document.title='owned'</script>"]
        tab.goto(served.url)
        tab.wait_for_selector(".plot .scatterlayer .trace", state="attached")
        tab.get_by_role("tab", name="Logs").click()
        tab.wait_for_selector("#panel pre")
        assert HOSTILE in tab.locator("#panel pre").text_content()
        tab.locator("#add").select_option(f"learner.{HOSTILE}")
        tab.wait_for_selector(".plot:nth-child(2) .scatterlayer .trace", state="attached")
        assert tab.title() == "surreal" and tab.locator("#runs img, #panel img, .plot img").count() == 0


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
        tab.wait_for_selector(".plot .scatterlayer .trace", state="attached")
        assert tab.locator("html").evaluate("element => element.scrollWidth") <= 390
    context.close()

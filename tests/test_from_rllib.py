"""The page for those who come from RLlib: its file is one, and makes the batch that it says."""

import re
from pathlib import Path

from surreal.algorithms.registry import algorithms
from surreal.algorithms.replay.config import ReplayConfig
from surreal.cli.main import COMMANDS
from surreal.orchestrator.experiment.load import load_experiment

PAGE = Path(__file__).parents[1] / "docs" / "from-rllib.md"


def test_the_translated_file_is_an_experiment_with_the_batch_of_the_original(tmp_path: Path) -> None:
    page = PAGE.read_text()
    file = tmp_path / "cheetah.yaml"
    file.write_text(re.search(r"```yaml\n(.*?)```", page, re.S)[1])  # type: ignore[index]
    spec = load_experiment(file).spec
    config = spec.algorithm.config
    actors = spec.roles["actor"].replicas
    assert isinstance(actors, int)
    batch = actors * spec.env.copies * config["fragment_steps"]
    assert f"train_batch_size_per_learner={batch}" in page and f"minibatch_size={config['minibatch']}" in page
    assert f"= {batch}" in page


def test_every_setting_that_the_page_names_is_one_of_ppo() -> None:
    table = PAGE.read_text().split("| RLlib 2.60 |")[1].split("## Other algorithms")[0]
    named = {
        name for row in table.splitlines()[2:] if row for name in re.findall(r"`(\w+)(?::[^`]*)?`", row.split("|")[2])
    }
    fields = set(algorithms()["ppo"].config.model_fields)
    others = {"seed", "hidden", "network", "pool", "always", "none"}
    assert named - fields <= others, named - fields - others


def test_every_setting_of_another_algorithm_is_one_of_that() -> None:
    table = PAGE.read_text().split("## Other algorithms")[1].split("## Tune")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines() if row.startswith("|")][2:]
    assert rows
    for _, here, algorithm, _ in rows:
        for name in re.findall(r"`(\w+)`", algorithm):
            fields = {*algorithms()[name].config.model_fields, name}
            named = {each.removeprefix("replay.") for each in re.findall(r"`((?:replay\.)?\w+)`", here)}
            assert named <= fields | set(ReplayConfig.model_fields), (name, named - fields)


def test_the_verbs_of_the_page_are_there() -> None:
    verbs = re.findall(r"`surreal (\w+)", PAGE.read_text())
    assert set(verbs) <= set(COMMANDS), verbs

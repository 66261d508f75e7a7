"""The table of machines and prices, and one's own over it."""

from pathlib import Path

import pytest

from surreal.protocol.errors import InvalidInput
from surreal.provisioner.machine_types import machine_table

OWN = """\
sources:
  ours: {date: 2026-11-01, region: europe-west4, what: our contract}
machines:
  gke:
    n2-standard-8: {price: 0.3, source: ours}
    lab-box: {cpu: 24, memory: 96Gi, gpus: 2, gpu: nvidia-l4, source: ours}
"""


def own(folder: Path, text: str) -> Path:
    path = folder / "prices.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("provider", "family"),
    [("gke", f) for f in ("n2-", "c3-", "c4-", "a2-", "a3-", "g2-", "t2d-")]
    + [("eks", f) for f in ("m7i.", "c7i.", "g5.", "g6.", "p4d.", "p5.")],
)
def test_the_families_people_train_on_are_in_the_table(provider: str, family: str) -> None:
    assert [name for name in machine_table().known(provider) if name.startswith(family)]


def test_every_machine_has_a_source_and_what_has_a_price_costs_something() -> None:
    document = machine_table().document
    for machines in document.machines.values():
        for entry in machines.values():
            assert entry.source in document.sources
            assert entry.price is None or entry.price > 0
            assert entry.spot is None or (entry.price is not None and entry.spot < entry.price)
            assert (entry.gpu is None) == (entry.gpus == 0)


def test_a_price_that_no_source_gives_is_unknown() -> None:
    machine = machine_table().find("gke", "c4-standard-8")
    assert machine is not None
    assert (machine.price, machine.spot_price) == (None, None)


def test_gpus_that_are_added_to_a_machine_add_their_price() -> None:
    table = machine_table()
    machine = table.find("gke", "n1-standard-8")
    assert machine is not None
    with_two = table.with_gpus("gke", machine, "nvidia-tesla-t4", 2)
    assert with_two.gpus == 2
    assert with_two.price == pytest.approx(0.38 + 2 * 0.35)


@pytest.mark.parametrize(
    ("name", "gpu", "count", "said"),
    [
        (
            "n2-standard-8",
            "nvidia-l4",
            1,
            "n2-standard-8 cannot have 1 x nvidia-l4: it has none and takes none; of nvidia",
        ),
        ("g2-standard-8", "nvidia-l4", 2, "it has 1 x nvidia-l4; of nvidia-l4, g2-standard-4 has 1"),
        ("g2-standard-8", "nvidia-l44", 1, r"\(did you mean 'nvidia-l4'\?\)"),
        ("n1-standard-8", "nvidia-l4", 1, "n1-standard-8 cannot have"),
        ("c3-standard-8", "nvidia-tesla-t4", 1, "any n1 machine takes them"),
    ],
)
def test_gpus_on_a_machine_that_cannot_have_them_are_refused(name: str, gpu: str, count: int, said: str) -> None:
    table = machine_table()
    machine = table.find("gke", name)
    assert machine is not None
    with pytest.raises(ValueError, match=said):
        table.with_gpus("gke", machine, gpu, count)


def test_amazons_gpus_are_found_by_googles_word_too() -> None:
    table = machine_table()
    machine = table.find("eks", "g6.2xlarge")
    assert machine is not None
    assert table.with_gpus("eks", machine, "nvidia-l4", 1) == machine


def test_ones_own_prices_win_and_what_they_do_not_say_is_not_taken_from_the_old_source(tmp_path: Path) -> None:
    table = machine_table(own(tmp_path, OWN))
    machine = table.find("gke", "n2-standard-8")
    assert machine is not None
    assert (machine.cpu, machine.price, machine.spot_price) == (8, 0.3, None)
    assert table.priced(machine) == "ours of 2026-11-01 for europe-west4"
    assert table.find("gke", "n2-standard-16") == machine_table().find("gke", "n2-standard-16")


def test_ones_own_machines_join_the_table(tmp_path: Path) -> None:
    machine = machine_table(own(tmp_path, OWN)).find("gke", "lab-box")
    assert machine is not None
    assert (machine.cpu, machine.gpus, machine.price) == (24, 2, None)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (OWN.replace("price: 0.3", "price: 0"), ":5: machines.gke.n2-standard-8.price: must be more than 0, not 0"),
        (
            OWN.replace("source: ours}\n    lab", "source: our}\n    lab"),
            r"unknown source 'our' \(did you mean 'ours'\?\)",
        ),
        (OWN.replace(", source: ours}\n    lab", "}\n    lab"), ":5: machines.gke.n2-standard-8.source: missing"),
        (OWN.replace("gke:", "gk:"), r":4: machines.gk: unknown provider 'gk' \(did you mean 'gke'\?\)"),
        (OWN.replace("cpu: 24, ", ""), ":6: machines.gke.lab-box.cpu: missing"),
        (OWN.replace("price: 0.3", "prise: 0.3"), r"unknown key 'prise' \(did you mean 'price'\?\)"),
        (
            OWN.replace("2026-11-01", "yesterday"),
            "sources.ours.date: must be a day such as 2026-07-20, not 'yesterday'",
        ),
        ("machines: []", ":1: machines: must be a mapping"),
        ("machines: {gke: 3}", ":1: machines.gke: must be a mapping"),
        ("just words", "must be a mapping"),
    ],
)
def test_a_wrong_price_file_is_refused_at_its_line(tmp_path: Path, wrong: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        machine_table(own(tmp_path, wrong))

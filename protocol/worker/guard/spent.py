"""Hours and dollars of a run so far, over all of its attempts, in a file of the run folder."""

import json
import math
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

FILE = "spent.json"


@dataclass(frozen=True)
class Spent:
    """Use of a run so far."""

    seconds: float = 0.0
    """Time in which the process that ends the run was there, over all attempts."""
    dollars: float | None = 0.0
    """Price of that; None once it cannot be known."""
    still: float = 0.0
    """Seconds of them since the run made its last step."""

    def after(self, seconds: float, per_hour: float | None, moved: bool) -> "Spent":
        """Return what is used after so many seconds more, at a price in dollars an hour."""
        known = self.dollars is not None and per_hour is not None
        dollars = (self.dollars or 0.0) + seconds * (per_hour or 0.0) / 3600 if known else None
        return Spent(self.seconds + seconds, dollars, 0.0 if moved else self.still + seconds)

    def begun_anew(self) -> "Spent":
        """Return the use without its wait for a step, for an attempt that a person begins."""
        return replace(self, still=0.0)

    def write(self, run_folder: Path) -> None:
        """Replace the file; a disk that takes none is no reason to end."""
        with suppress(OSError):
            new = run_folder / f".{FILE}.new"
            new.write_text(json.dumps(asdict(self)))
            os.replace(new, run_folder / FILE)

    @classmethod
    def read(cls, run_folder: Path) -> "Spent":
        """Return what an earlier attempt wrote; nothing without a file, an unknown price for a damaged one."""
        try:
            data = json.loads((run_folder / FILE).read_bytes())
            dollars = data["dollars"]
            return cls(_amount(data["seconds"]), None if dollars is None else _amount(dollars), _amount(data["still"]))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError):
            return cls(dollars=None)


def _amount(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r} is no amount")
    return float(value)

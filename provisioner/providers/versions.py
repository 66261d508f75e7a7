"""Kubernetes versions that the clouds support, with the day on which standard support ends.

Sources: AWS, "Understand the Kubernetes version lifecycle on EKS"; Google Cloud, "GKE release schedule"; both by
endoflife.date, read on 2026-11-28. A version that is newer than these is taken as it is.
"""

from collections.abc import Mapping
from datetime import date

OLDEST = (1, 33)
"""The oldest minor version whose objects surreal makes."""
GKE = {"1.33": date(2026, 8, 3), "1.34": date(2026, 10, 1), "1.35": date(2027, 4, 11)}
EKS = {"1.33": date(2026, 7, 29), "1.34": date(2026, 12, 2), "1.35": date(2027, 3, 27)}


def unsupported(version: str, ends: Mapping[str, date], today: date) -> str | None:
    """Return what is wrong with a minor version on `today`; None for one that a new cluster can have."""
    number = tuple(int(part) for part in version.split("."))
    if number < OLDEST:
        return f"must be {'.'.join(map(str, OLDEST))} or later, which surreal needs, not {version!r}"
    end = ends.get(version)
    if end is None or today <= end:
        return None
    later = [each for each, day in ends.items() if today <= day]
    advice = f"take {later[-1]}, or leave it out for" if later else "leave it out for"
    return f"{version!r} is out of support since {end}: {advice} the provider's default"

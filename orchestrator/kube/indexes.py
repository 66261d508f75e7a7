"""The indexes of an Indexed Job as Kubernetes writes them: `0-2,5`."""


def members(text: str, count: int) -> set[int]:
    """The indexes that a text such as `0-2,5` names, of those below `count`; what makes no sense names none."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        ends = (first, last or first)
        if all(each.isascii() and each.isdigit() and len(each) < 10 for each in ends):
            found.update(range(int(ends[0]), min(int(ends[1]), count - 1) + 1))
    return found

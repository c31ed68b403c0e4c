"""``python -m benchmarks [NAME …]``: run the comparisons, all or those named, and print one table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from benchmarks._announce import announce
from benchmarks._latency import latency
from benchmarks._names import names
from benchmarks._rate import rate
from benchmarks._saturation import fan_out, saturation
from benchmarks._table import HEADING, Line
from benchmarks._teardown import teardown

COMPARISONS: dict[str, Callable[[], Iterator[Line]]] = {
    "latency": latency,
    "saturation": saturation,
    "rate": rate,
    "fan-out": fan_out,
    "announce": announce,
    "teardown": teardown,
    "names": names,
}


def main() -> None:
    """Print each line as soon as it is known."""
    wanted = sys.argv[1:] or list(COMPARISONS)
    unknown = [name for name in wanted if name not in COMPARISONS]
    if unknown:
        sys.exit(f"there is no comparison {', '.join(unknown)}; there are {', '.join(COMPARISONS)}")
    print(HEADING)
    for name in wanted:
        for line in COMPARISONS[name]():
            print(line, flush=True)


if __name__ == "__main__":
    main()

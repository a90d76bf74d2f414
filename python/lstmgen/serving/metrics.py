"""The counts of a server, as text for Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Histogram:
    """A histogram of durations in seconds.

    >>> histogram = Histogram()
    >>> histogram.add(0.02)
    >>> [line for line in histogram.lines("wait") if "0.025" in line]
    ['wait_bucket{le="0.025"} 1']
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration.

        >>> Histogram().add(0.5)
        """
        self._counts[bisect_left(_BOUNDS, seconds)] += 1
        self._sum += seconds

    def lines(self, name: str) -> Iterable[str]:
        """Yield the lines of the histogram `name`.

        >>> list(Histogram().lines("wait"))[-1]
        'wait_count 0'
        """
        total = 0
        for bound, count in zip((*_BOUNDS, "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {total}"


class Metrics:
    """The counts of a server.

    >>> metrics = Metrics()
    >>> metrics.answered(200)
    >>> 'lstmgen_requests_total{status="200"} 1' in metrics.text({"lstmgen_waiting": 0})
    True
    """

    def __init__(self) -> None:
        self._answers: Counter[int] = Counter()
        self.elements = 0
        self.primes = 0
        self.left = 0
        self.first_element = Histogram()
        self.request = Histogram()

    def answered(self, status: int) -> None:
        """Count an answer.

        >>> Metrics().answered(404)
        """
        self._answers[status] += 1

    def text(self, now: dict[str, int]) -> str:
        """Return all metrics as text. now: the gauges, by their names.

        >>> Metrics().text({}).startswith("# HELP lstmgen_requests_total")
        True
        """
        lines = ["# HELP lstmgen_requests_total Answers, by status.", "# TYPE lstmgen_requests_total counter"]
        lines += [f'lstmgen_requests_total{{status="{status}"}} {n}' for status, n in sorted(self._answers.items())]
        counters = {
            "lstmgen_elements_total": ("Elements drawn.", self.elements),
            "lstmgen_prime_elements_total": ("Elements of primes.", self.primes),
            "lstmgen_clients_left_total": ("Requests whose client left before the end.", self.left),
        }
        for name, (meaning, value) in counters.items():
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} counter", f"{name} {value}"]
        for name, value in now.items():
            lines += [f"# TYPE {name} gauge", f"{name} {value}"]
        histograms = {
            "lstmgen_first_element_seconds": ("From a request to its first element.", self.first_element),
            "lstmgen_request_seconds": ("From a request to the end of its answer.", self.request),
        }
        for name, (meaning, histogram) in histograms.items():
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} histogram", *histogram.lines(name)]
        return "\n".join([*lines, ""])

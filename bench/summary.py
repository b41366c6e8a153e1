"""How the benchmarks sum rounds up: the median and the range."""

import statistics


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def cell(values, digits=0):
    return "{median:.{0}f} ({min:.{0}f} to {max:.{0}f})".format(digits, **values)

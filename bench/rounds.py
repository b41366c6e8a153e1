"""Rounds: each measures all that is compared, one after another, in an order that rotates, so that
whatever else the machine does falls on all alike. A round in which one measurement does not count
does not count as a whole."""

from bench.cost import Refused

REFUSED_MAX = 3


def rotate(names, number):
    """The names, beginning with another one in each round."""
    first = number % len(names)
    return names[first:] + names[:first]


def run(names, measure, wanted, tell=print):
    """Returns the rounds that count, figures by name each, and why the others do not. With more
    than REFUSED_MAX of these there are fewer rounds than wanted."""
    rounds, refused = [], []
    while len(rounds) < wanted and len(refused) <= REFUSED_MAX:
        number = len(rounds) + len(refused)
        results, name = {}, None
        try:
            for name in rotate(names, number):
                results[name] = measure(name)
        except Refused as why:
            refused.append(f"{name}: {why}")
            tell(f"  round {number + 1} refused: {refused[-1]}")
            continue
        rounds.append({name: results[name] for name in names})
        tell(f"  round {number + 1}")
    return rounds, refused

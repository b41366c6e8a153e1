"""What comes of the rounds: medians and ranges of the figures and of the ratios within a round, and
the tables made of them. Nothing is measured here."""

from bench.summary import cell, spread

LIMITS = ("nftables NAT", "direct")


def is_ours(name):
    return name.startswith("smtplb")


def is_peer(name):
    return not is_ours(name) and name not in LIMITS


def derive(results):
    """Adds to a round's figures what the whole machine has spent above what the same load costs
    without anything between."""
    if "direct" not in results or "all_us" not in results["direct"]:
        return results
    least = results["direct"]["all_us"]
    return {name: figures if name == "direct" else
            {**figures, "above_us": figures["all_us"] - least}
            for name, figures in results.items()}


def ratios(rounds, ours, other, metric):
    """Ours divided by the other's: by round, and of the best that either ever reached."""
    pairs = [(results[ours][metric.key], results[other][metric.key]) for results in rounds]
    best = max if metric.higher else min
    least = best(theirs for _, theirs in pairs)
    if least <= 0 or any(theirs <= 0 for _, theirs in pairs):
        return None
    return {**spread([mine / theirs for mine, theirs in pairs]),
            "of_best": best(mine for mine, _ in pairs) / least}


def summarise(metrics, names, rounds):
    """figures: by contender and key; ratios: by ours, key and other; best: the best peer by key."""
    rounds = [derive(results) for results in rounds]
    summary = {"figures": {}, "ratios": {}, "best": {}}
    for name in names:
        keys = set.intersection(*(set(results[name]) for results in rounds))
        summary["figures"][name] = {
            key: spread([results[name][key] for results in rounds]) for key in sorted(keys)}
    for metric in metrics:
        having = [name for name in names if metric.key in summary["figures"][name]]
        peers = [name for name in having if is_peer(name)]
        if peers:
            best = max if metric.higher else min
            summary["best"][metric.key] = best(
                peers, key=lambda name, key=metric.key: summary["figures"][name][key]["median"])
        for ours in filter(is_ours, having) if metric.is_ratio else ():
            found = {other: ratios(rounds, ours, other, metric)
                     for other in having if not is_ours(other)}
            summary["ratios"].setdefault(ours, {})[metric.key] = {
                other: ratio for other, ratio in found.items() if ratio}
    return summary


def row(cells):
    return "| " + " | ".join(cells) + " |"


def rule(count):
    return "|" + "---|" * count


def label(metric):
    return f"{metric.title}, {metric.unit}" if metric.unit else metric.title


def details(workload, summary):
    """One workload's tables: one a metric, with a row a contender."""
    lines = []
    for metric in workload.metrics:
        pairs = [one for one, ratios_of in summary["ratios"].items() if ratios_of.get(metric.key)]
        lines += [row([label(metric), "median (range)", "best",
                       *(f"{one} to it" for one in pairs)]), rule(3 + len(pairs))]
        for name, figures in summary["figures"].items():
            figure = figures.get(metric.key)
            if figure is None:
                continue
            best = figure["max" if metric.higher else "min"]
            found = [summary["ratios"][one][metric.key].get(name) for one in pairs]
            lines.append(row([name, cell(figure, metric.digits), f"{best:.{metric.digits}f}",
                              *(cell(one, 2) if one else "" for one in found)]))
        lines.append("")
    return "\n".join(lines)


def overview(workloads, summaries):
    """All workloads in one table: medians, and the ratio of each of ours to the best peer."""
    ours = sorted({name for workload in workloads for name in workload.names
                   if is_ours(name) and name.count(" ") == 1})
    lines = [row(["", *ours, "the best peer", *(f"{one} to it" for one in ours), "nftables NAT"]),
             rule(2 * len(ours) + 3)]
    for workload in workloads:
        if workload.name in summaries:
            lines += [overview_row(workload, metric, summaries[workload.name], ours)
                      for metric in workload.metrics]
    return "\n".join(lines)


def overview_row(workload, metric, summary, ours):
    def median(name):
        figure = summary["figures"].get(name, {}).get(metric.key)
        return f"{figure['median']:.{metric.digits}f}" if figure else ""

    best = summary["best"].get(metric.key)
    # Where nobody is compared ours have names that go on.
    mine = [next((name for name in summary["figures"] if name.startswith(one)), one)
            for one in ours]
    found = [summary["ratios"].get(one, {}).get(metric.key, {}).get(best) for one in mine]
    return row([f"{workload.title}: {label(metric)}", *map(median, mine),
                f"{best} {median(best)}" if best else "",
                *(cell(one, 2) if one else "" for one in found), median("nftables NAT")])


def setting(about, count):
    """What the figures were taken on."""
    return (f"{about['cores']} cores of {about['cpu']}, Linux {about['kernel']}, {count} rounds. "
            "Medians; of the ratios within a round the median and the range.")

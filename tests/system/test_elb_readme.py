"""What the README tells who comes from an ELB: that its expressions are valid and ask for nothing but
what there is, that no metric and no column is missing, and that its example is one."""

import re

import pytest
from admin import Admin
from balancer import ROOT, Setup
from elb import COLUMNS, ELB_COLUMNS, QUOTED, athena, parse
from metrics import labels_of, promtool, scrape
from peers import smtp
from test_log import SESSION_KEYS

CLASSIC = """BackendConnectionErrors DesyncMitigationMode_NonCompliant_Request_Count
EstimatedALBActiveConnectionCount EstimatedALBConsumedLCUs EstimatedALBNewConnectionCount
EstimatedProcessedBytes HealthyHostCount HTTPCode_Backend_2XX HTTPCode_ELB_4XX HTTPCode_ELB_5XX
Latency RequestCount SpilloverCount SurgeQueueLength UnHealthyHostCount""".split()
NLB = """ActiveFlowCount ActiveZonalShiftHostCount ClientTLSNegotiationErrorCount ConsumedLCUs
HealthyHostCount NewFlowCount PeakBytesPerSecond PeakPacketsPerSecond PortAllocationErrorCount
ProcessedBytes ProcessedPackets RejectedFlowCount ReservedLCUs
SecurityGroupBlockedFlowCount_Inbound_TCP SecurityGroupBlockedFlowCount_
TargetTLSNegotiationErrorCount TCP_Client_Reset_Count TCP_ELB_Reset_Count TCP_Target_Reset_Count
UnHealthyHostCount UnhealthyRoutingFlowCount ZonalHealthStatus""".split()
NO_EXPRESSION = ("none", "as above")

SELECTOR = re.compile(r"((?:smtplb|process)_\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\bby \(([^)]*)\)")


def tables(heading):
    """The tables of a section: of each row, the cells; heads left out."""
    section = (ROOT / "README.md").read_text().split(f"\n### {heading}\n")[1].split("\n##")[0]
    found = []
    for text in re.findall(r"(?:^\|.*\|\n)+", section, re.M):
        rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines()]
        found.append(rows[2:])
    return section, found


@pytest.fixture(name="page")
def fixture_page(start, relay, tmp_path):
    admin = Admin(tmp_path)
    start(Setup([relay(smtp())], admin=admin.text()))
    return scrape(admin)


def expressions():
    rows = sum(tables("CloudWatch metrics")[1], [])
    cells = [cell for _, cell, _ in rows if cell not in NO_EXPRESSION]
    assert all(re.fullmatch(r"`[^`]+`", cell) for cell in cells), cells
    return [cell[1:-1] for cell in cells]


def test_every_metric_is_there():
    classic, nlb = tables("CloudWatch metrics")[1]
    for rows, wanted in ((classic, CLASSIC), (nlb, NLB)):
        told = " ".join(names for names, _, _ in rows)
        assert [name for name in wanted if f"`{name}`" not in told] == []


def test_expressions_ask_for_what_there_is(page):
    """Names, labels, and those labels' values."""
    labels = page.labels()
    for expression in expressions():
        asked = SELECTOR.findall(expression)
        assert asked, expression
        for name, wanted in asked:
            assert any(metric == name and labels_of(wanted) <= have
                       for metric, have in page.samples), (name, wanted)
        for names in GROUPING.findall(expression):
            for name in set(names.split(", ")) - {"le"}:
                assert all(name in labels[page.metric_of(metric)] for metric, _ in asked), expression


def test_promtool_finds_nothing(tmp_path):
    def check(found):
        rules = tmp_path / "rules.yml"
        rules.write_text("groups: [ { name: elb, rules: [\n" + "".join(
            f"  {{ record: elb:{i}, expr: {expression!r} }},\n"
            for i, expression in enumerate(found)) + "] } ]\n")
        return promtool("check", "rules", rules)

    found = expressions()
    result = check(found)
    assert result.returncode == 0 and f" {len(found)} rules found" in result.stdout, result.stderr
    # It would.
    assert check([found[0] + ")"]).returncode != 0


def test_every_column_is_there():
    """In the line's order; and every key of a session's line has its place in the tables."""
    section, (theirs, ours) = tables("Access log")
    names = [name for row in theirs for name in re.findall(r"`([\w:]+)`", row[0])]
    assert len(names) == len(ELB_COLUMNS)
    told = [name for row in ours for name in re.findall(r'`("?\w+"?)`', row[0])]
    assert [name.strip('"') for name in told] == COLUMNS[len(ELB_COLUMNS):]
    assert {name.strip('"') for name in told if '"' in name} == QUOTED & set(COLUMNS[15:])
    missing = [key for key in SESSION_KEYS if f"`{key}`" not in section]
    assert missing == ["level", "event"]


def test_the_example_is_a_line():
    section = tables("Access log")[0]
    example = re.search(r"^    (20.*)\n      (.*)$", section, re.M)
    line = " ".join(example.groups())
    assert parse(line)["result"] == "ok"
    assert athena(line)[1:6] == ("lb1.example.jp", "203.0.113.7", "40112", "10.0.1.11", "25")

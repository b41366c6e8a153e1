"""The lines of the format elb, as a reader of Classic ELB's access logs takes them."""

import re

# ELB's fifteen, and ours; what is a key in logfmt has the same name.
ELB_COLUMNS = """timestamp elb client backend_addr request_processing_time backend_processing_time
response_processing_time elb_status_code backend_status_code bytes_in bytes_out request user_agent
ssl_cipher ssl_protocol""".split()
COLUMNS = ELB_COLUMNS + """id listener pool backend result end attempts queue_time duration messages
accepted deferred rejected last_reply backend_tls sni resumed opaque action rule""".split()
QUOTED = {"request", "user_agent", "last_reply", "rule"}

# The expression for a Classic ELB's logs in Athena's manual:
# https://docs.aws.amazon.com/athena/latest/ug/elasticloadbalancer-classic-logs.html
ATHENA = (
    r"([^ ]*) ([^ ]*) ([^ ]*):([0-9]*) ([^ ]*)[:-]([0-9]*) ([-.0-9]*) ([-.0-9]*) ([-.0-9]*) "
    r"(|[-0-9]*) (-|[-0-9]*) ([-0-9]*) ([-0-9]*) \"([^ ]*) ([^ ]*) (- |[^ ]*)\" (\"[^\"]*\") "
    r"([A-Z0-9-]+) ([A-Za-z0-9.-]*)$"
)
# As the README says to extend it.
EXTENDED = re.compile(ATHENA.replace("$", " (.*)$"))

LINE = re.compile(" ".join(
    rf'"(?P<{name}>[^"]*)"' if name in QUOTED else rf'(?P<{name}>[^" ]+)' for name in COLUMNS))


def parse(line):
    """Its columns by name, None if it is no such line."""
    columns = LINE.fullmatch(line)
    return columns and columns.groupdict()


def athena(line):
    """What Athena makes of it, which must be the same of ELB's columns alone."""
    groups = EXTENDED.fullmatch(line).groups()
    alone = line.removesuffix(" " + groups[-1])
    assert re.fullmatch(ATHENA, alone).groups() == groups[:-1]
    return groups[:-1]

"""Debian's Prometheus, unpacked and started by hand, with data of its own."""

import json
import subprocess
import urllib.parse
import urllib.request

from metrics import peers
from peers import DEADLINE, eventually, free_port

CONFIG = """
global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }}
rule_files: [ {rules} ]
scrape_configs:
  - job_name: smtplb
    static_configs: [ {{ targets: [ "127.0.0.1:{target}" ] }} ]
"""


class Prometheus:
    """Scrapes the admin interface at a port of this machine."""

    def __init__(self, folder, target, rules):
        config = folder / "prometheus.yml"
        config.write_text(CONFIG.format(target=target, rules=rules))
        self.port = free_port()
        self.log = (folder / "prometheus.log").open("w")
        self.process = subprocess.Popen(
            [
                f"{peers('prometheus')}/usr/bin/prometheus", f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            stdout=self.log, stderr=subprocess.STDOUT,
        )

    def get(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            return answer.read()

    def is_ready(self):
        assert self.process.poll() is None, "Prometheus has ended"
        try:
            return self.get("-/ready")
        except OSError:
            return False

    def query(self, expression):
        """What an expression says now: a list of (labels, value)."""
        answer = json.loads(self.get("api/v1/query", query=expression))
        assert answer["status"] == "success", answer
        return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]

    def value(self, expression):
        """Of an expression that is one series; None before it is."""
        result = self.query(expression)
        return result[0][1] if len(result) == 1 else None

    def rules(self):
        groups = json.loads(self.get("api/v1/rules"))["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def __enter__(self):
        eventually(self.is_ready)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.log.close()

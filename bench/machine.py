"""What a process takes of the machine, and which CPUs it is given."""

import dataclasses
import os
import pathlib
import platform
import resource
import subprocess

LOAD_PROCESSES = 3  # the load generator and two sinks


def cpu_ns(pid):
    """What the process, its threads and its children have run so far."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
        for offspring in (task / "children").read_text().split():
            total += cpu_ns(offspring)
    return total


def awake_ns(pid):
    """For how long each thread, by its id, of the process and its children has run or waited for a
    CPU: all but what it slept."""
    threads = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        threads[task.name] = sum(int(word) for word in (task / "schedstat").read_text().split()[:2])
        for offspring in (task / "children").read_text().split():
            threads |= awake_ns(offspring)
    return threads


def memory(pid):
    """Bytes of the process's and its children's own memory: what would be free without them."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    total = sum_private(rollup)
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for offspring in (task / "children").read_text().split():
            total += memory(offspring)
    return total


def sum_private(rollup):
    """Of a smaps_rollup: the bytes that no other process shares."""
    return 1024 * sum(int(line.split()[1]) for line in rollup.splitlines()
                      if line.startswith(("Private_Clean:", "Private_Dirty:")))


@dataclasses.dataclass(frozen=True)
class Placement:
    """The balancer has CPUs of its own, the load the others: as prefixes of their commands."""

    balancer: tuple
    load: tuple
    is_load_crowded: bool = False  # its processes do not have a CPU each

    @staticmethod
    def on(cpus, wanted=1):
        """The first CPUs are the balancer's, as many as it has workers. With too few of them
        nobody is pinned."""
        if wanted >= len(cpus):
            return Placement((), ())
        return Placement(pin(cpus[:wanted]), pin(cpus[wanted:]),
                         len(cpus) - wanted < LOAD_PROCESSES)


def pin(cpus):
    return ("taskset", "-c", ",".join(str(cpu) for cpu in cpus))


def cpus():
    return sorted(os.sched_getaffinity(0))


def raise_descriptor_limit():
    """For our children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def describe():
    model = next((line.partition(":")[2].strip()
                  for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {"cpu": model, "cores": len(cpus()), "kernel": platform.release().partition("-")[0],
            "arch": platform.machine(), "load_average": os.getloadavg()[0]}


def has_network_namespaces():
    """Whether we may make one: root may."""
    return subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0

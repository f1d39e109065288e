"""Two simulated machines: network namespaces joined by a link that can be slowed or cut."""

import itertools
import os
import signal
import subprocess
from contextlib import contextmanager

HOST, DEVICE = "10.77.0.1", "10.77.0.2"
"""Addresses of the two machines; neither reaches anything else."""

_numbers = itertools.count()


class NoNamespacesError(RuntimeError):
    """The system does not allow this user to create network namespaces."""


class TwoMachines:
    """Network namespaces for a host and a device.

    Attributes:
        host: Words to put before a command to run it on the host.
        device: The same for the device.

    Raises:
        NoNamespacesError: If the namespaces cannot be created.
    """

    def __init__(self):
        name = f"{os.getpid()}-{next(_numbers)}"
        self._names = (f"host-{name}", f"device-{name}")
        self.host, self.device = (["ip", "netns", "exec", n] for n in self._names)
        try:
            self._join()
        except (OSError, subprocess.CalledProcessError) as error:
            self.close()
            raise NoNamespacesError(str(error)) from None

    def _join(self):
        for name in self._names:
            _run("ip", "netns", "add", name)
        host, device = self._names
        ends = ("type", "veth", "peer", "name", "cable", "netns", device)
        _run("ip", "link", "add", "cable", "netns", host, *ends)
        for name, address in zip(self._names, (HOST, DEVICE), strict=True):
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "cable")
            for interface in ("lo", "cable"):
                _run("ip", "-n", name, "link", "set", "dev", interface, "up")

    @contextmanager
    def slowed(self, machine, kbit_per_s):
        """Limit what one machine sends.

        Args:
            machine: `self.host` or `self.device`.
            kbit_per_s: The limit in kilobits a second.
        """
        queue = ("tc", "-n", machine[-1], "qdisc")
        limit = ("rate", f"{kbit_per_s}kbit", "burst", "16kb", "latency", "400ms")
        _run(*queue, "add", "dev", "cable", "root", "tbf", *limit)
        try:
            yield
        finally:
            _run(*queue, "delete", "dev", "cable", "root")

    @contextmanager
    def cut(self):
        """Drop everything on the link; neither machine is notified."""
        link = ("ip", "-n", self._names[1], "link", "set", "dev", "cable")
        _run(*link, "down")
        try:
            yield
        finally:
            _run(*link, "up")

    def kill(self, machine):
        """Kill every process of one machine."""
        found = subprocess.run(["ip", "netns", "pids", machine[-1]], capture_output=True, text=True)
        for process in found.stdout.split():
            os.kill(int(process), signal.SIGKILL)

    def close(self):
        """Delete both namespaces, and the link with them."""
        for name in self._names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def _run(*command):
    subprocess.run(command, check=True, capture_output=True)

"""Two machines on one: network namespaces joined by a cable that can be slow, or cut."""

import itertools
import os
import signal
import subprocess
from contextlib import contextmanager

HOST, DEVICE = "10.77.0.1", "10.77.0.2"
"""Their addresses; nothing else is reachable from either."""

_numbers = itertools.count()


class NoNamespacesError(RuntimeError):
    """This machine, or who runs the tests on it, may not make network namespaces."""


class TwoMachines:
    """Namespaces for a host and a device.

    Attributes:
        host: What runs a command on the host when put before it.
        device: The same for the device.
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
            _do("ip", "netns", "add", name)
        host, device = self._names
        ends = ("type", "veth", "peer", "name", "cable", "netns", device)
        _do("ip", "link", "add", "cable", "netns", host, *ends)
        for name, address in zip(self._names, (HOST, DEVICE), strict=True):
            _do("ip", "-n", name, "address", "add", f"{address}/24", "dev", "cable")
            for link in ("lo", "cable"):
                _do("ip", "-n", name, "link", "set", link, "up")

    @contextmanager
    def slowed(self, end, kilobits):
        """What one end sends passes at so many kilobits a second.

        Args:
            end: `self.host` or `self.device`.
            kilobits: A second.
        """
        shaping = ("tc", "-n", end[-1], "qdisc")
        shape = ("rate", f"{kilobits}kbit", "burst", "16kb", "latency", "400ms")
        _do(*shaping, "add", "dev", "cable", "root", "tbf", *shape)
        try:
            yield
        finally:
            _do(*shaping, "delete", "dev", "cable", "root")

    @contextmanager
    def cut(self):
        """Nothing passes; neither side is told."""
        link = ("ip", "-n", self._names[1], "link", "set", "cable")
        _do(*link, "down")
        try:
            yield
        finally:
            _do(*link, "up")

    def kill(self, end):
        """Every process there, at once."""
        found = subprocess.run(["ip", "netns", "pids", end[-1]], capture_output=True, text=True)
        for process in found.stdout.split():
            os.kill(int(process), signal.SIGKILL)

    def close(self):
        """Take both away, and the cable with them."""
        for name in self._names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def _do(*command):
    subprocess.run(command, check=True, capture_output=True)

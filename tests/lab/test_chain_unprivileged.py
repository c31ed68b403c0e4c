"""The whole chain without a privilege: it sees and reaches the same, and says once what it can't see."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from trimif.testing._lab import Lab

from ._program import watch

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
AS_NOBODY = (*WITHOUT_CAPABILITIES, "--reuid=65534", "--regid=65534", "--clear-groups")


def drop_privileges(lab: Lab) -> Sequence[str]:
    """The command that becomes nobody; or else, where nobody can't read this project, root without capabilities.

    In a user namespace there is no other user than its root.
    """
    probe = [*AS_NOBODY, sys.executable, "-c", "import trimif, tests.lab._observer"]
    done = lab.host.run(probe, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return AS_NOBODY if done.returncode == 0 else WITHOUT_CAPABILITIES


def observe(lab: Lab, *prefix: str) -> dict[str, Any]:
    """Run the observer; provider A's router, new to the link, advertises itself when the observer listens."""
    lab.stop("isp_a.radvd")
    command = [*prefix, sys.executable, "-m", "tests.lab._observer", str(lab.lease_directory)]
    with lab.host.popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n", process.communicate()[1]
        lab.start("isp_a.radvd")
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    seen: dict[str, Any] = json.loads(output)
    return seen


def test_without_privileges_it_sees_and_reaches_the_same(lab: Lab) -> None:
    lab.directory.chmod(0o755)
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    command = drop_privileges(lab)
    with watch(lab):
        ours = observe(lab)
        theirs = observe(lab, *command)

    assert ours["domains"].keys() == theirs["domains"].keys() >= {"up-a/ipv4", "up-a/ipv6", "up-b/ipv4", "vpn0/ipv4"}
    for name, domain in ours["domains"].items():
        for kind in ("addresses", "elements"):
            assert theirs["domains"][name][kind] == domain[kind], name
    assert theirs["answers"] == ours["answers"]
    assert theirs["connects"] == ours["connects"]
    assert theirs["connects"]["up-a/ipv6"] == "2001:db8:a::ff:fe00:a02"
    assert theirs["connects"]["up-b/ipv4"] == "198.51.100.70"
    assert theirs["answers"]["up-b/ipv4"] == ["2001:db8:ff::20", "203.0.113.20", "answered"]

    advertised = theirs["domains"]["up-a/ipv6"]
    assert advertised["origins"] == {"RA": "router advertisement from fe80::a:1"}
    assert advertised["mtu"] == {"RA": None}  # the kernel passes it on to nobody
    assert ours["domains"]["up-a/ipv6"]["mtu"] == {"RA": 1460}
    assert (ours["limitations"], theirs["limitations"]) == ([], ["router advertisements"])

"""Fixtures for the tests of sources."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from trimif.testing._namespaces import Namespace

from .netlink_host import configure, make_pair


@pytest.fixture
def host() -> Iterator[Namespace]:
    """A namespace with loopback and eth0, in which the test itself runs: sockets that it opens belong there."""
    namespace = Namespace("host")
    try:
        configure(namespace, "link set lo up")
        make_pair(namespace, "eth0")
        configure(
            namespace,
            "address add 198.51.100.10/26 dev eth0",
            "address add 2001:db8:a::10/64 dev eth0 nodad",
            "route add default via 198.51.100.1 dev eth0 metric 100",
            "route add ::/0 via 2001:db8:a::1 dev eth0 metric 100",
        )
        with namespace.entered():
            yield namespace
    finally:
        namespace.close()

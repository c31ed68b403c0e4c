"""A real unbound that knows one zone, and serves it by DNS over TLS, by HTTPS (HTTP/2), and in the clear.

It runs in the foreground with a configuration of its own, reads and writes nothing of the machine's, and asks nobody.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from trimif.testing._lab_processes import Daemon, poll_until
from trimif.testing._namespaces import Namespace

__all__ = ["DOH_PATH", "run_unbound"]

DOH_PATH = "/dns-query"

_CONFIGURATION = """
server:
  directory: ""
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  module-config: "iterator"
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  tls-port: 853
  https-port: 443
  http-endpoint: "{path}"
  tls-service-key: "{key}"
  tls-service-pem: "{certificate}"
  local-zone: "{zone}." static
remote-control:
  control-enable: no
server:
"""


@contextmanager
def run_unbound(
    namespace: Namespace,
    addresses: Sequence[str],
    zone: str,
    records: Sequence[str],
    *,
    key: bytes,
    certificates: Sequence[bytes],
) -> Iterator[Daemon]:
    """Serve a zone on addresses of a namespace until the block is left; ready when it is entered.

    Args:
        records: in the form of a zone file, ``"host.example.com. A 203.0.113.1"``.
        key: of the certificate, in PEM, as are the `certificates`: the server's own first.

    Raises:
        LabError: it ended, or was not ready in time.
    """
    directory = Path(tempfile.mkdtemp(prefix="trimif-unbound-"))
    try:
        (directory / "key.pem").write_bytes(key)
        (directory / "certificate.pem").write_bytes(b"".join(certificates))
        configuration = directory / "unbound.conf"
        configuration.write_text(_configuration(directory, addresses, zone, records))
        daemon = Daemon(namespace, ["unbound", "-d", "-c", str(configuration)], directory / "unbound.log")
        try:
            for table in {"tcp6" if ":" in address else "tcp" for address in addresses}:
                poll_until(partial(daemon.listens, table, 443), f"unbound listens ({table})")
            yield daemon
        finally:
            daemon.end()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _configuration(directory: Path, addresses: Sequence[str], zone: str, records: Sequence[str]) -> str:
    head = _CONFIGURATION.format(
        path=DOH_PATH, zone=zone, key=directory / "key.pem", certificate=directory / "certificate.pem"
    )
    interfaces = [f"  interface: {address}@{port}" for address in addresses for port in (53, 853, 443)]
    data = [f"  local-data: '{record}'" for record in records]
    return head + "\n".join([*interfaces, *data, ""])

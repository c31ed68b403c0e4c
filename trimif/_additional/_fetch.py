"""Fetch a document from a server of a domain, wholly inside the domain (RFC 8801, 4.1; law 10).

"the name resolution, PKI checks, source address selection, as well as the next-hop router selection MUST be performed
while using exclusively the set of configuration information attached with the PvD": lookups and connects are the
domain's own, for every redirection, too. Revocation of certificates is not asked about: there is nothing to ask inside.

Servers are strangers, so everything has a bound: octets, redirections, and time in all its parts. Only HTTPS is
spoken, and only the media type that was asked for is taken: servers "MUST mark this media type as their Content-Type".
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address
from socket import gaierror
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin, urlsplit

import trio

from trimif._additional._failures import BadAnswer, Unreachable
from trimif._errors import ConnectFailed
from trimif._model import IPAddress
from trimif._wire.json_object import MAX_OCTETS, optional_url

if TYPE_CHECKING:
    import httpcore2

__all__ = ["Resolver", "check_http_is_installed", "default_ssl_context", "fetch"]

REACH_SECONDS = 20.0
"""For the lookup of a server's name and the connects to its addresses."""
CONNECT_SECONDS = 5.0
"""For one address: two retransmissions of a SYN."""
MOST_ADDRESSES = 6
SERVER_SECONDS = 40.0
"""For one server, until its answer is whole."""
MOST_REDIRECTIONS = 5
MOST_OCTETS = MAX_OCTETS + 32768  # of a response: the document, its head, and TLS's certificates don't count

MISSING = (
    "additional information and portals are fetched by httpcore2, which does not import here ({fault}): "
    "install trimif[http]"
)


class Resolver(Protocol):
    """What of a `ProvisioningDomain` is needed here."""

    async def resolve(self, name: str) -> Sequence[IPAddress]:
        """All addresses of a name."""
        ...

    async def connect(self, address: IPAddress | str, port: int) -> trio.SocketStream:
        """A connection to a TCP port."""
        ...


def check_http_is_installed() -> None:
    """Return if httpcore2 can be imported.

    Raises:
        ImportError: it can't; the text tells the remedy.
    """
    try:
        import httpcore2  # noqa: F401
    except ImportError as fault:
        raise ImportError(MISSING.format(fault=fault)) from fault


def default_ssl_context() -> ssl.SSLContext:
    """Python's own default: the system's trust store as OpenSSL finds it, and names are checked.

    As in every program, ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` put another store in its place.
    """
    return ssl.create_default_context()


async def fetch(domain: Resolver, url: str, media_type: str, ssl_context: ssl.SSLContext) -> bytes:
    """GET a document, and follow redirections.

    It ends by itself, in less than a minute for each server. If cancelled, no socket is left.

    Args:
        media_type: what is asked for, and the only thing that is taken.

    Raises:
        Unreachable: a server could not be reached.
        BadAnswer: a server was reached, but did not give the document.
        DomainGone: the domain is gone, or went in the middle.
    """
    for _ in range(1 + MOST_REDIRECTIONS):
        response = await _get(domain, _checked(url), media_type, ssl_context)
        if not 300 <= response.status < 400:
            return _document(response, media_type)
        url = _joined(url, _header(response, b"location"))
    raise BadAnswer(f"it is redirected more than {MOST_REDIRECTIONS} times")


def _checked(url: str) -> str:
    checked = optional_url(url, "https")
    if checked is None or "@" in urlsplit(checked).netloc or "%" in urlsplit(checked).netloc:
        raise BadAnswer(f"{url[:100]!r} is no https URL that can be fetched")
    return checked


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return location  # which `_checked` refuses


async def _get(domain: Resolver, url: str, media_type: str, ssl_context: ssl.SSLContext) -> httpcore2.Response:
    from trimif._additional._http import request

    headers: dict[bytes | str, bytes | str] = {
        "Host": urlsplit(url).netloc,  # httpcore2 forgets the brackets of an IPv6 address
        "Accept": media_type,
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    with trio.move_on_after(SERVER_SECONDS):
        return await request(url, headers, partial(reach, domain), ssl_context, most_octets=MOST_OCTETS)
    # the time for reaching it, which is a part of this, has an end of its own
    raise BadAnswer(f"there was no whole answer after {SERVER_SECONDS:.0f} seconds")


async def reach(domain: Resolver, host: str, port: int) -> trio.SocketStream:
    """Connect to the first of a host's addresses that takes it; IPv6 first.

    A domain's server is to see from which prefix it is asked (RFC 8801, 4.4), which IPv4 does not show.

    Raises:
        Unreachable: none does.
    """
    fault = "nothing answered in time"
    with trio.move_on_after(REACH_SECONDS):
        try:
            addresses = await _addresses(domain, host)
        except gaierror as error:
            raise Unreachable(error.strerror or str(error)) from error
        for address in addresses:
            try:
                with trio.move_on_after(CONNECT_SECONDS):
                    return await domain.connect(address, port)
            except ConnectFailed as failure:
                fault = failure.strerror or str(failure)
    raise Unreachable(f"{host} can't be reached: {fault}")


async def _addresses(domain: Resolver, host: str) -> Sequence[IPAddress]:
    try:
        literal = ip_address(host)
    except ValueError:
        found = await domain.resolve(f"{host.removesuffix('.')}.")  # as it stands, in no search domain
        return sorted(found, key=lambda address: -address.version)[:MOST_ADDRESSES]
    await trio.lowlevel.checkpoint()
    return [literal]


def _document(response: httpcore2.Response, media_type: str) -> bytes:
    if not 200 <= response.status < 300:
        raise BadAnswer(f"its HTTP status is {response.status}")
    given = _header(response, b"content-type").partition(";")[0].strip().lower()
    if given != media_type:
        raise BadAnswer(f"it is of the media type {given[:60]!r}, not {media_type}")
    return response.content


def _header(response: httpcore2.Response, name: bytes) -> str:
    found = [value for key, value in response.headers if key.lower() == name]
    if len(found) != 1:
        raise BadAnswer(f"a response of status {response.status} has {len(found)} headers {name.decode()}")
    return found[0].decode("latin-1")

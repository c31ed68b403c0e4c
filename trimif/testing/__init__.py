"""For tests of programs that use trimif: a host that exists only in the test, a recorder, the laws, and replay.

`SimulatedHost` and `open_simulated_mif` come first; the documentation has a page about the rest.
"""

from trimif._errors import MalformedInput
from trimif._facts import (
    AdditionalInformation,
    AddressFact,
    AddressGone,
    AddressProtocol,
    AdvertisedDomain,
    AdvertisedPrefix,
    AdvertisedRoute,
    AllAddresses,
    AllLeases,
    AllLinkConfigurations,
    AllLinks,
    AllRoutes,
    DHCPv6Lease,
    Fact,
    Lease,
    LeasedAddress,
    LinkConfiguration,
    LinkFact,
    LinkGone,
    PortalStatus,
    RouteFact,
    RouteGone,
    RouteProtocol,
    RouterAdvertisement,
    RouterHeader,
)
from trimif.testing._history import History, check_laws
from trimif.testing._laws import LawBroken, LawChecker
from trimif.testing._lines import FactsLine, Line, MessageLine, dump_line, load_line
from trimif.testing._peer import Peer
from trimif.testing._recorder import Recorder, open_recorder
from trimif.testing._replay import Replay, replay
from trimif.testing._simulated import SimulatedHost, open_simulated_mif
from trimif.testing._simulated_facts import FIGURE_2

__all__ = [
    "AdditionalInformation",
    "AdvertisedDomain",
    "AllLinkConfigurations",
    "DHCPv6Lease",
    "LeasedAddress",
    "LinkConfiguration",
    "PortalStatus",
    "FIGURE_2",
    "AddressFact",
    "AddressGone",
    "AddressProtocol",
    "AdvertisedPrefix",
    "AdvertisedRoute",
    "AllAddresses",
    "AllLeases",
    "AllLinks",
    "AllRoutes",
    "Fact",
    "FactsLine",
    "History",
    "LawBroken",
    "LawChecker",
    "Lease",
    "Line",
    "LinkFact",
    "LinkGone",
    "MalformedInput",
    "MessageLine",
    "Peer",
    "Recorder",
    "Replay",
    "RouteFact",
    "RouteGone",
    "RouteProtocol",
    "RouterAdvertisement",
    "RouterHeader",
    "SimulatedHost",
    "check_laws",
    "dump_line",
    "load_line",
    "open_recorder",
    "open_simulated_mif",
    "replay",
]

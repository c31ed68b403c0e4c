"""PvD additional information (RFC 8801, 4) and captive portals (RFC 8908), fetched inside their domains.

`_schedule`, `_limits` and `_portal_schedule` decide, without I/O and without a clock; `_fetch` gets a document through
a domain; `_pvd` and `_portal` follow one domain each, `_follow` all of a MIF; `_telling` makes facts of it.
"""

from trimif._additional._follow import follow_additional_information
from trimif._additional._portal import fetch_portal
from trimif._additional._pvd import fetch_pvd_information

__all__ = ["fetch_portal", "fetch_pvd_information", "follow_additional_information"]

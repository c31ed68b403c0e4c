"""Name translation inside one provisioning domain: hosts file, DNS, multicast DNS, LLMNR, and what a program adds."""

from trimif._names._service import NameService as NameService

"""Connecting through one provisioning domain: address selection (RFC 6724), route check, bound sockets."""

from trimif._connect._attempt import Attempt as Attempt
from trimif._connect._connect import connect as connect
from trimif._connect._ordering import order_destinations as order_destinations
from trimif._connect._path import check_path as check_path
from trimif._connect._path import possible_attempts as possible_attempts
from trimif._connect._selection import order_sources as order_sources
from trimif._connect._selection import policy_of as policy_of
from trimif._connect._sockets import open_socket as open_socket
from trimif._connect._sockets import socket_address as socket_address

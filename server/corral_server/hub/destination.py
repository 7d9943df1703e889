"""Where a request may go. The operator names the endpoint; a redirect names anything it likes.

The endpoint itself is always allowed. Away from it, as to the CDN that holds the files:

- https only, unless the endpoint itself is http (a mirror in the house, a test);
- only to public addresses, after resolution, or to addresses of the endpoint's own kind: a hub on
  loopback may redirect to loopback, one in a private network within private networks, and neither
  to the other. Never to link-local addresses, where clouds keep their metadata, nor to multicast,
  reserved or unspecified ones.

A name that does not resolve is let through: it fails by itself, or a proxy resolves it.
"""

import socket
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx2


class Reach(Enum):
    """Who can reach an address."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    SPECIAL = "special"


def refusal(target: httpx2.URL, endpoint: httpx2.URL) -> str:
    """Why a redirect from `endpoint` may not lead to `target`, or nothing."""
    if target.scheme not in ("https", endpoint.scheme):
        return f"which is not {endpoint.scheme}"
    reaches = _reaches(target)
    allowed = {Reach.PUBLIC} | (_reaches(endpoint) - {Reach.SPECIAL})
    if not reaches <= allowed:
        return "which is not a public address"
    return ""


def _reaches(url: httpx2.URL) -> set[Reach]:
    try:
        found = socket.getaddrinfo(url.host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {_reach(ip_address(str(address[0]).partition("%")[0])) for *_, address in found}


def _reach(ip: IPv4Address | IPv6Address) -> Reach:
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        return _reach(ip.ipv4_mapped)
    if ip.is_loopback:
        return Reach.LOOPBACK
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return Reach.SPECIAL
    if ip.is_private:
        return Reach.PRIVATE
    return Reach.PUBLIC if ip.is_global else Reach.SPECIAL

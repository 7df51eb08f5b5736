"""Decides to which addresses a request may be sent: to public ones, and to those that the operator has allowed.

Source of the table: IANA's registries of special-purpose addresses for IPv4 (RFC 6890) and IPv6. ``ipaddress`` is not
asked, because the answers of ``is_private`` and ``is_global`` differ between patch releases of Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from vectordb.errors import Permanent

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SPECIAL: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("unspecified", ("0.0.0.0/8", "::/128")),
    ("loopback", ("127.0.0.0/8", "::1/128")),
    ("link-local", ("169.254.0.0/16", "fe80::/10")),
    ("multicast", ("224.0.0.0/4", "ff00::/8")),
    ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
    ("carrier-grade NAT", ("100.64.0.0/10",)),
    ("reserved", (
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
        "64:ff9b:1::/48", "100::/63", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "2620:4f:8000::/48",
    )),
)  # fmt: skip
"""Kinds of addresses that are not on the public internet. All of IPv6 outside of 2000::/3 counts as reserved, too."""

NEVER_BY_NAME = frozenset({"unspecified", "link-local", "multicast"})
"""Kinds that only an address or a network can allow: clouds serve credentials at a link-local address."""

_SPECIAL = tuple((kind, ip_network(text)) for kind, texts in SPECIAL for text in texts)
_PUBLIC_IPV6 = IPv6Network("2000::/3")

# an IPv4 address inside of an IPv6 one, and how many bits follow it
_MAPPED = IPv6Network("::ffff:0:0/96")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_EMBEDDED = ((_MAPPED, 0), (_TRANSLATED, 0), (_COMPATIBLE, 0), (_NAT64, 0), (_6TO4, 80))


class OutgoingRefused(Permanent):
    """No address of the host is one to which requests may be sent."""


def kind_of(address: Address) -> str | None:
    """Why an address is not on the public internet, in words; ``None`` if it is."""
    for inner in _inside(address):
        if (kind := kind_of(inner)) is not None:
            return f"{kind} (as {inner})"
    for kind, network in _SPECIAL:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _PUBLIC_IPV6 and not any(_inside(address)):
        return "reserved"
    return None


def _inside(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for: mapped, NAT64, 6to4, Teredo."""
    if not isinstance(address, IPv6Address):
        return
    for network, after in _EMBEDDED:
        if address in network and int(address) > 1:  # :: and ::1 have kinds of their own
            yield IPv4Address((int(address) >> after) & 0xFFFFFFFF)
    if address in _TEREDO:
        yield IPv4Address((int(address) >> 64) & 0xFFFFFFFF)  # the server
        yield IPv4Address(~int(address) & 0xFFFFFFFF)  # the client


@dataclass(frozen=True)
class AddressPolicy:
    """``hosts``: names whose private addresses are allowed. ``networks``: allowed addresses, whatever the name."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, allowed: Sequence[str]) -> AddressPolicy:
        """Read host names, addresses and networks. Raises ``ValueError`` for what is none of them."""
        hosts, networks = set(), []
        for entry in allowed:
            try:
                networks.append(ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                hosts.add(_host(entry))
        return cls(frozenset(hosts), tuple(networks))

    def refusal(self, host: str, address: str) -> str | None:
        """Why nothing is sent to this address, to which ``host`` was resolved; ``None`` if it is allowed."""
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return f"{address} is not an address"
        kind = kind_of(found)
        if kind is None or any(found in network for network in self.networks):
            return None
        plain = kind.partition(" (")[0]
        if plain not in NEVER_BY_NAME and normalised(host) in self.hosts:
            return None
        return f"{address} is a {kind} address"

    def allowed(self, host: str, addresses: Sequence[str]) -> list[str]:
        """The addresses to which requests may be sent. Raises ``OutgoingRefused`` if there is none."""
        reasons = {address: self.refusal(host, address) for address in addresses}
        fine = [address for address, reason in reasons.items() if reason is None]
        if not fine:
            said = "; ".join(sorted({reason for reason in reasons.values() if reason})) or "it has no address"
            raise OutgoingRefused(
                f"nothing is sent to {host}: {said}. If this receiver is yours, add its name, address or network to"
                " WILDTAG_OUTGOING_ALLOW"
            )
        return fine


def normalised(host: str) -> str:
    """A host name as it is compared: lower case, without brackets and final dot, in ASCII."""
    host = host.strip().strip("[]").rstrip(".").lower()
    try:
        return host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError:
        return host


def _host(entry: str) -> str:
    host = normalised(entry)
    labels = host.split(".")
    if not host or any(not label or not label.replace("-", "").replace("_", "").isalnum() for label in labels):
        raise ValueError(f"{entry!r} is neither a host name nor an address nor a network such as 10.0.0.0/8")
    if labels[-1].isdecimal() or labels[-1].startswith("0x"):
        raise ValueError(f"{entry!r} is not an address: write all four numbers of an IPv4 address")
    return host

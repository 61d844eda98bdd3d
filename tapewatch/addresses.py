"""Addresses that servers of ours listen on."""

import ipaddress


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"

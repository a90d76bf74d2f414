"""Names of elements that are single bytes: <0x00> to <0xFF>."""

from __future__ import annotations


def byte_element(value: int) -> str:
    """The element of a vocabulary of bytes that stands for the byte `value`."""
    return f"<0x{value:02X}>"


def byte_of(element: str) -> int:
    """The byte that an element stands for; of padding, a byte that no UTF-8 has."""
    return int(element[3:5], 16) if element else 0xFF

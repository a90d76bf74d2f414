"""Names of elements that are single bytes: <0x00> to <0xFF>."""

from __future__ import annotations


def byte_element(value: int) -> str:
    """Return the element that stands for a byte, 0 to 255.

    >>> byte_element(10)
    '<0x0A>'
    """
    return f"<0x{value:02X}>"


def byte_of(element: str) -> int:
    """Return the byte that an element stands for.

    Padding, an empty element, gives 0xFF, which no UTF-8 has.

    >>> byte_of("<0x0A>"), byte_of("")
    (10, 255)
    """
    return int(element[3:5], 16) if element else 0xFF

"""The text in bytes: what character set they are in, and the errors for a wrong one."""

from __future__ import annotations

import codecs
import contextlib

from lstmgen.errors import option
from lstmgen.escaping import brief


def check_charset(charset: str) -> None:
    """Raise `ValueError` for a character set that Python does not know.

    >>> check_charset("latin-1")
    """
    try:
        b"\n".decode(charset, "replace")
    except (LookupError, ValueError):  # ValueError: the name has U+0000
        raise ValueError(f"{option('charset')}: there is no character set {brief(charset)}") from None


def decoded(name: str, data: bytes, charset: str = "utf-8", *, told: bool = False, marked: bool = False) -> str:
    r"""Return the text in the bytes of a file.

    name: the name of the file, for errors.
    charset: the name of a character set that Python knows.
    told: whether the caller has the option `charset`, which an error then names.
    marked: whether a byte order mark at the beginning stays in the text.

    Raises `ValueError` for bytes that are not in the character set. It names the likeliest one.

    >>> decoded("a.txt", b"\xef\xbb\xbftext")
    'text'
    """
    check_charset(charset)
    try:
        text = data.decode(charset)
    except UnicodeError as error:
        if kind := next((kind for start, kind in _NO_TEXT.items() if data.startswith(start)), ""):
            raise ValueError(f"{name}: no text, but {kind}: save what is in it as text, in UTF-8") from None
        likely = likely_charset(data)
        hint = "; save it as UTF-8" + (f": it may be {likely}" if likely else "")
        if told:
            hint = f"; give its character set, such as {option('charset', likely or 'latin-1')}"
        raise ValueError(f"{name}: not {charset.upper()}: {error}{hint if charset == 'utf-8' else ''}") from None
    return text if marked else text.removeprefix("\ufeff")


_NO_TEXT = {  # by the first bytes of a file
    b"PK\x03\x04": "a zip, as .docx, .xlsx and .odt are",
    b"\xd0\xcf\x11\xe0": "a file of an old Office, as .doc and .xls are",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
_WINDOWS = frozenset(range(0x80, 0xA0)) - {0x81, 0x8D, 0x8F, 0x90, 0x9D}  # quotes, dashes and the like in cp1252
_HEAD = 2**16  # bytes that tell the character set


def likely_charset(data: bytes) -> str:
    """Return the likeliest character set of a text that is not UTF-8, or "" if none is.

    >>> likely_charset("a\u201cb".encode("cp1252")), likely_charset("ab".encode("utf-16"))
    ('cp1252', 'utf-16')
    """
    head = data[:_HEAD]
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    for first, charset in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) > 2 and head[first::2].count(0) > len(head) // 5 > 5 * head[1 - first :: 2].count(0):
            return charset
    controls = {byte for byte in head if 0x80 <= byte < 0xA0}  # in Latin-1
    if not controls:
        return "" if 0 in head else "latin-1"
    return "cp1252" if controls <= _WINDOWS and 0 not in head else ""


def misread(data: bytes, text: str, charset: str) -> str:
    r"""Return why a text is most likely in another character set, or "".

    data: the bytes that `text` was made of with `charset`.

    >>> misread(b"\x93a\x94", "\x93a\x94", "latin-1")
    "it holds controls, which are quotes and dashes in cp1252: charset='cp1252'"
    >>> misread("\xfc".encode(), "\xc3\xbc", "latin-1")
    "it is UTF-8 as well, and not ASCII: charset='utf-8'"
    """
    if len(data) != len(text) or data.isascii() or codecs.lookup(charset).name == "ascii":
        return ""  # a byte is a character in each set of this kind
    with contextlib.suppress(UnicodeDecodeError):
        data.decode()
        return f"it is UTF-8 as well, and not ASCII: {option('charset', 'utf-8')}"
    if codecs.lookup(charset).name != "iso8859-1" or not any("\x80" <= c < "\xa0" for c in set(text) - {"\x85"}):
        return ""
    return f"it holds controls, which are quotes and dashes in cp1252: {option('charset', 'cp1252')}"

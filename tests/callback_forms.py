"""Writes one callback in every form in which a provider, or its customer's setting, may send it."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from quopri import encodestring
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import quote, urlencode

Pairs: TypeAlias = Sequence[tuple[str, str]]

BOUNDARY: Final = "----------------------------5d2fa6b8c1e0"
UTF_8_MARK: Final = b"\xef\xbb\xbf"
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
_MULTIPART: Final = f"multipart/form-data; boundary={BOUNDARY}"


class WrittenCallback(NamedTuple):
    """A callback as it leaves its sender. A `content_type` of None is no header at all."""

    body: bytes = b""
    content_type: str | None = _FORM
    query: Pairs = ()


def write_part(name: str, value: str | bytes, *, headers: Sequence[str] = (), disposition: str = "") -> bytes:
    """Write one part of a multipart form, with the boundary before it and without one after it."""
    content = value if isinstance(value, bytes) else value.encode()
    head = [f"--{BOUNDARY}", disposition or f'Content-Disposition: form-data; name="{name}"', *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + content + b"\r\n"


def write_multipart(pairs: Pairs, *, extra: bytes = b"", end: str = f"--{BOUNDARY}--\r\n") -> bytes:
    """Write the pairs as parts, with further parts before them."""
    return extra + b"".join(write_part(*pair) for pair in pairs) + end.encode()


def _respelled(pairs: Pairs, spell: Callable[[str], str]) -> Pairs:
    return [(spell(name), value) for name, value in pairs]


def _form(pairs: Pairs, encoding: str = "utf-8") -> bytes:
    return urlencode(pairs, encoding=encoding).encode()


def _raw(pairs: Pairs, encoding: str) -> bytes:
    return "&".join(f"{name}={value}" for name, value in pairs).encode(encoding)


def _json(pairs: Pairs, *, ensure_ascii: bool = True) -> str:
    return json.dumps(dict(pairs), ensure_ascii=ensure_ascii)


def _half(pairs: Pairs) -> tuple[Pairs, Pairs]:
    return pairs[::2], pairs[1::2]


def _encoded_part(name: str, value: str, encoding: str) -> bytes:
    if encoding == "base64":
        return write_part(name, b64encode(value.encode()), headers=["Content-Transfer-Encoding: base64"])
    return write_part(name, encodestring(value.encode()), headers=["Content-Transfer-Encoding: quoted-printable"])


def _parts(pairs: Pairs, write: Callable[[str, str], bytes]) -> WrittenCallback:
    return WrittenCallback(
        b"".join(write(name, value) for name, value in pairs) + f"--{BOUNDARY}--\r\n".encode(), _MULTIPART
    )


def _multipart_as(content_type: str | None) -> Callable[[Pairs], WrittenCallback]:
    return lambda pairs: WrittenCallback(write_multipart(pairs), content_type)


FORMS: Final[Mapping[str, Callable[[Pairs], WrittenCallback]]] = {
    # Queries
    "query": lambda pairs: WrittenCallback(content_type=None, query=pairs),
    "query with names in upper case": lambda pairs: WrittenCallback(query=_respelled(pairs, str.upper)),
    "query written with &amp;": lambda pairs: WrittenCallback(
        query=[pairs[0], *_respelled(pairs[1:], "amp;{}".format)]
    ),
    "query and form, half each": lambda pairs: WrittenCallback(_form(_half(pairs)[1]), query=_half(pairs)[0]),
    "query and JSON, half each": lambda pairs: WrittenCallback(_json(_half(pairs)[1]).encode(), query=_half(pairs)[0]),
    "query and form, all in both": lambda pairs: WrittenCallback(_form(pairs), query=pairs),
    "query beside an unreadable body": lambda pairs: WrittenCallback(b'{"a": ', query=pairs),
    "query beside a body that is too large": lambda pairs: WrittenCallback(b"x" * 70_000, query=pairs),
    # Forms
    "form": lambda pairs: WrittenCallback(_form(pairs)),
    "form in Shift_JIS": lambda pairs: WrittenCallback(_form(pairs, "cp932")),
    "form in Shift_JIS, said to be UTF-8": lambda pairs: WrittenCallback(
        _form(pairs, "cp932"), f"{_FORM}; charset=UTF-8"
    ),
    "form in EUC-JP, as its header says": lambda pairs: WrittenCallback(
        _form(pairs, "euc-jp"), f"{_FORM}; charset=EUC-JP"
    ),
    "form in ISO-2022-JP": lambda pairs: WrittenCallback(_form(pairs, "iso-2022-jp")),
    "form with raw bytes in UTF-8": lambda pairs: WrittenCallback(_raw(pairs, "utf-8")),
    "form with raw bytes in Shift_JIS": lambda pairs: WrittenCallback(_raw(pairs, "cp932")),
    "form with each pair in another encoding": lambda pairs: WrittenCallback(
        b"&".join(_form([pair], "cp932" if index % 2 else "utf-8") for index, pair in enumerate(pairs))
    ),
    "form with every character escaped": lambda pairs: WrittenCallback(
        "&".join(
            "=".join("".join(f"%{byte:02x}" for byte in text.encode()) for text in pair) for pair in pairs
        ).encode()
    ),
    "form with names in mixed case": lambda pairs: WrittenCallback(_form(_respelled(pairs, str.title))),
    "form with blanks around names": lambda pairs: WrittenCallback(_form(_respelled(pairs, " {}\t".format))),
    "form with PHP's lists": lambda pairs: WrittenCallback(_form(_respelled(pairs, "{}[]".format))),
    "form with PHP's numbered lists": lambda pairs: WrittenCallback(_form(_respelled(pairs, "{}[0]".format))),
    "form with values padded": lambda pairs: WrittenCallback(_form([(name, f" {value}\r\n") for name, value in pairs])),
    "form with everything twice": lambda pairs: WrittenCallback(_form([*pairs, *pairs])),
    "form with everything empty first": lambda pairs: WrittenCallback(
        _form([*((name, "") for name, _ in pairs), *pairs])
    ),
    "form with everything empty after": lambda pairs: WrittenCallback(
        _form([*pairs, *((name, "") for name, _ in pairs)])
    ),
    "form after a question mark": lambda pairs: WrittenCallback(b"?" + _form(pairs)),
    "form between ampersands": lambda pairs: WrittenCallback(b"&&" + _form(pairs) + b"&"),
    "form before a line end": lambda pairs: WrittenCallback(_form(pairs) + b"\r\n"),
    "form after a line end": lambda pairs: WrittenCallback(b"\r\n" + _form(pairs)),
    "form with semicolons": lambda pairs: WrittenCallback(_form(pairs).replace(b"&", b";")),
    "form with &amp;": lambda pairs: WrittenCallback(_form(pairs).replace(b"&", b"&amp;")),
    "form in lines": lambda pairs: WrittenCallback(
        "".join(f"{name}={value}\r\n" for name, value in pairs).encode(), "text/plain"
    ),
    "form after a byte order mark": lambda pairs: WrittenCallback(UTF_8_MARK + _form(pairs)),
    "form after two byte order marks": lambda pairs: WrittenCallback(b"\r\n" + 2 * UTF_8_MARK + _form(pairs)),
    "form with a byte order mark before each value": lambda pairs: WrittenCallback(
        _form([(name, f"\ufeff {value}") for name, value in pairs])
    ),
    "form after an escaped byte order mark": lambda pairs: WrittenCallback(b"%EF%BB%BF" + _form(pairs)),
    "form in UTF-16 with a mark": lambda pairs: WrittenCallback(_form(pairs).decode().encode("utf-16")),
    "form in big-endian UTF-16 with a mark": lambda pairs: WrittenCallback(
        b"\xfe\xff" + _form(pairs).decode().encode("utf-16-be")
    ),
    "form in UTF-16 without a mark": lambda pairs: WrittenCallback(_form(pairs).decode().encode("utf-16-le")),
    "form in big-endian UTF-16 without a mark": lambda pairs: WrittenCallback(
        _form(pairs).decode().encode("utf-16-be")
    ),
    "form in UTF-32 with a mark": lambda pairs: WrittenCallback(_form(pairs).decode().encode("utf-32")),
    "form without a content type": lambda pairs: WrittenCallback(_form(pairs), None),
    "form as JSON": lambda pairs: WrittenCallback(_form(pairs), _JSON),
    "form as multipart": lambda pairs: WrittenCallback(_form(pairs), _MULTIPART),
    "form as multipart without a boundary": lambda pairs: WrittenCallback(_form(pairs), "multipart/form-data"),
    "form with an unknown charset": lambda pairs: WrittenCallback(_form(pairs), f"{_FORM}; charset=klingon"),
    "form with a broken content type": lambda pairs: WrittenCallback(_form(pairs), ';=;charset="'),
    "form in gzip": lambda pairs: WrittenCallback(gzip.compress(_form(pairs))),
    # JSON
    "JSON": lambda pairs: WrittenCallback(_json(pairs).encode(), _JSON),
    "JSON in UTF-8 without escapes": lambda pairs: WrittenCallback(_json(pairs, ensure_ascii=False).encode(), _JSON),
    "JSON in Shift_JIS": lambda pairs: WrittenCallback(_json(pairs, ensure_ascii=False).encode("cp932"), _JSON),
    "JSON after a byte order mark": lambda pairs: WrittenCallback(UTF_8_MARK + _json(pairs).encode(), _JSON),
    "JSON after two byte order marks and a line end": lambda pairs: WrittenCallback(
        2 * UTF_8_MARK + b"\n" + _json(pairs).encode(), _JSON
    ),
    "JSON in UTF-16": lambda pairs: WrittenCallback(_json(pairs, ensure_ascii=False).encode("utf-16"), _JSON),
    "JSON in UTF-16, as its header says": lambda pairs: WrittenCallback(
        _json(pairs, ensure_ascii=False).encode("utf-16-le"), f"{_JSON}; charset=utf-16le"
    ),
    "JSON between blanks": lambda pairs: WrittenCallback(f"\r\n\t {_json(pairs)}\n\n".encode(), _JSON),
    "JSON before a NUL": lambda pairs: WrittenCallback(_json(pairs).encode() + b"\0", _JSON),
    "JSON as a form": lambda pairs: WrittenCallback(_json(pairs).encode()),
    "JSON without a content type": lambda pairs: WrittenCallback(_json(pairs).encode(), None),
    "JSON as multipart": lambda pairs: WrittenCallback(_json(pairs).encode(), _MULTIPART),
    "JSON with lists of one": lambda pairs: WrittenCallback(
        json.dumps({name: [value] for name, value in pairs}).encode(), _JSON
    ),
    "JSON object in a list": lambda pairs: WrittenCallback(f"[{_json(pairs)}]".encode(), _JSON),
    "JSON objects of one name each": lambda pairs: WrittenCallback(
        json.dumps([{name: value} for name, value in pairs]).encode(), _JSON
    ),
    "JSON with everything twice": lambda pairs: WrittenCallback(
        f"{_json(pairs)[:-1]}, {_json(pairs)[1:]}".encode(), _JSON
    ),
    "JSON with everything null first": lambda pairs: WrittenCallback(
        f"{json.dumps({name: None for name, _ in pairs})[:-1]}, {_json(pairs)[1:]}".encode(), _JSON
    ),
    "JSON in gzip": lambda pairs: WrittenCallback(gzip.compress(_json(pairs).encode()), _JSON),
    # Multipart forms
    "multipart": lambda pairs: WrittenCallback(write_multipart(pairs), _MULTIPART),
    "multipart with a quoted boundary": _multipart_as(f'multipart/form-data; boundary="{BOUNDARY}"'),
    "multipart in other letters": _multipart_as(f"Multipart/Form-Data; charset=utf-8; Boundary={BOUNDARY}"),
    "multipart as mixed": _multipart_as(f"multipart/mixed; boundary={BOUNDARY}"),
    "multipart without a boundary": _multipart_as("multipart/form-data"),
    "multipart with a wrong boundary": _multipart_as("multipart/form-data; boundary=another"),
    "multipart as a form": _multipart_as(_FORM),
    "multipart as JSON": _multipart_as(_JSON),
    "multipart without a content type": _multipart_as(None),
    "multipart after a byte order mark": lambda pairs: WrittenCallback(UTF_8_MARK + write_multipart(pairs), _MULTIPART),
    "multipart after two byte order marks": lambda pairs: WrittenCallback(
        2 * UTF_8_MARK + write_multipart(pairs), None
    ),
    "multipart after a preamble": lambda pairs: WrittenCallback(b"preamble\r\n" + write_multipart(pairs), _MULTIPART),
    "multipart before an epilogue": lambda pairs: WrittenCallback(write_multipart(pairs) + b"epilogue", _MULTIPART),
    "multipart with LF": lambda pairs: WrittenCallback(write_multipart(pairs).replace(b"\r\n", b"\n"), _MULTIPART),
    "multipart without the last hyphens": lambda pairs: WrittenCallback(
        write_multipart(pairs, end=f"--{BOUNDARY}\r\n"), _MULTIPART
    ),
    "multipart without the last line end": lambda pairs: WrittenCallback(
        write_multipart(pairs, end=f"--{BOUNDARY}--"), _MULTIPART
    ),
    "multipart with blanks after boundaries": lambda pairs: WrittenCallback(
        write_multipart(pairs).replace(f"{BOUNDARY}\r\n".encode(), f"{BOUNDARY} \t\r\n".encode()), _MULTIPART
    ),
    "multipart with names without quotes": lambda pairs: _parts(
        pairs, lambda name, value: write_part(name, value, disposition=f"Content-Disposition: form-data; name={name}")
    ),
    "multipart with names by RFC 5987": lambda pairs: _parts(
        pairs,
        lambda name, value: write_part(
            name, value, disposition=f"Content-Disposition: form-data; name*=UTF-8''{quote(name)}"
        ),
    ),
    "multipart with headers in lower case": lambda pairs: _parts(
        pairs, lambda name, value: write_part(name, value, disposition=f'content-disposition:form-data;name="{name}"')
    ),
    "multipart with another header first": lambda pairs: _parts(
        pairs,
        lambda name, value: write_part(
            name,
            value,
            disposition=f'Content-Length: {len(value.encode())}\r\nContent-Disposition: form-data; name="{name}"',
        ),
    ),
    "multipart with parts in UTF-8": lambda pairs: _parts(
        pairs, lambda name, value: write_part(name, value, headers=["Content-Type: text/plain; charset=UTF-8"])
    ),
    "multipart with parts in Shift_JIS": lambda pairs: _parts(
        pairs,
        lambda name, value: write_part(
            name, value.encode("cp932"), headers=["Content-Type: text/plain; charset=Shift_JIS"]
        ),
    ),
    "multipart with parts in EUC-JP, as they say": lambda pairs: _parts(
        pairs,
        lambda name, value: write_part(
            name, value.encode("euc-jp"), headers=['Content-Type: text/plain; charset="EUC-JP"']
        ),
    ),
    "multipart in unlabelled Shift_JIS": lambda pairs: _parts(
        pairs, lambda name, value: write_part(name, value.encode("cp932"))
    ),
    "multipart with parts in base64": lambda pairs: _parts(
        pairs, lambda name, value: _encoded_part(name, value, "base64")
    ),
    "multipart with parts in quoted-printable": lambda pairs: _parts(
        pairs, lambda name, value: _encoded_part(name, value, "quoted-printable")
    ),
    "multipart with parts as files": lambda pairs: _parts(
        pairs,
        lambda name, value: write_part(
            name, value, disposition=f'Content-Disposition: form-data; name="{name}"; filename="{name}.txt"'
        ),
    ),
    "multipart in gzip": lambda pairs: WrittenCallback(gzip.compress(write_multipart(pairs)), _MULTIPART),
}
"""Every form carries exactly the pairs it is given, which are texts that Shift_JIS and EUC-JP have."""


_FLOOD: Final = "&".join(f"p{number}={number}" for number in range(2_000)).encode()
_NOISE_PARTS: Final[Mapping[str, bytes]] = {
    "a file": write_part(
        "file",
        bytes(range(256)),
        disposition='Content-Disposition: form-data; name="file"; filename="\u9332\u97f3.mp3"',
        headers=["Content-Type: audio/mpeg", "Content-Transfer-Encoding: binary"],
    ),
    "a file with a name in Shift_JIS": write_part("f", b"\xff").replace(b'"f"', b'"f"; filename="\x98^\x89\xb9.mp3"'),
    "a part without a name": write_part("", "x", disposition="Content-Disposition: form-data"),
    "a part without a disposition": write_part("", "x", disposition="Content-Type: text/plain"),
    "a part without headers": f"--{BOUNDARY}\r\n\r\nx\r\n".encode(),
    "a part with a broken header": write_part("", "x", disposition="no header at all"),
    "a part with many headers": write_part("x", "x", headers=[f"X-{number}: {number}" for number in range(50)]),
    "a part with a false length": write_part("x", "x", headers=["Content-Length: 5"]),
    "a part in an unknown charset": write_part("x", b"\xff", headers=["Content-Type: text/plain; charset=klingon"]),
    "a part in broken base64": write_part("x", "=a", headers=["Content-Transfer-Encoding: base64"]),
    "a part in an unknown encoding": write_part("x", "x", headers=["Content-Transfer-Encoding: y"]),
    "a part of parts": write_part("x", "--b\r\n\r\nx\r\n--b--", headers=["Content-Type: multipart/mixed; boundary=b"]),
    "a part of parts without an end": write_part("x", "--b\r\n", headers=["Content-Type: multipart/mixed; boundary=b"]),
    "a message": write_part("x", "Subject: x\r\n\r\nx", headers=["Content-Type: message/rfc822"]),
    "a part cut in the middle of a character": write_part("smstext", b"\x94F\x8f"),
    "a part with NUL": write_part("x", b"\0"),
    "two different parts of one name": write_part("x", "1") + write_part("x", "2"),
    "200 parts": write_part("x", "1") * 200,
}
_NOISE_PAIRS: Final[Mapping[str, bytes]] = {
    "two values": b"tag=a&tag=b",
    "two values in two cases": b"tag=a&TAG=b",
    "half a character of Shift_JIS": b"smstext=%94F%8F",
    "half a raw character of Shift_JIS": b"smstext=\x94F\x8f",
    "half a character of UTF-8": b"smstext=%E3%81",
    "bytes in no encoding": b"x=%FF%80%00&%FF=1&\xff\xfe=2",
    "broken escapes": b"smstext=100%&y=%zz&z=%&%=1",
    "NUL": b"x=a%00b&y=\x00&%00=1",
    "control characters": b"x=%1b[0m%0d%0a&\x07=\x1b",
    "an emoji": b"smstext=%F0%9F%98%80&y=" + "😀".encode(),
    "half an emoji": b"smstext=%F0%9F%98&y=%ED%A0%BD",
    "no name": b"=x&==&&=",
    "no value": b"x&y=&z",
    "JSON": b'data={"a": 1, "b": true}',
    "a nested form": b"x%5By%5D%5Bz%5D=1&x[y]=2",
    "a semicolon and a line end": b"x=a;b=c&y=d%0Ae=f",
    "a name of 5,000 characters": b"x" * 5_000 + b"=1",
    "a value of 30,000 characters": b"x=" + b"y" * 30_000,
    "a name of blanks": b"+" * 5_000 + b"x" + b"+" * 5_000 + b"=1",
    "a name of brackets": b"[" * 5_000 + b"]=1",
    "2,000 pairs": _FLOOD,
}
_NOISE_MEMBERS: Final[Mapping[str, bytes]] = {
    "true and false": b'"test": false, "x": true',
    "null": b'"x": null',
    "an object": b'"x": {"smsid": "other", "id": "other", "status": "0", "callId": "other"}',
    "an empty object and an empty list": b'"x": {}, "y": []',
    "a list": b'"x": [1, "a", null, true, {"a": 1}, [2]]',
    "two values": b'"x": 1, "x": 2, "X": 3',
    "a deep list": b'"x": ' + b"[" * 100 + b"]" * 100,
    "numbers of all kinds": b'"a": -0.0, "b": 1e999, "c": 12345678901234567890123, "d": NaN, "e": -Infinity',
    "a number of 5,000 digits": b'"x": ' + b"9" * 5_000,
    "NUL and control characters": b'"x": "\\u0000\\u001b", "y": "\x00\x07\r\n\t"',
    "half a surrogate pair": b'"x": "\\ud83d", "\\udc00": "y", "z": "\\udc80"',
    "half a character of Shift_JIS": b'"smstext": "\x94F\x8f"',
    "half a character of UTF-8": b'"smstext": "\xe3\x81"',
    "a character of Shift_JIS": b'"smstext": "\x94F\x8f\xd8"',
    "an empty name": b'"": "x"',
    "a long text": b'"x": "' + b"y" * 30_000 + b'"',
}


def _noisy_multipart(part: bytes) -> Callable[[Pairs], Iterator[WrittenCallback]]:
    def write(pairs: Pairs) -> Iterator[WrittenCallback]:
        yield WrittenCallback(write_multipart(pairs, extra=part), _MULTIPART)
        yield WrittenCallback(write_multipart(pairs, end="") + part + f"--{BOUNDARY}--\r\n".encode(), _MULTIPART)

    return write


def _noisy_form(noise: bytes) -> Callable[[Pairs], Iterator[WrittenCallback]]:
    def write(pairs: Pairs) -> Iterator[WrittenCallback]:
        yield WrittenCallback(_form(pairs) + b"&" + noise)
        yield WrittenCallback(noise + b"&" + _form(pairs))
        yield WrittenCallback(noise, query=pairs)

    return write


def _noisy_json(noise: bytes) -> Callable[[Pairs], Iterator[WrittenCallback]]:
    def write(pairs: Pairs) -> Iterator[WrittenCallback]:
        members = _json(pairs, ensure_ascii=False).encode()[1:-1]
        yield WrittenCallback(b"{" + members + b", " + noise + b"}", _JSON)
        yield WrittenCallback(b"{" + noise + b", " + members + b"}", _JSON)

    return write


NOISE: Final[Mapping[str, Callable[[Pairs], Iterator[WrittenCallback]]]] = {
    **{f"form with {name}": _noisy_form(noise) for name, noise in _NOISE_PAIRS.items()},
    **{f"JSON with {name}": _noisy_json(noise) for name, noise in _NOISE_MEMBERS.items()},
    **{f"multipart with {name}": _noisy_multipart(noise) for name, noise in _NOISE_PARTS.items()},
}
"""What decides nothing, before and after the pairs."""

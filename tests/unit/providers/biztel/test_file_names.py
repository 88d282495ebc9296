"""File names are found in every form of the header, and parsed by the naming rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.domain.errors import UnreadableFileNameError
from switchboard.domain.recording.facts import Channel, RecordingFileName, Side, is_recording_id
from switchboard.providers.biztel.file_names import MAX_FILE_NAME_LENGTH, find_file_name, find_side, parse_file_name
from tests.ids import describe_row
from tests.strategies import any_text

NAME = "20190718161058-2006-2002-1563433858.66-SRC_l.mp3"
JST = timezone(timedelta(hours=9))


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (f"attachment; filename={NAME}", NAME),
        (f'attachment; filename="{NAME}"', NAME),
        (f"attachment;filename = {NAME} ", NAME),
        (f"ATTACHMENT; FILENAME={NAME}", NAME),
        (f"inline; size=9; filename={NAME}; creation-date=x", NAME),
        ("attachment; filename=two words.mp3", "two words.mp3"),
        (r'attachment; filename="a\"b\\c.mp3"', "c.mp3"),
        (r'attachment; filename="a\"b;c=d.mp3"', 'a"b;c=d.mp3'),
        ("attachment; filename*=utf-8''%E9%8C%B2%E9%9F%B3.mp3", "録音.mp3"),
        ("attachment; filename*=UTF-8'ja'%E9%8C%B2%E9%9F%B3.mp3", "録音.mp3"),
        ("attachment; filename*=iso-8859-1''caf%E9.mp3", "café.mp3"),
        ("attachment; filename=a.mp3; filename*=utf-8''b.mp3", "b.mp3"),
        ("attachment; filename*=utf-8''b.mp3; filename=a.mp3", "b.mp3"),
        ("attachment; filename=a.mp3; filename=b.mp3", "a.mp3"),
        ("attachment; filename=a.mp3; filename*=utf-8''%zz", "a.mp3"),
        ("attachment; filename=a.mp3; filename*=utf-8''%ff", "a.mp3"),
        ("attachment; filename=a.mp3; filename*=klingon''b.mp3", "a.mp3"),
        ("attachment; filename=a.mp3; filename*=b.mp3", "a.mp3"),
        ("attachment; filename=a.mp3; filename*=utf-8''", "a.mp3"),
        ("attachment; filename=" + "録音.mp3".encode().decode("latin-1"), "録音.mp3"),
        ("attachment; filename=café.mp3", "café.mp3"),
        ('attachment; filename="unended.mp3', "unended.mp3"),
        ('attachment; filename="../../etc/a.mp3"', "a.mp3"),
        (r"attachment; filename=C:\dir\a.mp3", "a.mp3"),
        ("attachment; filename*=utf-8''..%2F..%2Fa.mp3", "a.mp3"),
        ("attachment; filename*=utf-8''a%0D%0A%00b%E2%80%AE.mp3", "ab.mp3"),
        ("attachment; filename*=utf-8''" + "a" * 300, "a" * MAX_FILE_NAME_LENGTH),
        ("", "default"),
        ("attachment", "default"),
        ("attachment; filename=", "default"),
        ('attachment; filename=""', "default"),
        ("attachment; filename=..", "default"),
        ("attachment; filename=dir/", "default"),
        ("attachment; xfilename=a.mp3", "default"),
        ('attachment; other="; filename=a.mp3"', "default"),
        ("filename=a.mp3", "a.mp3"),
        (f'filename="{NAME}"', NAME),
        (f" filename = {NAME}", NAME),
        (f"FileName*=UTF-8''{NAME}", NAME),
        (f"filename*=utf-8'ja'{quote('録音.mp3')}; filename=a.mp3", "録音.mp3"),
        (f"; filename={NAME}", NAME),
        (f";;filename={NAME};", NAME),
        (f"attachment filename={NAME}", NAME),
        (f"attachment; name={NAME}", NAME),
        (f'form-data; name="file"; filename="{NAME}"', NAME),
        (f"attachment; {NAME}", NAME),
        (f'"{NAME}"', NAME),
        (NAME, NAME),
        (f"attachment; file_name={NAME}", NAME),
        (f"attachment; filename*={NAME}", NAME),
        (f"attachment; filename*=klingon''{NAME}; filename=", "default"),
        (f"attachment; filename='{NAME}'", NAME),
        ("attachment; filename='", "'"),
        (f"attachment; filename*='utf-8''{NAME}'", NAME),
        (f"attachment; filename*=\"UTF-8''{NAME}\"", NAME),
        ("attachment; filename*=UTF-8''two words (1).mp3", "two words (1).mp3"),
        (f"attachment; filename*=Shift_JIS''{quote('録音.mp3', encoding='cp932')}", "録音.mp3"),
        (f'attachment;\r\n filename="{NAME}"', NAME),
        (f"attachment; filename=\n\t{NAME}", NAME),
        ('attachment; filename="=?UTF-8?B?6Yyy6Z+zLm1wMw==?="', "録音.mp3"),
        ("attachment; filename==?ISO-2022-JP?B?GyRCTz8yOxsoQi5tcDM=?=", "録音.mp3"),
        (f"attachment; filename==?us-ascii?Q?{NAME.replace('_', '=5F')}?=", NAME),
        ("attachment; filename==?klingon?B?6Yyy?=", "=?klingon?B?6Yyy?="),
        ("attachment; filename==?utf-8?B?6?=", "=?utf-8?B?6?="),
        ("attachment; filename=" + "録音表.mp3".encode("cp932").decode("latin-1"), "録音表.mp3"),
        ('attachment; filename="' + "表.mp3".encode("cp932").decode("latin-1") + '"', "表.mp3"),
        ('filename="' + "録音.mp3".encode().decode("latin-1") + '"', "録音.mp3"),
        (rf'attachment; filename="C:\dir\{NAME}"', NAME),
        (rf'attachment; filename="\\server\share\{NAME}"', NAME),
        (f'attachment; filename="/var/spool/{NAME}"', NAME),
        ('attachment; filename="a;b.mp3"; size=1', "a;b.mp3"),
        (f'attachment; note="filename=b.mp3"; filename={NAME}', NAME),
        ("filename", "default"),
        ("filename=", "default"),
        ("attachment; name=", "default"),
        ("attachment; filename*=", "default"),
        ('attachment; note="a filename=b.mp3"', "default"),
    ],
    ids=describe_row,
)
def test_a_file_name_is_found_in_every_form_of_the_header(header: str, name: str) -> None:
    assert find_file_name(header, default="default") == name


@pytest.mark.parametrize("side", ["SRC", "DST"])
@pytest.mark.parametrize(
    "header", ['filename="{}"', "filename={}", "filename='{}'", "attachment; {}", "name={}", "FILENAME*=utf-8''{}"]
)
def test_a_header_without_its_type_gives_the_side(header: str, side: str) -> None:
    name = find_file_name(header.format(NAME.replace("SRC", side)), default="default")
    assert find_side(name) == side


def quote_name(name: str) -> str:
    escaped = ("\\" + character if character in '"\\' else character for character in name)
    return '"' + "".join(escaped) + '"'


# Names that are safe already, so that they are found unchanged.
ASCII_NAMES = st.from_regex(r"[!-~]([ -~]{0,60}[!-~])?", fullmatch=True).filter(
    lambda name: not set(name) & set("/\\") and name not in {".", ".."}
)
ANY_NAMES = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="/\\"), min_size=1, max_size=60
).filter(lambda name: name not in {".", ".."})
OTHERS = st.sampled_from(["", "; size=1", '; note="x; filename=y.mp3"', "; filename-x=z"])


@given(name=ASCII_NAMES, before=OTHERS, after=OTHERS)
def test_any_quoted_name_is_found_unchanged(name: str, before: str, after: str) -> None:
    assert find_file_name(f"attachment{before}; filename={quote_name(name)}{after}", default="") == name


@given(name=ANY_NAMES, plain=ASCII_NAMES, before=OTHERS)
def test_any_extended_name_is_found_before_a_plain_one(name: str, plain: str, before: str) -> None:
    extended = f"filename*=utf-8'ja'{quote(name, safe='')}"
    for header in (f"{extended}; filename={quote_name(plain)}", f"filename={quote_name(plain)}; {extended}"):
        assert find_file_name(f"attachment{before}; {header}", default="") == name


@given(header=any_text(max_size=120))
def test_any_header_gives_a_safe_name(header: str) -> None:
    for text in (
        header,
        f"attachment; filename={header}",
        f"attachment; filename*=utf-8''{quote(header, errors='ignore')}",
    ):
        name = find_file_name(text, default="default")
        assert 0 < len(name) <= MAX_FILE_NAME_LENGTH
        assert not set(name) & set("/\\\r\n\t\x00")
        assert name not in {".", ".."}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "20190718161058-2006-2002-1563433858.66-SRC_l.mp3",
            RecordingFileName(
                started_at=datetime(2019, 7, 18, 7, 10, 58, tzinfo=UTC),
                from_number="2006",
                to_number="2002",
                recording_id="1563433858.66",
                side=Side.SRC,
                channel=Channel.LEFT,
            ),
        ),
        (
            "20190718145000-3800-070XXXXXXXX-1563428995.29-DST_r.mp3",
            RecordingFileName(
                started_at=datetime(2019, 7, 18, 5, 50, tzinfo=UTC),
                from_number="3800",
                to_number="070XXXXXXXX",
                recording_id="1563428995.29",
                side=Side.DST,
                channel=Channel.RIGHT,
            ),
        ),
    ],
    ids=["source", "destination"],
)
def test_the_documents_examples_are_parsed(name: str, expected: RecordingFileName) -> None:
    assert parse_file_name(name) == expected
    assert parse_file_name(f"bulk/2019/07/{name}") == expected


@pytest.mark.parametrize(
    "number", ["", "anonymous", "070****0001", "sip:a@b.invalid", "+819000000001", "非通知", "a b"]
)
def test_a_number_may_be_anything_without_a_hyphen(number: str) -> None:
    file_name = parse_file_name(f"20190718161058-{number}-2002-21061600000268000060-SRC_l.mp3")
    assert (file_name.from_number, file_name.to_number) == (number, "2002")
    file_name = parse_file_name(f"20190718161058-2006-{number}-21061600000268000060-DST_R.MP3")
    assert (file_name.from_number, file_name.to_number, file_name.channel) == ("2006", number, Channel.RIGHT)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "form"),
        ("a.mp3", "form"),
        (NAME + ".part", "form"),
        (NAME.replace(".mp3", ".wav"), "form"),
        (NAME.replace("SRC", "MID"), "form"),
        (NAME.replace("_l", "_m"), "form"),
        (NAME.replace("20190718161058", "2019071816105"), "form"),
        (NAME.replace("20190718161058", "２０１９0718161058"), "form"),
        (NAME.replace("2006-", ""), "form"),
        (NAME.replace("2006", "2" * 255), "form"),
        (NAME.replace("20190718161058", "20191318161058"), "time"),
        (NAME.replace("20190718161058", "20190718246058"), "time"),
        (NAME.replace("20190718161058", "00010101000000"), "time"),
        (NAME.replace("2006", "03-0000-0000"), "ambiguous"),
        (NAME.replace("1563433858.66", "1563433858-66"), "ambiguous"),
        (NAME.replace("1563433858.66", "1563433858..66"), "id"),
        (NAME.replace("1563433858.66", ""), "id"),
        (NAME.replace("1563433858.66", "%2e"), "id"),
        (NAME.replace("2006", "20\x0006"), "unprintable"),
        (NAME.replace("2006", "20\n06"), "unprintable"),
    ],
    ids=describe_row,
)
def test_a_name_outside_the_rule_has_a_reason_and_is_not_quoted(name: str, reason: str) -> None:
    with pytest.raises(UnreadableFileNameError) as unreadable:
        parse_file_name(name)
    assert unreadable.value.reason == reason
    assert "2006" not in str(unreadable.value)


NUMBERS = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="-/"), max_size=20)
IDS = st.from_regex(r"[0-9A-Za-z][0-9A-Za-z._]{0,63}", fullmatch=True).filter(is_recording_id)


@given(
    at=st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2999, 1, 1)),  # noqa: DTZ001 - Japan's wall clock
    numbers=st.tuples(NUMBERS, NUMBERS),
    recording_id=IDS,
    side=st.sampled_from(["SRC", "DST"]),
    letter=st.sampled_from("lr"),
)
def test_any_name_by_the_rule_parses_back_to_its_parts(
    at: datetime, numbers: tuple[str, str], recording_id: str, side: str, letter: str
) -> None:
    stamp = "".join(f"{part:0{width}d}" for part, width in zip(at.timetuple()[:6], (4, 2, 2, 2, 2, 2), strict=True))
    file_name = parse_file_name(f"{stamp}-{numbers[0]}-{numbers[1]}-{recording_id}-{side}_{letter}.mp3")
    assert file_name.started_at == at.replace(microsecond=0, tzinfo=JST)
    assert (file_name.from_number, file_name.to_number, file_name.recording_id) == (*numbers, recording_id)
    assert (file_name.side, file_name.channel) == (side, {"l": "left", "r": "right"}[letter])


@given(name=any_text(max_size=90))
def test_any_name_is_parsed_or_has_a_reason(name: str) -> None:
    for text in (name, f"20190718161058-{name}-SRC_l.mp3"):
        try:
            assert is_recording_id(parse_file_name(text).recording_id)
        except UnreadableFileNameError as error:
            assert error.reason in {"form", "time", "ambiguous", "id", "unprintable"}


@pytest.mark.parametrize("extension", ["mp3", "mp2", "wav", "MP3"])
def test_the_side_is_known_in_whatever_format_a_recording_came(extension: str) -> None:
    assert find_side(NAME.removesuffix("mp3") + extension) is Side.SRC
    assert find_side("a." + extension) is None

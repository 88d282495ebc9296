"""Hold the literal table of redaction: how numbers, dates and addresses are spoken in Japanese, Chinese and English.

`tests/specs/redaction_*.csv` is the same table as a specification. Texts are lower case; kana are hiragana, except in
the parts of mail addresses. Each change of this table or of `redaction.py` that changes results gets a new version.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

RULES_VERSION: Final = "1"
"""The version that stored transcripts name."""


class RedactedKind(StrEnum):
    """The kinds of parts that are removed. A removed part becomes the kind in brackets, such as `[telephone]`."""

    TELEPHONE = "telephone"
    CARD = "card"
    CODE = "code"
    BIRTH_DATE = "birth_date"
    MAIL = "mail"


KANJI_DIGITS: Final[Mapping[str, str]] = MappingProxyType(
    dict(zip("〇零一二三四五六七八九幺洞拐两", "001234567891072", strict=True))
)
"""One character each, in Japanese and Chinese. 幺, 洞, 拐 and 两 are spoken in Chinese numbers."""

KANA_DIGITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("ぜろ", "れい", "れー", "まる"), "0"),
        **dict.fromkeys(("いち", "いっ"), "1"),
        **dict.fromkeys(("に",), "2"),
        **dict.fromkeys(("さん",), "3"),
        **dict.fromkeys(("よん", "よ", "し"), "4"),
        **dict.fromkeys(("ごお", "ご"), "5"),
        **dict.fromkeys(("ろく", "ろっ"), "6"),
        **dict.fromkeys(("なな", "しち", "ひち"), "7"),
        **dict.fromkeys(("はち", "はっ"), "8"),
        **dict.fromkeys(("きゅう", "きゅー", "くう", "く"), "9"),
    }
)
"""Any of them may be lengthened by ー. They count only in runs of at least MIN_KANA_DIGITS."""

ENGLISH_DIGITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("zero", "oh", "o"), "0"),
        "one": "1",
        "two": "2",
        "three": "3",
        "four": "4",
        "five": "5",
        "six": "6",
        "seven": "7",
        "eight": "8",
        "nine": "9",
    }
)
"""They count only in runs of at least MIN_ENGLISH_DIGITS."""

REPEATS: Final[Mapping[str, int]] = MappingProxyType({"double": 2, "triple": 3})
"""Words before an English digit or a figure that repeat it."""

MIN_KANA_DIGITS: Final = 4
MIN_ENGLISH_DIGITS: Final = 2

SEPARATOR_MARKS: Final = " \t-‐‑‒–—―−ー~〜、,.・/()+の"
SEPARATOR_WORDS: Final = ("はいふん", "ひく", "まいなす", "だっしゅ", "かっこ", "ぷらす", "杠", "横杠", "转", "之")
ENGLISH_SEPARATORS: Final = ("hyphen", "dash", "minus", "plus", "slash")
"""Marks and words between the digits of one part of a number."""

BREAK_MARKS: Final = "\n。!?"
FILLERS: Final = (
    *(
        "はい",
        "ええ",
        "えっと",
        "えーっと",
        "えーと",
        "えー",
        "え",
        "あのー",
        "あの",
        "あー",
        "あ",
        "うん",
        "うーんと",
        "うーん",
    ),
    *("そのー", "その", "そうですね", "そうです", "ですね", "です", "ね", "で", "それから", "まあ", "んー"),
    *("那个", "这个", "嗯", "呃", "啊", "然后", "是的", "是", "对", "好的", "好"),
)
ENGLISH_FILLERS: Final = (
    "um",
    "uh",
    "er",
    "erm",
    "ah",
    "yes",
    "yeah",
    "okay",
    "ok",
    "right",
    "and",
    "then",
    "so",
    "like",
)
"""Marks and words between two parts of a number. A pause is one, too."""

KEYWORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "telephone": (
            "電話番号|携帯番号|携帯の番号|お電話の番号|連絡先|ご連絡番号|ファックス番号|fax番号"
            "|电话号码|手机号|联系电话|联系方式"
            "|phone number|mobile number|cell number|telephone number|call me (?:back )?(?:at|on)"
        ),
        "card": "カード番号|カードの番号|クレジットカード|卡号|信用卡|card number|credit card",
        "security_code": "セキュリティ・?コード|セキュリティー?番号|安全码|cvv|cvc|security code",
        "code": (
            "認証|確認コード|確認番号|暗証|パスワード|パスコード|ワンタイム|暗号番号"
            "|验证码|校验码|密码|动态码"
            "|verification code|confirmation code|access code|one[- ]time|pass ?code|password|login code|the code"
            "|pin (?:code|number)|pin\\b|your code|my code"
        ),
        "birth_date": "生年月日|誕生日|生まれ|出生|生日|date of birth|birth ?date|birthday|born",
        "mail": "メール|邮箱|邮件|e-?mail|mail",
        "other": (
            "注文番号|オーダー番号|受付番号|お?問い?合わせ番号|伝票番号|予約番号|会員番号|契約番号|顧客番号|お客様番号|整理番号"
            "|製造番号|商品番号"
            "|品番|型番|管理番号|追跡番号|郵便番号|内線|部屋番号|社員番号|チケット番号|订单号码?|单号|会员号|工号|分机|邮编|房间号"
            "|order number|order|ticket number|invoice number|booking number|tracking number|extension"
            "|room number|zip code"
            "|postal code|product code|part number|case number|reference number|serial number|account number"
        ),
    }
)
"""Regular expressions of the words that tell the kind of a doubtful number. The last one before it decides."""

OTHER_DATES: Final = (
    "届け|配達|配送|発送|到着|予約|予定|期限|締|契約|購入|納品|送达|交货|到期|预约|deliver|arriv|expir|appointment|due"
)
"""Words shortly before or behind a date that is no birth date."""

UNITS: Final = (
    "の件|円|時|分|秒|日|月|年|人|名|個|件|台|本|枚|歳|才|度|回|桁|文字|頁|ページ|ぺーじ|万|千|百|億|点|番目|番線"
    "|階|号室|丁目|%|パーセント|ぱーせんと"
    "|キロ|きろ|グラム|ぐらむ|メートル|めーとる|センチ|せんち|つ|箱|冊|杯|倍|割|块|元|岁|个|位|天|小时|分钟"
    "| ?(?:yen|dollars?|percent|people|items?|pieces|hours?|minutes?|days?|years?|months?|o'clock"
    "|am|pm|kilo\\w*|points?)\\b"
)
"""Words directly behind a number that make it a quantity."""

ERAS: Final = "明治|大正|昭和|平成|令和"
"""Eras. 令和 and later ones are also those of deliveries and contracts, and need a keyword."""

MONTHS: Final = "january|february|march|april|may|june|july|august|september|october|november|december"
ORDINALS: Final = (
    "(?:twenty|thirty)[- ](?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)"
    "|first|second|third|fourth|fifth"
    "|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth"
    "|eighteenth|nineteenth|twentieth|thirtieth|[0-9]{1,2}(?:st|nd|rd|th)?"
)
YEARS: Final = (
    "(?:19|20)[0-9]{2}|(?:nineteen|twenty|two thousand)(?:(?:[- ]| and )(?:oh|hundred|ten|eleven|twelve"
    "|thirteen|fourteen"
    "|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|one|two|three"
    "|four|five|six|seven|eight|nine)){0,2}"
)

AT_SIGNS: Final = "@|アット ?マーク|あっとまーく|at ?mark|艾特|圈a"
"""Marks and words for @ that need no other sign of an address."""
PLAIN_AT: Final = "(?<=[a-z0-9]) at (?=[a-z0-9])|アット(?=[a-zァ-ヴ ])"
"""Words for @ that count only near a word for mail."""
NO_MAILBOXES: Final = frozenset(("us", "me", "it", "look", "them", "online", "here", "him", "her", "page", "site"))
"""Words that stand before `at` in the address of a page."""
DOTS: Final = "\\.|ドット|どっと|\\bdot\\b|点"
CONNECTORS: Final = frozenset(
    (
        "dot",
        "dash",
        "hyphen",
        "underscore",
        "minus",
        "plus",
        "ドット",
        "ハイフン",
        "アンダーバー",
        "アンダースコア",
        "点",
        "下划线",
    )
)
"""Words between the parts of an address before @."""

NEAR_BEFORE_MS: Final = 60_000
NEAR_DATE_MS: Final = 20_000
NEAR_AFTER_MS: Final = 4_000
"""The time from a keyword, on either channel, to its number; and from a number to a keyword behind it."""
MAX_PAUSE_IN_NUMBER_MS: Final = 10_000
"""The longest pause between two parts of one number."""
READ_BACK_MS: Final = 30_000
"""The time within which part of a removed number is taken for its repetition."""
MIN_READ_BACK_DIGITS: Final = 4

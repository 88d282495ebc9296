# /// script
# dependencies = ["lameenc", "numpy", "pyopenjtalk-plus==0.4.1.post10"]
# ///
"""Make the recorded dialogue that the BIZTEL simulator serves: MP3 of two voices, and the words with their times.

Run it with a Python that has the packages above. They are no dependencies of the project:

    python tools/make_dialogue.py sandbox/simulators/biztel/dialogue

The words of a phrase share its time by their number of morae. NOTICE in that folder names the licence of the voice.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Final

import lameenc
import numpy as np
import pyopenjtalk

HERTZ: Final = 8000
BIT_RATE_KBPS: Final = 32
FRAME_BYTES: Final = 288
VOICE_HERTZ: Final = 48_000
LEVEL: Final = 0.09
"""The root mean square of a voice, where 1 is the largest sample: -21 dB."""
ECHO: Final = 10 ** (-25 / 20)
NOISE: Final = 10 ** (-66 / 20)
CODEC_DELAY_MS: Final = 138
"""The 1105 samples that an encoder and a decoder of layer III put before the audio."""
PHRASE_PAUSE_MS: Final = 150
SHORT_TEXT: Final = 3

CUSTOMER, OPERATOR = "left", "right"

# Speaker, milliseconds from the end of all lines so far (or before it), and phrases. A blank parts two words. A word
# that is not written as it is spoken has its reading behind a slash. `*`: the other channel hears an echo of the line.
LINES: Final = (
    (OPERATOR, 400, "お電話 ありがとう ございます。 | サンプル 商店、 | 佐藤 で ございます。"),
    (CUSTOMER + "*", 500, "もしもし、 | 山田 と 申します。"),
    (CUSTOMER, 300, "先日 注文 した 商品 が、 | まだ 届か ない ん です けれども。"),
    (OPERATOR, -2300, "はい。"),
    (OPERATOR, 500, "申し訳 ございません。 | ご注文番号 を お願い いたします。"),
    (CUSTOMER + "*", 600, "注文番号 は 1042/いちぜろよんに です。"),
    (OPERATOR, 400, "1042/いちぜろよんに です ね。 | ご本人 確認 の ため、 | 生年月日 を お願い いたします。"),
    (CUSTOMER, 500, "昭和 55年/ごじゅうごねん 5月/ごがつ 3日/みっか です。"),
    (OPERATOR, 400, "では、 | 折り返し の お電話番号 を お願い いたします。"),
    (CUSTOMER, 600, "090/ゼロキュウゼロ の、 | 0000/ゼロゼロゼロゼロ の"),
    (OPERATOR, 350, "はい。"),
    (CUSTOMER, 350, "0001/ゼロゼロゼロイチ です。"),
    (OPERATOR, 400, "090/ゼロキュウゼロ、 | 0000/ゼロゼロゼロゼロ、 | 0001/ゼロゼロゼロイチ です ね。"),
    (OPERATOR, 150, "承知 いたし ました。"),
    (CUSTOMER, 500, "いつ ごろ 届き ます か。"),
    (OPERATOR, 400, "はい、 | 通常 です と 二、三日 で お届け できる か と 思い ます が"),
    (CUSTOMER, -1300, "急い で いる ん です けど、 | 明日 まで に お願い でき ません か。"),
    (OPERATOR, 500, "かしこまりました。 | 明日 の 10時/じゅうじ まで に お届け いたします。"),
    (CUSTOMER, 400, "お願い します。 | 失礼 し ます。"),
    (OPERATOR, 300, "ありがとう ございました。"),
)


def main() -> None:
    """Write the three files and their words into the folder of the first argument."""
    folder = Path(sys.argv[1])
    tracks: dict[str, list[tuple[int, Any]]] = {CUSTOMER: [], OPERATOR: []}
    words: dict[str, list[tuple[int, int, str]]] = {CUSTOMER: [], OPERATOR: []}
    clock_ms = 0
    for speaker_mark, wait_ms, line in LINES:
        speaker = speaker_mark.rstrip("*")
        other = OPERATOR if speaker == CUSTOMER else CUSTOMER
        start_ms = clock_ms + wait_ms
        audio, line_words = speak(line, speaker)
        end_ms = start_ms + len(audio) * 1000 // HERTZ
        tracks[speaker].append((start_ms, audio))
        shift_ms = start_ms + CODEC_DELAY_MS
        heard = [(shift_ms + start, shift_ms + end, text) for start, end, text in line_words]
        words[speaker] += heard
        if speaker_mark != speaker:
            tracks[other].append((start_ms, audio * ECHO))
            words[other] += heard
        clock_ms = max(clock_ms, end_ms)
    length = (clock_ms + 600) * HERTZ // 1000
    noise = np.random.default_rng(20260331)
    samples = {channel: mix(parts, length) + NOISE * noise.standard_normal(length) for channel, parts in tracks.items()}
    samples["monaural"] = (samples[CUSTOMER] + samples[OPERATOR]) / 2
    contents = {}
    for channel, track in samples.items():
        data = encode(track)
        (folder / f"{channel}.mp3").write_bytes(data)
        # The mix has an echo once.
        spoken = words.get(channel) or {word for heard in words.values() for word in heard}
        contents[hashlib.sha256(data).hexdigest()] = {
            "channel": channel,
            "gains_sha256": hashlib.sha256(read_gains(data)).hexdigest(),
            "words": sorted(spoken),
        }
    text = (
        json.dumps(contents, ensure_ascii=False).replace("[[", "[\n[").replace("], [", "],\n[").replace("}, ", "},\n")
    )
    (folder / "words.json").write_text(text + "\n", encoding="utf-8")


def speak(line: str, speaker: str) -> tuple[Any, list[tuple[int, int, str]]]:
    """Return a line's samples at HERTZ, and its words with start and end in milliseconds."""
    pieces: list[Any] = []
    words: list[tuple[int, int, str]] = []
    at = 0
    for phrase in line.split(" | "):
        pairs = [(word.partition("/")[0], word.partition("/")[2] or word) for word in phrase.split()]
        # Punctuation behind a reading belongs to what is written.
        pairs = [(text + said[-1] if said[-1] in "、。" and text != said else text, said) for text, said in pairs]
        audio = trim(synthesize("".join(said for _, said in pairs), speaker))
        morae = [count_morae(said) for _, said in pairs]
        edges = np.cumsum([0, *morae]) * (len(audio) / sum(morae))
        for (text, _), start, end in zip(pairs, edges, edges[1:], strict=False):
            words.append((round((at + start) * 1000 / HERTZ), round((at + end) * 1000 / HERTZ), text))
        pieces += [audio, np.zeros(PHRASE_PAUSE_MS * HERTZ // 1000)]
        at += len(audio) + len(pieces[-1])
    return np.concatenate(pieces[:-1]), words


def synthesize(text: str, speaker: str) -> Any:
    """Return the voice of a speaker at HERTZ. The customer's voice is Mei, deeper and with a longer throat."""
    stretch, half_tones = (1.17, -4.5) if speaker == CUSTOMER else (1.0, 0.0)
    speed = 0.7 if len(text) <= SHORT_TEXT else 1.05
    wave, _ = pyopenjtalk.tts(text, speed=speed * stretch, half_tone=half_tones)
    wave = np.interp(np.arange(0, len(wave) - 1, 1 / stretch), np.arange(len(wave)), wave)
    # Telephone lines carry 300 to 3400 Hz.
    spectrum = np.fft.rfft(wave)
    hertz = np.fft.rfftfreq(len(wave), 1 / VOICE_HERTZ)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    wave = np.fft.irfft(spectrum, len(wave))[:: VOICE_HERTZ // HERTZ]
    loud = wave[np.abs(wave) > np.abs(wave).max() / 20]
    return wave * (LEVEL / np.sqrt(np.mean(loud**2)))


def trim(wave: Any) -> Any:
    """Return the samples without the silence before and behind them."""
    loud = np.flatnonzero(np.abs(wave) > LEVEL / 10)
    return wave[loud[0] : loud[-1] + 1]


def count_morae(text: str) -> int:
    """Return the number of morae of a word, at least one."""
    kana = pyopenjtalk.g2p(text, kana=True)
    return max(1, sum(character not in "ャュョァィゥェォ、。" for character in kana))


def mix(parts: list[tuple[int, Any]], length: int) -> Any:
    """Return one track of `length` samples with each part at its time."""
    track = np.zeros(length)
    for start_ms, audio in parts:
        start = start_ms * HERTZ // 1000
        track[start : start + len(audio)] += audio
    return track


def encode(track: Any) -> bytes:
    """Return the samples as MP3 with one channel."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_channels(1)
    encoder.set_in_sample_rate(HERTZ)
    encoder.set_out_sample_rate(HERTZ)
    encoder.set_bit_rate(BIT_RATE_KBPS)
    encoder.set_quality(2)
    samples = np.clip(track * 32767, -32768, 32767).astype("<i2")
    return bytes(encoder.encode(samples.tobytes()) + encoder.flush())


def read_gains(data: bytes) -> bytes:
    """Return the global gain of each granule, 0 for one without values, without the zeros at the end.

    They stay the same if the file gets a tag or becomes a channel of a joined file.
    """
    gains = bytearray()
    for at in range(0, len(data), FRAME_BYTES):
        side_information = int.from_bytes(data[at + 4 : at + 13])  # 72 bits: 9, then 63 of the granule
        big_values, gain = side_information >> 42 & 0x1FF, side_information >> 34 & 0xFF
        gains.append(gain if big_values else 0)
    return bytes(gains).rstrip(b"\0")


if __name__ == "__main__":
    main()

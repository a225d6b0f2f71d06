"""Bytes → text, piece by piece: which encoding a file is in, told honestly or refused in a
sentence."""

from __future__ import annotations

import codecs
import contextlib
import enum
import io
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from engine.errors import CorpusError

# The encodings that lyrics are in: those that are recognised, and worth naming to a person.
USUAL = (
    "utf-8",
    "utf-16-le",
    "utf-16-be",
    "gb18030",
    "big5",
    "shift_jis",
    "windows-1252",
    "latin-1",
)

PIECE = 2**18  # bytes that are read and decoded at a time
SAMPLE = 2**18  # bytes that a guess looks at, at most

# A guess below this is asked about, not taken. Of 32,000 random cuts (40 to 4,000 bytes) of texts
# in the usual encodings no wrong guess reached it; of other encodings, a few cuts in EUC-JP did.
SURE = 0.95

# What is guessed at where the bytes are not UTF-8. Latin-1 comes last: it is windows-1252 with
# control characters, so it is asked only where that fails.
_GUESSED = USUAL[1:]

# UTF-32's little-endian mark begins with UTF-16's, so the longer marks come first.
_MARKS: Mapping[bytes, str] = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}

# Python's names for codecs → the names that are used here. A mark is taken away here, so the
# codecs that would take one away themselves are not needed.
_NAMES: Mapping[str, str] = {
    "cp1252": "windows-1252",
    "iso8859-1": "latin-1",
    "utf-8-sig": "utf-8",
    "utf-16": "utf-16-le",
    "utf-32": "utf-32-le",
}

# Codecs that read escapes out of a text, not a text; and UTF-7, which may hold back a whole file.
_NO_ENCODINGS = (
    "idna",
    "mbcs",
    "oem",
    "punycode",
    "raw-unicode-escape",
    "undefined",
    "unicode-escape",
    "utf-7",
)


# What a character costs in surprise, in nats (the natural logarithm of one over its share).
_ASCII = 3.5
_NEVER = 25.0
_DOUBLED = 4.0  # Western accents seldom follow one another
_NONE = 5.0  # that a file is in none of the encodings, though it has plain ASCII
_ENOUGH_ASCII = 10  # characters of ASCII after which that counts in full
_NUL_BYTE = 1.5  # what the NUL beside each ASCII character says for UTF-16
# The mean surprise of characters outside ASCII: 6.3 to 8.0 for Chinese and Japanese and 3.4 to 4.4
# for Western texts in the right encoding, from 8.1 and from 6.6 in a wrong one.
_CHANCE = 8.1
_WESTERN_CHANCE = 5.0
_TOO_FAR = 4.5  # this much above chance it is no text
_CAUTION = 2.0  # characters depend on one another, so what they say is not added up in full
_FEWEST_NULS = 0.35  # the share of NUL bytes below which ASCII is no UTF-16
_MOST_CONTROLS = 0.02  # the share of control characters above which nothing is text
_PLENTY = 8  # characters outside ASCII after which a file is surely meant to be UTF-8

_FOREIGN = re.compile(r"[^\x00-\x7f]")
_NOT_PLAIN = re.compile(rb"[\0\x80-\xff]")
_CONTROLS = frozenset(map(chr, {*range(32), *range(127, 160)} - set(b"\t\n\v\f\r\x85")))
_DOUBLE_ACCENTS = re.compile("(?<=[¡-ÿ])[¡-ÿ]")
_PUNCTUATION = frozenset("，。、！？：；「」『』《》〈〉（）【】　…—·～□“”‘’")
_ACCENTED = frozenset("éèêëàâäáçñöôóòüûùúïîíßãõåøæœ’‘“”…–—")

# The commonest characters of Chinese, and the common ones of it and its lyrics, in both
# scripts.
_COMMONEST_HAN = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年"
    "过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心"
    "她本前开但因只从想实日军者意无力它与长把這個們來爲國說時會對於過發後裏種經麼學現當沒動還進"
    "樣開從實軍無與長"
)
_COMMON_HAN = frozenset(
    "机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利"
    "什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员"
    "解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务"
    "做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光"
    "放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清"
    "今切院让识候带导争运笑飞风步改收根干造言联持组每济车亲极林服快办议往元英士证近失转夫令准布"
    "始怎呢存未远叫台单影具罗字爱击流备兵连调深商算质团集百需价花党华城石级整府离况亚请技际约示"
    "复病息究线似官火断精满支视消越器容照须九增研写称企八功吗包片史委乎查轻易早曾除农找装广显吧"
    "阿李标谈吃图念六引历首医局突专费号尽另周较注语仅考落青随选列武红响虽推势参希古众构房半节土"
    "投某案黑维革划敌致陈律足态护七兴派孩验责营星够章音跟志底站严巴例防族供效续施留讲型料终答紧"
    "黄绝奇察母京段依批群项故按河米围江织害斗双境客纪采举杀攻父苏密低朝友诉止细愿千值仍男钱破网"
    "热助倒育属坐帝限船脸职速刻乐否刚威毛状率甚独球般普怕弹校苦创春秋夜雨梦泪泣醉酒香云雪霜烟柳"
    "梅桃桥楼窗灯歌唱舞寂寞孤忧愁伤痛恨恋缘份吻拥抱温柔暖冷寒凉晨暮夕阳翠芳残归旧乡魂魄玉珠翩谁"
    "哪啊哦啦呀妳您咱俩岁永恒遗忘忆怀誓待陪伴漂泊浪彩虹翅膀鸟鱼沙岸港湾帆草叶树枝蝶蜂燕雁莺鹤琴"
    "笛鼓弦曲诗词笔墨纸屋巷街角咖啡茶杯機關點業將兩間問並應戰頭體見產話內給門兒東聲員論處義幾認"
    "條氣題爾別變總電數報結務場計資許統區隊決馬書則聽卻達強難權設記類據邊張該規萬覺術領確傳師觀"
    "讓識帶導爭運飛風乾聯組濟車親極辦議證轉準遠臺單羅愛擊備連調質團價黨華級離況亞請際約覆線斷滿"
    "視須寫稱嗎輕農裝廣顯標談喫圖歷醫專費號盡較語僅隨選紅響雖勢參衆構節維劃敵陳態護興驗責營夠嚴"
    "續講終緊黃絕羣項圍織鬥雙紀採舉殺蘇訴細願錢網熱屬臉職樂剛狀獨彈創夢淚雲煙橋樓燈憂傷戀緣擁溫"
    "涼陽殘歸舊鄉誰倆歲恆遺憶懷鳥魚灣葉樹鶯鶴詩詞筆紙"
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding by name, and how sure it is (0 to 1)."""

    name: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """An encoding that a file may be in, how sure that is (0 to 1), and its first lines in it."""

    encoding: str
    confidence: float
    preview: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text with `\\n` line ends and no byte order mark, the encoding it was in, and how sure
    that is (0 to 1)."""

    text: str = field(repr=False)
    encoding: str
    confidence: float


class UndecodedError(CorpusError):
    """A file that may be text in an encoding that a person names. Each face has its own way to
    name one: `advising` puts it into the sentence, which says nothing of it otherwise."""

    def __init__(self, problem: str, alternative: str = "") -> None:
        super().__init__(problem, alternative)
        self._problem, self._alternative = problem, alternative

    def advising(self, way: str) -> str:
        """The sentence with a way to name an encoding, such as "with --encoding"."""
        return f"{self._problem}{way and f' {way}'}{self._alternative}."

    def __str__(self) -> str:
        return self.advising("")


class EncodingError(UndecodedError):
    """A file that may be in several encodings: `candidates`, the likeliest first."""

    def __init__(self, name: str, candidates: tuple[Candidate, ...]) -> None:
        named = [f"{each.encoding} ({each.confidence:.0%})" for each in candidates[:3]]
        super().__init__(
            f"It is not sure which encoding {name} is in, perhaps {' or '.join(named)}: name one",
            f", for example {candidates[0].encoding}, or save it as UTF-8",
        )
        self.args = (name, candidates)  # what it is made of again in another process
        self.name = name
        self.candidates = candidates


def decode(data: bytes, name: str, declared: str | None = None) -> Decoded:
    """The text in `data`; `name` is what errors call it. Raises CorpusError."""
    file = io.BytesIO(data)
    encoding = recognise(file, name, declared)
    text = "".join(chunks(file, encoding.name, name))
    return Decoded(text, encoding.name, encoding.confidence)


def recognise(file: BinaryIO, name: str, declared: str | None = None) -> Encoding:
    """The encoding of a whole seekable file. Raises CorpusError: UndecodedError where a person may
    name another, EncodingError of these where several are likely.

    The decisions are asked in order, the surest first; the first that knows the encoding wins.
    """
    mark = _mark(file)
    if declared is not None:
        return Encoding(_declared(file, name, declared, mark), 1.0)
    if mark is not None:
        return Encoding(mark, 1.0)
    scan = _scan(file)
    if scan.end is _End.FILE:
        return Encoding("utf-8", 1.0)
    if scan.end is _End.CUT and scan.characters:
        raise _cut(scan.position, "utf-8", name)
    if scan.end is _End.NO_CHARACTER and scan.characters >= _PLENTY:
        file.seek(scan.position)
        raise _no_character(scan.position, _read(file, 1)[0], "utf-8", name)
    sample = _sample(file, scan)
    found = candidates(sample)
    if scan.end is _End.NUL:
        found = tuple(each for each in found if each.encoding.startswith("utf-16"))
        if not found or found[0].confidence < SURE or _is_ascii_with_nuls(sample):
            raise _nul(scan.position, name)
    if not found:
        raise UndecodedError(f"{_binary(name)}: name a text file instead, or its encoding")
    if found[0].confidence < SURE:
        raise EncodingError(name, found)
    return Encoding(found[0].encoding, found[0].confidence)


def candidates(sample: bytes) -> tuple[Candidate, ...]:
    """The encodings that `sample` may be in, the likeliest first; none if it is no text.

    Each is weighed by how little its text surprises; one more weight says that none is right.
    """
    texts = _texts(sample, _GUESSED)
    surprises = {
        each: nats
        for each, text in texts.items()
        if (nats := _surprise(text, each)) <= _surprise_of_chance(text, each, _TOO_FAR)
    }
    if not surprises:
        return ()
    likeliest = min(surprises, key=surprises.__getitem__)
    surprises["none"] = _surprise_of_chance(texts[likeliest], likeliest)
    least = min(surprises.values())
    weights = {each: math.exp((least - nats) / _CAUTION) for each, nats in surprises.items()}
    total = sum(weights.values())
    del weights["none"]
    found = [
        Candidate(each, weight / total, _preview(texts[each])) for each, weight in weights.items()
    ]
    return tuple(sorted(found, key=lambda each: each.confidence, reverse=True))


def choices(file: BinaryIO, name: str) -> tuple[Candidate, ...]:
    """The encodings that a whole seekable file may be read in by a person who knows better than
    `recognise`, the likeliest first: all usual ones that its beginning is text in. Raises
    CorpusError where there are none."""
    known = None
    with contextlib.suppress(CorpusError):  # what is wrong with it in one may be right in another
        known = recognise(file, name)
    sample = _sample(file, _scan(file))
    texts = _texts(sample, USUAL if known is None else (known.name, *USUAL))
    if not texts:
        raise CorpusError(f"{_binary(name)}: name a text file instead.")
    if known is not None and known.confidence == 1.0:
        shares = {known.name: 1.0}
    else:
        shares = {each.encoding: each.confidence for each in candidates(sample)}
    found = [
        Candidate(each, shares.get(each, 0.0), _preview(without_mark(text)))
        for each, text in texts.items()
    ]
    return tuple(sorted(found, key=lambda each: each.confidence, reverse=True))


def with_plain_line_ends(text: str) -> str:
    """The text with every CRLF and CR turned into `\\n`."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def chunks(
    file: BinaryIO, encoding: str, name: str, plain: Callable[[str], str] = with_plain_line_ends
) -> Iterator[str]:
    """The text of a whole seekable file, piece by piece, with `\\n` line ends and no byte order
    mark. Raises CorpusError that names the byte (counted from 0) that is no text.

    `plain` makes the line ends so, and is given the pieces that may hold a CR. Of a CRLF that two
    pieces share it is given the CR alone.
    """
    codec = _codec(encoding, name)
    encoding = _NAMES.get(codec.name, codec.name)
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    read = 0  # the number of bytes read so far
    held = b""  # those of them that begin a character and wait for its end
    before = ""  # the last character of the text before
    for piece in _pieces(file):
        read += len(piece)
        try:
            text = decoder.decode(piece)
        except UnicodeDecodeError as error:
            start = read - len(error.object)
            _refuse_nul(error.object[: error.start], encoding, start, name)
            byte = error.object[error.start]
            raise _no_character(start + error.start, byte, encoding, name) from None
        if b"\0" in piece:
            _refuse_nul(held + piece, encoding, read - len(held + piece), name)
        returns = b"\r" in piece or b"\r" in held  # bytes are searched faster than text is
        held = decoder.getstate()[0]
        if not text:
            continue
        last = text[-1]
        if not before:
            text = without_mark(text)
        if before == "\r":
            text = text.removeprefix("\n")  # the CR was a line end already
        before = last
        if returns:
            text = plain(text)
        if text:
            yield text
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _cut(read - len(held), encoding, name) from None


def without_mark(text: str) -> str:
    """The text without a byte order mark before its first character."""
    return text.removeprefix("\ufeff")


class _End(enum.Enum):
    """What a scan for UTF-8 ended at."""

    FILE = enum.auto()
    CUT = enum.auto()
    NO_CHARACTER = enum.auto()
    NUL = enum.auto()


@dataclass(frozen=True, slots=True)
class _Scan:
    """How far a file is UTF-8: what ends it at which byte, the first byte that is not plain ASCII
    before that, and the number of characters that are not (counted as far as _PLENTY)."""

    end: _End
    position: int
    first: int
    characters: int


def _scan(file: BinaryIO) -> _Scan:
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    read = characters = 0
    first = None
    for piece in _pieces(file):
        plain = piece.partition(b"\0")[0]
        mixed = len(plain) < len(piece) or not piece.isascii()  # far faster than the search
        if first is None and mixed and (told := _NOT_PLAIN.search(piece)):
            first = read + told.start()
        read += len(plain)
        try:
            text = decoder.decode(plain)
        except UnicodeDecodeError as error:
            characters += _foreign(error.object[: error.start].decode())
            position = read - len(error.object) + error.start
            return _Scan(_End.NO_CHARACTER, position, first or 0, characters)
        if len(plain) < len(piece):
            return _Scan(_End.NUL, read, first or 0, characters)
        characters += _foreign(text)
        if characters >= _PLENTY:  # what is wrong further on, `chunks` tells
            return _Scan(_End.FILE, read, first or 0, characters)
    held = len(decoder.getstate()[0])
    return _Scan(_End.CUT if held else _End.FILE, read - held, first or 0, characters)


def _sample(file: BinaryIO, scan: _Scan) -> bytes:
    """The bytes by which encodings are told apart: the first, or those from where it is not plain
    ASCII if that is far behind."""
    file.seek(scan.first if scan.first > SAMPLE // 2 else 0)
    return _read(file, SAMPLE)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE):
        yield piece


def _read(file: BinaryIO, size: int) -> bytes:
    """The next `size` bytes or what is left of the file: one read may return fewer."""
    data = bytearray()
    while len(data) < size and (piece := file.read(size - len(data))):
        data += piece
    return bytes(data)


def _mark(file: BinaryIO) -> str | None:
    """The encoding that the byte order mark of a file says, if it has one."""
    file.seek(0)
    head = _read(file, 4)
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)


def _declared(file: BinaryIO, name: str, declared: str, mark: str | None) -> str:
    """The declared encoding, unless the file fails to decode in it and has a mark of another."""
    codec = _codec(declared, name)
    encoding = _NAMES.get(codec.name, codec.name)
    if mark is None or mark == encoding:
        return encoding
    if mark.startswith(codec.name):  # utf-16 alone leaves the order of the bytes to the mark
        return mark
    try:
        for _ in chunks(file, encoding, name):
            pass
    except CorpusError:
        return mark
    return encoding


def _codec(encoding: str, name: str) -> codecs.CodecInfo:
    try:
        codec = codecs.lookup(encoding)
        "a".encode(encoding)  # fails if it makes something else than text of bytes, as rot13 does
    except (LookupError, ValueError):
        codec = None
    if codec is None or codec.name in _NO_ENCODINGS:
        raise CorpusError(
            f"{name} cannot be read as {encoding!a}, which is no encoding of text: name another, "
            f"such as {', '.join(USUAL)}."
        )
    return codec


def _texts(sample: bytes, encodings: Sequence[str]) -> dict[str, str]:
    """The sample in each of the encodings that make text of it."""
    texts = {each: text for each in encodings if (text := _text(sample, each)) is not None}
    if "windows-1252" in texts:
        texts.pop("latin-1", None)  # the same, but for control characters
    return texts


def _text(sample: bytes, encoding: str) -> str | None:
    """The sample in an encoding, if that makes text of it; U+FFFD stands for a cut last one."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        text = decoder.decode(sample)
    except UnicodeDecodeError:
        return None
    if decoder.getstate()[0]:
        text += "\ufffd"
    controls = sum(1 for character in text if character in _CONTROLS)
    if "\0" in text or controls > len(text) * _MOST_CONTROLS:
        return None
    return text


def _is_ascii_with_nuls(sample: bytes) -> bool:
    """Whether this is ASCII with NULs here and there, and so no UTF-16: there, every other byte of
    ASCII is a NUL, and what is no ASCII is seldom made of its bytes alone."""
    return sample.isascii() and sample.count(0) < _FEWEST_NULS * len(sample)


def _foreign(text: str) -> int:
    """The number of characters outside ASCII."""
    return 0 if text.isascii() else len(_FOREIGN.findall(text))


def _surprise(text: str, encoding: str) -> float:
    """How much a text surprises who expects Chinese, Japanese or Western lyrics, in nats."""
    counts = Counter(text)
    nats = sum(count * _nats(character, encoding) for character, count in counts.items())
    return nats + _DOUBLED * len(_DOUBLE_ACCENTS.findall(text))


def _surprise_of_chance(text: str, encoding: str, farther: float = 0.0) -> float:
    """The surprise at which a text is no likelier than chance, or `farther` off per character
    outside ASCII, in nats."""
    each = _ASCII + (_NUL_BYTE if encoding.startswith("utf-16") else 0.0)
    chance = _WESTERN_CHANCE if encoding in ("windows-1252", "latin-1") else _CHANCE
    foreign = _foreign(text)
    plain = len(text) - foreign
    none = _NONE * min(1.0, plain / _ENOUGH_ASCII)
    return none + each * plain + (chance + farther) * foreign


def _nats(character: str, encoding: str) -> float:
    """The surprise of one character, in nats; of one outside ASCII, among those outside ASCII."""
    if character.isascii():
        return _ASCII if character.isprintable() or character.isspace() else _NEVER
    if character in _COMMONEST_HAN:
        return 5.5
    if character in _COMMON_HAN:
        return 7.5
    if character in _PUNCTUATION:
        return 4.0
    if character in _ACCENTED:
        return 3.4
    if "\u3041" <= character <= "\u30ff":  # GB2312 and Big5 have kana, EUC-JP has them there too
        return 5.5 if encoding.startswith(("shift_jis", "utf-16")) else 10.0
    if "\u4e00" <= character <= "\u9fff":
        return _nats_of_han(character)
    if "\u00a0" <= character <= "\u00ff":
        return 5.5 if character.isalpha() else 7.0
    if "\uff01" <= character <= "\uff5e":
        return 8.0
    if character == "\ufffd" or unicodedata.category(character)[0] == "C":
        return _NEVER
    if "\u3400" <= character <= "\u4dbf" or character > "\uffff":
        return 16.0
    return 11.0


def _nats_of_han(character: str) -> float:
    gb2312 = character.encode("gb2312", "replace")[0]
    big5 = character.encode("big5", "replace")[0]
    jis = character.encode("shift_jis", "replace")[0]
    if 0xB0 <= gb2312 <= 0xD7 or 0xA4 <= big5 <= 0xC6 or 0x88 <= jis <= 0x97:
        return 9.5  # on the first level of its standard: what is in use
    return 14.0 if gb2312 == big5 == jis == ord("?") else 11.5


def _preview(text: str) -> str:
    """The first lines that are not blank."""
    lines = (line.strip() for line in text[:4000].splitlines())
    return "\n".join([line for line in lines if line][:4])[:200]


def _binary(name: str) -> str:
    return f"{name} looks binary (no usual encoding makes text of it)"


def _nul(position: int, name: str) -> CorpusError:
    return CorpusError(
        f"{name} looks binary (byte {position:,} is NUL, which no text holds): name a text file "
        "instead, or save this one as UTF-8."
    )


def _refuse_nul(data: bytes, encoding: str, start: int, name: str) -> None:
    """Refuses a NUL character in `data`, which begins with a character at byte `start`."""
    width = {"utf-16": 2, "utf-32": 4}.get(encoding[:6], 1)
    position = data.find(bytes(width))
    while position % width and position >= 0:  # the end of one character, the start of another
        position = data.find(bytes(width), position + 1)
    if position >= 0:
        raise _nul(start + position, name)


def _no_character(position: int, byte: int, encoding: str, name: str) -> UndecodedError:
    return UndecodedError(
        f"{name} is not {encoding.upper()}: byte {position:,} (0x{byte:02x}, counted from 0) is "
        "part of no character, so name the encoding that it is in",
        ", or save it as UTF-8",
    )


def _cut(position: int, encoding: str, name: str) -> CorpusError:
    return CorpusError(
        f"{name} ends in the middle of a character ({encoding.upper()}, byte {position:,} counted "
        "from 0), so it was cut short: copy it again, or remove the bytes of that character."
    )

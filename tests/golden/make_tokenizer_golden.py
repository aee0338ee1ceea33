#!/usr/bin/env python3
"""Writes tests/data/tokenizer/: what Hugging Face's tokenizers and transformers do.

    python3 tests/golden/make_tokenizer_golden.py        (pip: tokenizers transformers xxhash jinja2)

  plain.json, splits.json   two small tokenizers, trained here
  golden.json               their ids, and the demo model's tokenizer's if it is there
  unicode_classes.txt       the engine's \\s, \\p{L}, \\p{N}, and what Unicode 14 does not know of them

Each file says which versions made it. The C++ tests read all four.
"""

import json
import pathlib
import sys
import unicodedata

import tokenizers
import transformers
import xxhash
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data"
OUT = DATA / "tokenizer"

GLM_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

SPECIAL = [
    "<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>",
    "<|assistant|>", "<|observation|>",
]  # fmt: skip

# What the small tokenizers learn from, in many scripts.
SENTENCES = json.loads((HERE / "tokenizer_sentences.json").read_text(encoding="utf-8"))


def texts():
    """Strings that make tokenizers differ. A pair [text, count] stands for the text repeated."""
    return [
        "", " ", "\n", "a", "The kettle on the stove", "hello world", "Hello, World!",
        "'tea", "'S", "'s", "'LL be", "I'LL'll've'RE", "'T'tis", "don't DON'T don\u2019t", "a'\u017fx 'K'\u212a",
        "1", "12", "123", "1234", "12345678901", "3.14159 1,000,000", "x86_64", "\u0663\u0664\u0665\u0666 \u00bd \u2167\u00b2",
        "\r\n", "\r\n\r\n", "a\r\n\r\n  b", "\n\n\n a", " \n \n ", "a \n", "a\n ", "\t\tif x:\r\n\t\t\ty", "...\n\n...\r\nx",
        "a ", "a  ", "a   b", "  leading", "trailing   ", "a \t b", " !", "  !", "a\u00a0b", "\u00a0\u00a0x", "a\u180eb \u180e \u180e\u180e c",
        "a\u2028b\u2029c", "\u3000\u3000x\u3000", "a\u0085b\u0085", "a\u200bb\u200c\u200d\ufeffc", "\u1680\u2000\u200a\u202f\u205f.",
        "e\u0301a\u0308\u0323", "\u0301start", "n\u0303o\u0303 \u0301 x", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0915\u094d\u0937", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
        "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family", "\U0001f44d\U0001f3fd\U0001f1e9\U0001f1ea", "\u2764\ufe0f\u20e3",
        "\u4f60\u597d\uff01\u5f88\u9ad8\u5174\u89c1\u5230\u4f60\u3002", "\U00020000\U0002a6d6\U00030000", "\u660e\u65e5\u306e\u671d", "\uac00\ub098\ub2e4 \u1112\u1161\u11ab",
        "\u05d1\u05d1\u05d5\u05e7\u05e8 \u05d4\u05dc\u05db\u05e0\u05d5", "\u0641\u064a \u0627\u0644\u0635\u0628\u0627\u062d", "\u202eabc\u202c", "\u01c5\u02b0\u00aa\u2160\u24b6",
        "<|user|>", "<|user|>hello<|assistant|>", " <|user|> ", "[gMASK]<sop>", "[gMASK]<sop><|system|>\nBe kind.<|user|>\nHi<|assistant|>",
        "<|user", "|user|>", "<|user|", "<<|user|>>", "<|us<|user|>er|>", "<|USER|>", "[gMASK", "[[gMASK]]", "<|endoftext|><|endoftext|>",
        "<think>x</think>", "<think>deeper", "<think>deep", "<think><|user|></think>", "aNORMb", "NORM ALL", "NORMAL", "<|user|>NORM<|user|>", "<sop>NORMAL<eop>",
        "sop>", "<sop><sop> sop>", "MASK] [MASK] [gMASK]",
        "\x00", "a\x00b\x00\x00", "\x01\x02\x7f", "\x1b[31mred\x1b[0m", "\ufffd\ufffe\uffff", "\U0010ffff", "\u00e9\u00c3\u00a9",
        "qzunmergeable", " qzunmergeable", "qzunmergeables", "whistle whistles whistled", "zzzz", "aaaaaaaaaaaaaaaa", "ababababab",
        "std::vector<int32_t>& ids = *out; // 100%", "https://example.org/a?b=c&d=%20#e", "{\"role\": \"user\", \"content\": null}", "\\s+(?!\\S)|\\u0041",
        ["a", 5000], ["ab", 5000], [" ", 5000], ["\n", 5000], ["!", 5000], ["1", 5000], ["the ", 3000], ["\u597d", 3000], ["\U0001f600", 2000],
        ["<|user|>", 500], ["'s", 2000], [" \n", 2000], ["\x00", 3000],
    ]  # fmt: skip


class SplitMix64:
    """Steele, Lea and Flood's generator; the C++ tests have the same."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        z = self.state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)


RANDOM_WORDS = [
    "'s", "'T", "'re", "'VE", "'m", "'lL", "'d", "'\u017f", "<|user|>", "<|assistant|>", "[gMASK]",
    "<sop>", "<|", "|>", "<|user|", "<think>", "NORM", "AL", "the", "\u5929\u6c14", " whistleda",
    "reweathers", "ababababab", "aaaaaaaaaaa", "trestrestlestles", "measmeasuredured", "     ",
]  # fmt: skip
RANDOM_SPACES = [
    0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20, 0x85, 0xA0, 0x1680, 0x180E, 0x2000, 0x2009, 0x200B, 0x200D,
    0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF,
]  # fmt: skip
# First code point and count, by the number drawn; see random_text for the others.
RANDOM_RANGES = {
    0: (0x61, 26), 1: (0x61, 26), 2: (0x61, 26), 3: (0x41, 26), 4: (0x30, 10), 5: (0x20, 95),
    6: (0x20, 1), 7: (0xC0, 0x4C0), 8: (0x300, 0x70), 9: (0x4E00, 0x5200), 10: (0x1F300, 0x350),
    11: (0, 0x110000), 12: (0, 0x110000),
}  # fmt: skip


def random_text(seed, size, excluded):
    """At least `size` bytes. Code points in `excluded` and surrogates are drawn again."""
    random = SplitMix64(seed)
    parts, done = [], 0
    while done < size:
        draw = random.next()
        kind, pick = draw % 16, draw >> 8
        if kind in RANDOM_RANGES:
            first, count = RANDOM_RANGES[kind]
            code = first + pick % count
            if 0xD800 <= code <= 0xDFFF or code in excluded:
                continue
            part = chr(code)
        elif kind == 13:
            part = chr(RANDOM_SPACES[pick % len(RANDOM_SPACES)])
        elif kind == 14:
            part = "\r\n" if pick % 2 else "\n"
        else:
            part = RANDOM_WORDS[pick % len(RANDOM_WORDS)]
        parts.append(part)
        done += len(part.encode())
    return "".join(parts)


def ids_hash(ids):
    data = b"".join(i.to_bytes(4, "little") for i in ids)
    return xxhash.xxh3_128_hexdigest(data)


# ---- Unicode classes ----


def members(pattern):
    """The code points the engine of tokenizers matches with a pattern of one character."""
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    codes = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    kept = set()
    for begin in range(0, len(codes), 4096):
        chunk = codes[begin : begin + 4096]
        for _, (first, last) in split.pre_tokenize_str("".join(map(chr, chunk))):
            kept.update(chunk[first:last])
    return set(codes) - kept


def ranges(codes):
    result = []
    for code in sorted(codes):
        if result and result[-1][1] == code - 1:
            result[-1][1] = code
        else:
            result.append([code, code])
    return result


def write_unicode_classes():
    classes = {"s": members(r"\s"), "L": members(r"\p{L}"), "N": members(r"\p{N}")}
    if unicodedata.unidata_version != "14.0.0":
        sys.exit("needs Python 3.11, whose unicodedata is Unicode 14.0, as in PCRE2 10.40 to 10.42")
    categories = {chr(c): unicodedata.category(chr(c)) for c in range(0x110000)}
    later = set()
    for name in "LN":
        old = {ord(c) for c, category in categories.items() if category[0] == name}
        later |= old ^ classes[name]
    lines = [
        f"# White space (s), letters (L) and numbers (N) in the regex engine of tokenizers {tokenizers.__version__},",
        f"# and the {len(later)} code points whose L or N is another in Unicode 14.0 ('later').",
        "# Code points in hexadecimal, first and last. Made by tests/golden/make_tokenizer_golden.py.",
    ]
    for name, codes in {**classes, "later": later}.items():
        lines += [f"{name} {first:X} {last:X}" for first, last in ranges(codes)]
    (OUT / "unicode_classes.txt").write_text("\n".join(lines) + "\n")
    return later


# ---- Tokenizers ----


def empty_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(GLM_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train(tokenizer, special):
    trainer = trainers.BpeTrainer(
        vocab_size=760,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    return tokenizer


def plain_tokenizer():
    """Special tokens behind the model's vocabulary, as in GLM; merges as pairs, all of them used."""
    tokenizer = train(empty_tokenizer(), [])
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens(
        [
            AddedToken("<think>", normalized=False),
            AddedToken("</think>", normalized=False),
            AddedToken("<think>deep", normalized=False),
            AddedToken("sop>", normalized=False),  # Ends like a special token, ...
            AddedToken("MASK]", normalized=True),  # ... as does this, which is looked for later.
            AddedToken("NORM", normalized=True),
            AddedToken("NORMAL", normalized=True),
        ]
    )
    return json.loads(tokenizer.to_str())


def splits_tokenizer():
    """Special tokens first; merges as strings, every split of every token in the order of the tokens
    as GLM's converter writes them; whole pieces first, with words that no merge makes."""
    root = json.loads(train(empty_tokenizer(), SPECIAL).to_str())
    model = root["model"]
    for word in ["\u0120whistled", "weather", "measured", "ababab", "aaaaaa", "trestles", "\u0120\u0120\u0120"]:
        for first in range(len(word)):
            for last in range(first + 2, len(word) + 1):
                model["vocab"].setdefault(word[first:last], len(model["vocab"]))
    for word in ["qzunmergeable", "\u0120qzunmergeable"]:
        model["vocab"][word] = len(model["vocab"])
    merges = []
    for token in sorted(model["vocab"], key=model["vocab"].get):
        if token in SPECIAL or token.endswith("qzunmergeable"):
            continue
        for cut in range(1, len(token)):
            if token[:cut] in model["vocab"] and token[cut:] in model["vocab"]:
                merges.append(f"{token[:cut]} {token[cut:]}")
    model["merges"] = merges
    model["ignore_merges"] = True
    return root


# ---- Golden ids ----


def encode(tokenizer, text, as_text):
    tokenizer.encode_special_tokens = as_text
    return tokenizer.encode(text, add_special_tokens=False).ids


def golden_of(path, later):
    tokenizer = Tokenizer.from_file(str(path))
    cases = []
    for text in texts():
        whole = text if isinstance(text, str) else text[0] * text[1]
        case = {"text": text}
        for mode, as_text in (("as_text", True), ("recognize", False)):
            ids = encode(tokenizer, whole, as_text)
            case[mode] = ids if len(ids) <= 64 else {"count": len(ids), "xxh3_128": ids_hash(ids)}
        if case["recognize"] == case["as_text"]:
            del case["recognize"]
        cases.append(case)
    random = {"seed": 20250607, "bytes": 1 << 20}
    text = random_text(random["seed"], random["bytes"], later)
    for mode, as_text in (("as_text", True), ("recognize", False)):
        ids = encode(tokenizer, text, as_text)
        random[mode] = {"count": len(ids), "xxh3_128": ids_hash(ids)}
    # Any ids in any order: characters torn apart and joined to others.
    draw = SplitMix64(1)
    size = tokenizer.get_vocab_size()
    decoded = tokenizer.decode([draw.next() % size for _ in range(50000)], skip_special_tokens=False)
    return {
        "file": str(path.relative_to(DATA)),
        "vocab_size": size,
        "cases": cases,
        "random": random,
        "decoded": {"seed": 1, "count": 50000, "xxh3_128": xxhash.xxh3_128_hexdigest(decoded.encode())},
    }


# In the style of GLM-4-0414's: system messages first, then the others, no separators.
GLM4_TEMPLATE = """[gMASK]<sop>
{%- for message in messages if message.role == 'system' %}
<|system|>
{{ message.content }}
{%- endfor %}
{%- for message in messages if message.role != 'system' %}
<|{{ message.role }}|>
{{ message.content }}
{%- endfor %}
{%- if add_generation_prompt %}<|assistant|>{% endif %}"""
# In the style of GLM-4-9B-chat's: everything in its order.
GLM_TEMPLATE = """[gMASK]<sop>
{%- for message in messages %}
<|{{ message.role }}|>
{{ message.content }}
{%- endfor %}
{%- if add_generation_prompt %}<|assistant|>{% endif %}"""

CONVERSATIONS = [
    [("user", "hello")],
    [("user", "")],
    [("user", "\u4f60\u597d"), ("assistant", "\u4f60\u597d\U0001f44b\uff01"), ("user", "  two\n\nlines  \n")],
    [("system", "You are assistant."), ("user", "hello")],
    [("user", "one"), ("system", "late"), ("assistant", "two"), ("system", "later"), ("user", "three")],
    [("user", "\n\nstarts with newlines"), ("assistant", "\r\nand this"), ("user", " \n x")],
    [("user", "what is the weather?"), ("assistant", "get_weather"), ("observation", "{\"t\": 21}")],
]  # fmt: skip


def chat_golden(path):
    result = []
    for layout, template in (("glm", GLM_TEMPLATE), ("glm4", GLM4_TEMPLATE)):
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(path))
        tokenizer.chat_template = template
        for conversation in CONVERSATIONS:
            messages = [{"role": role, "content": content} for role, content in conversation]
            ids = tokenizer.apply_chat_template(
                messages, tokenize=True, add_generation_prompt=True, return_dict=False
            )
            result.append({"format": layout, "messages": messages, "ids": ids})
    return {"file": str(path.relative_to(DATA)), "conversations": result}


def write_json(path, value, lines=False):
    """Compact; `lines`: one entry of every list of objects per line."""
    text = json.dumps(value, ensure_ascii=lines, separators=(",", ":"))
    if lines:
        text = text.replace('},{"', '},\n{"').replace('[{"', '[\n{"')
    path.write_text(text + "\n", encoding="utf-8")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    later = write_unicode_classes()
    write_json(OUT / "plain.json", plain_tokenizer())
    write_json(OUT / "splits.json", splits_tokenizer())
    paths = [OUT / "plain.json", OUT / "splits.json"]
    demo = DATA / "demo" / "tokenizer.json"
    if demo.exists():
        paths.append(demo)
    golden = {
        "made_by": "tests/golden/make_tokenizer_golden.py",
        "tokenizers": tokenizers.__version__,
        "transformers": transformers.__version__,
        "python": sys.version.split()[0],
        "encodings": [golden_of(path, later) for path in paths],
        "chats": [chat_golden(path) for path in paths],
    }
    write_json(OUT / "golden.json", golden, lines=True)


if __name__ == "__main__":
    main()

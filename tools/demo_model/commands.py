#!/usr/bin/env python3
"""Phone commands in English and Chinese, each with the action lines that answer it.

A prompt asks for one to three things; the answer has one line for each:

    do(action="Launch", app="A")
    do(action="Message", app="A", to="P", text="T")
    do(action="Alarm", time="H")
    do(action="Navigate", app="A", place="L")
    do(action="Search", app="A", text="T")
    do(action="Call", to="P")
    finish(message="M")

A *combination* is the language of the prompt, the intent and the slot values of one line. One
combination in ten is held out: a hash of it decides, so the choice depends on nothing else, and
`train` and `heldout` prompts never share a combination whatever the seed or the phrasing.

    commands.py --split heldout --seed 1 --count 500 > heldout.jsonl

prints JSON lines {"prompt": ..., "answer": ...}, the format of `eval_glm --qa`. Only the standard
library is needed, and the same arguments print the same bytes everywhere.
"""

import argparse
import hashlib
import json
import random
import re
import sys
from typing import Callable, Iterator, NamedTuple

from phrases import (ALL_APPS, CHORES, FIXED_REPLIES, GREETINGS, JOINS, MAP_APPS, MESSAGES,
                     MESSAGE_APPS, OPENINGS, PEOPLE, PHRASINGS, PLACES, QUERIES, REFUSALS,
                     SEARCH_APPS)

LANGUAGES = ("en", "zh")

# The slots of each intent, in the order of its answer line.
SLOTS = {
    "Launch": ("app",),
    "Message": ("app", "to", "text"),
    "Alarm": ("time",),
    "Navigate": ("app", "place"),
    "Search": ("app", "text"),
    "Call": ("to",),
    "finish": ("message",),
}

# How often each intent is drawn.
WEIGHTS = {
    "Launch": 10,
    "Message": 25,
    "Alarm": 10,
    "Navigate": 16,
    "Search": 17,
    "Call": 10,
    "finish": 12,
}

# How often a prompt asks for one, two and three things.
PARTS_WEIGHTS = (66, 25, 9)

HOURS = list(range(24))
MINUTES = list(range(0, 60, 5))


def _time(rng: random.Random) -> str:
  return f"{rng.choice(HOURS)}:{rng.choice(MINUTES):02d}"


Drawer = Callable[[str, random.Random], str]  # (language, random) -> slot value


def _from(lists: dict[str, list[str]]) -> Drawer:
  return lambda language, rng: rng.choice(lists[language])


DRAW: dict[str, dict[str, Drawer]] = {
    "Launch": {"app": _from(ALL_APPS)},
    "Message": {"app": _from(MESSAGE_APPS), "to": _from(PEOPLE), "text": _from(MESSAGES)},
    "Alarm": {"time": lambda language, rng: _time(rng)},
    "Navigate": {"app": _from(MAP_APPS), "place": _from(PLACES)},
    "Search": {"app": _from(SEARCH_APPS), "text": _from(QUERIES)},
    "Call": {"to": _from(PEOPLE)},
    "finish": {"to": _from(PEOPLE), "chore": _from(CHORES), "place": _from(PLACES),
               "time": lambda language, rng: _time(rng)},
}

# Invented values. With few values in a list a model learns the list instead of copying what the
# prompt says, and then never says a value whose Launch or Call is held out. So training (and only
# training) replaces some values by ones that nobody has heard of.
_SYLLABLES = [c + v for c in "b d f g h k l m n p r s t v w z".split() for v in "aeiou"]
_WORDS = sorted({word for lists in (MESSAGES, QUERIES) for text in lists["en"]
                 for word in text.split()})
_NAME_WORDS = sorted({word for lists in (PLACES, SEARCH_APPS, MESSAGE_APPS, PEOPLE)
                      for text in lists["en"] for word in text.split()})
_CHARACTERS = sorted({c for lists in (PEOPLE, PLACES, MESSAGES, QUERIES, SEARCH_APPS, MESSAGE_APPS)
                      for text in lists["zh"] for c in text if c >= "\u3400"}
                     - set("发说给在用打开去到找告诉的把跟和替里上"))


def _invent(language: str, slot: str, rng: random.Random) -> str:
  if language == "zh":
    length = rng.randint(3, 6) if slot == "text" else rng.randint(2, 4)
    return "".join(rng.choices(_CHARACTERS, k=length))
  if slot == "text":
    return " ".join(rng.choices(_WORDS, k=rng.randint(2, 5)))
  if rng.random() < 0.5:
    return "".join(rng.choices(_SYLLABLES, k=rng.randint(2, 3))).capitalize()
  return " ".join(rng.choices(_NAME_WORDS, k=rng.randint(1, 2)))


# Shares of the finish() lines in training; refusals have the rest.
FIXED_SHARE, GREETING_SHARE = 0.3, 0.25


class Combination(NamedTuple):
  """One answer line: what decides whether it is held out."""
  language: str
  intent: str
  values: tuple[str, ...]

  @property
  def held_out(self) -> bool:
    key = "\x1f".join((self.language, self.intent) + self.values)
    return int(hashlib.sha256(key.encode("utf-8")).hexdigest(), 16) % 10 == 0

  @property
  def line(self) -> str:
    pairs = [f'{name}="{value}"' for name, value in zip(SLOTS[self.intent], self.values)]
    if self.intent == "finish":
      return f"finish({pairs[0]})"
    return f'do(action="{self.intent}", {", ".join(pairs)})'


class Example(NamedTuple):
  prompt: str
  answer: str
  # The prompt cut at the edges of its slot values (a space stays with the word that follows); the
  # tokenizer is trained on these pieces, so that no token learnt from a command reaches across
  # the edge of a slot.
  pieces: tuple[str, ...]


_EDGE = "\x00"  # Marks the edges of slot values while a prompt is being put together.


def _mark(value: str) -> str:
  return f"{_EDGE}{value}{_EDGE}"


def _draw(language: str, intent: str, invented: float,
          rng: random.Random) -> tuple[Combination, str]:
  """One combination and a phrasing of it; the edges of the slot values are marked."""
  slots: tuple[str, ...] = SLOTS[intent]
  if intent == "finish":
    kind = rng.random()
    if kind < FIXED_SHARE:
      message, prompts = rng.choice(FIXED_REPLIES[language])
      return Combination(language, intent, (message,)), rng.choice(prompts)
    replies = GREETINGS if kind < FIXED_SHARE + GREETING_SHARE else REFUSALS
    reply, phrasings = rng.choice(replies[language])
    slots = tuple(re.findall(r"{(\w+)}", reply))
  else:
    phrasings = PHRASINGS[language][intent]
  values = {slot: DRAW[intent][slot](language, rng) for slot in slots}
  if rng.random() < invented:
    for slot in slots:
      if slot not in ("time", "chore") and rng.random() < 0.7:
        values[slot] = _invent(language, slot, rng)
  line = ((reply.format(**values),) if intent == "finish"
          else tuple(values[slot] for slot in slots))
  marked = {slot: _mark(value) for slot, value in values.items()}
  return Combination(language, intent, line), rng.choice(phrasings).format(**marked)


def _draw_from_split(language: str, intent: str, held_out: bool, invented: float,
                     rng: random.Random) -> tuple[Combination, str]:
  for _ in range(10000):
    combination, text = _draw(language, intent, invented, rng)
    if combination.held_out == held_out:
      return combination, text
  raise RuntimeError(f"no {'held-out' if held_out else 'training'} {intent} in {language}")


def _ends_in_free_text(text: str) -> bool:
  return text.endswith(_EDGE) or text.endswith('"') or text.endswith("”")


def generate(split: str, rng: random.Random, language: str | None = None,
             invented: float = 0.0, intent_weights: dict[str, int] = WEIGHTS) -> Example:
  """One prompt with its answer; every line of it is in the split.

  `invented` is the share of the lines that have values from outside the lists."""
  held_out = {"train": False, "heldout": True}[split]
  language = language or rng.choice(LANGUAGES)
  count = rng.choices((1, 2, 3), PARTS_WEIGHTS)[0]
  # finish() ends a task, so it stands alone.
  intents = [i for i in SLOTS if count == 1 or i != "finish"]
  weights = [intent_weights[i] for i in intents]
  parts = [_draw_from_split(language, rng.choices(intents, weights)[0], held_out,
                            invented, rng)
           for _ in range(count)]
  texts = [text for _, text in parts]
  if count > 1:
    prompt = rng.choice(JOINS[language][count]).format(*texts)
  elif parts[0][0].intent == "finish":
    prompt = texts[0]
  else:
    openings = OPENINGS[language]
    if _ends_in_free_text(texts[0]):
      openings = [o for o in openings if not o.endswith(("?", "？"))]
    prompt = rng.choice(openings).format(texts[0])
  if language == "en" and rng.random() < 0.6:
    # Case of the first letter; a slot value keeps its own.
    if not prompt.startswith(_EDGE):
      prompt = prompt[0].upper() + prompt[1:]
  pieces = tuple(p for p in prompt.replace(f" {_EDGE}", f"{_EDGE} ").split(_EDGE) if p.strip())
  answer = "\n".join(combination.line for combination, _ in parts)
  return Example(prompt.replace(_EDGE, ""), answer, pieces)


def examples(split: str, seed: int | str, count: int,
             language: str | None = None) -> Iterator[Example]:
  rng = random.Random(f"{split}:{seed}")
  for _ in range(count):
    yield generate(split, rng, language)


_LINE = re.compile(r'(?:do\(action="(\w+)", |(finish)\()((?:\w+="[^"]*"(?:, )?)+)\)')


def combinations(prompt: str, answer: str) -> list[Combination]:
  """The combinations of a prompt and its answer, read back from the text alone.

  The language is that of the prompt: Chinese if it has a Chinese character."""
  language = "zh" if re.search(r"[\u3400-\u9fff]", prompt) else "en"
  result = []
  for line in answer.split("\n"):
    match = _LINE.fullmatch(line)
    if not match:
      raise ValueError(f"not an action line: {line!r}")
    intent = match.group(1) or match.group(2)
    names, values = zip(*re.findall(r'(\w+)="([^"]*)"', match.group(3)))
    if SLOTS.get(intent) != names:
      raise ValueError(f"not the slots of {intent}: {line!r}")
    result.append(Combination(language, intent, values))
  return result


def refuse_held_out(prompt: str, answer: str) -> None:
  """Raises ValueError if any line of the answer is a held-out combination."""
  for combination in combinations(prompt, answer):
    if combination.held_out:
      raise ValueError(f"held-out line offered for training: {combination.line} "
                       f"(language {combination.language}, prompt {prompt!r})")


for _language, _replies in FIXED_REPLIES.items():
  for _message, _ in _replies:
    if Combination(_language, "finish", (_message,)).held_out:
      raise AssertionError(f"a fixed reply must be in the training split, reword it: {_message}")


def main() -> None:
  parser = argparse.ArgumentParser(description="Print phone commands as JSON lines.")
  parser.add_argument("--split", choices=("train", "heldout"), required=True)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--count", type=int, default=10)
  parser.add_argument("--language", choices=LANGUAGES, help="default: both")
  args = parser.parse_args()
  sys.stdout.reconfigure(encoding="utf-8", newline="\n")
  for example in examples(args.split, args.seed, args.count, args.language):
    print(json.dumps({"prompt": example.prompt, "answer": example.answer}, ensure_ascii=False))


if __name__ == "__main__":
  main()

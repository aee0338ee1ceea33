"""The prose the demo model is trained on: two public-domain texts that are not in the repository.

A corpus folder holds the two files below; their hashes are checked, so that everybody trains on
the same bytes. The last 3 % of each text, from the next line break on, is never trained on, neither
by the model nor by the tokenizer: perplexity is reported there.
"""

import hashlib
import pathlib
from typing import NamedTuple

FILES = {  # language -> file, SHA-256
    "en": ("tinyshakespeare.txt",
           "d179f6c5e37410c533c42f8af0ec048353c4a7b6cb0f5fb9862b1b5388e2a47c"),
    "zh": ("classical_chinese.txt",
           "9af807e3e0babd0dd194df37f9e1b2be4ec565f784b1222c11ff7928359fee71"),
}
KEPT_OUT = 0.03


class Prose(NamedTuple):
  train: str
  tail: str


def load(folder: pathlib.Path) -> dict[str, Prose]:
  """Reads and checks both texts; raises ValueError if one is not the expected file."""
  result = {}
  for language, (name, expected) in FILES.items():
    data = (folder / name).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
      raise ValueError(f"{folder / name}: SHA-256 is {found}, expected {expected}")
    text = data.decode("utf-8")
    cut = text.index("\n", int(len(text) * (1 - KEPT_OUT))) + 1
    result[language] = Prose(text[:cut], text[cut:])
  return result

#!/usr/bin/env python3
"""Trains the demo model's tokenizer: GLM's byte-level BPE with a vocabulary of 4096.

What is GLM's: the splitting pattern, the byte alphabet (a byte's id is its place in GPT-2's
alphabet, so a line feed is 198), whole pieces looked up before any merging (ignore_merges), one
merge for *every* way of making a token from two tokens, ordered by the token's id (so that ids
serve as merge ranks), and the 14 special tokens of GLM-4 behind the byte-pair tokens.

It is trained on the training part of the prose and on training commands only.
"""

import argparse
import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers import decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

import commands
import corpus

VOCABULARY = 4096
SPECIAL_TOKENS = [
    "<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>",
    "<|assistant|>", "<|observation|>", "<|begin_of_image|>", "<|end_of_image|>",
    "<|begin_of_video|>", "<|end_of_video|>",
]
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
           r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
# Commands the tokenizer sees; enough for every slot value, few enough to leave room for prose.
COMMANDS = 8000
CONTEXT = 2048

# The layout of GLM-4-0414: tools first, then all system messages, then the turns in order.
CHAT_TEMPLATE = """[gMASK]<sop>
{%- if tools -%}
<|system|>
# 可用工具
{% for tool in tools %}
{%- set function = tool.function if tool.get("function") else tool %}

## {{ function.name }}

{{ function | tojson(indent=4, ensure_ascii=False) }}
在调用上述函数时，请使用 Json 格式表示调用的参数。
{%- endfor %}
{%- endif -%}
{%- for message in messages if message.role == 'system' %}<|system|>
{{ message.content }}
{%- endfor -%}
{%- for message in messages if message.role != 'system' -%}
{%- if message.role == 'user' %}<|user|>
{{ message.content }}
{%- elif message.role == 'assistant' %}<|assistant|>{{ message.metadata ~ ' ' if message.metadata else '' }}
{{ message.content }}
{%- elif message.role == 'observation' or message.role == 'tool' %}<|observation|>
{{ message.content }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}<|assistant|>{% endif -%}"""


def train(prose: dict[str, corpus.Prose], seed: int) -> Tokenizer:
  tokenizer = Tokenizer(models.BPE(ignore_merges=True))
  tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
      pre_tokenizers.Split(Regex(PATTERN), behavior="isolated", invert=False),
      pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
  ])
  tokenizer.decoder = decoders.ByteLevel()
  tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)

  def texts():
    for language in corpus.FILES:
      yield from prose[language].train.splitlines(keepends=True)
    for example in commands.examples("train", f"tokenizer:{seed}", COMMANDS):
      commands.refuse_held_out(example.prompt, example.answer)
      yield from example.pieces
      yield example.answer

  trainer = trainers.BpeTrainer(
      vocab_size=VOCABULARY - len(SPECIAL_TOKENS), special_tokens=[], show_progress=False,
      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
  tokenizer.train_from_iterator(texts(), trainer)

  # One merge for every split of a token into two tokens, as in GLM's own tokenizer.json.
  spec = json.loads(tokenizer.to_str())
  vocabulary = spec["model"]["vocab"]
  merges = []
  for token, _ in sorted(vocabulary.items(), key=lambda item: item[1]):
    splits = [(token[:i], token[i:]) for i in range(1, len(token))]
    splits = [s for s in splits if s[0] in vocabulary and s[1] in vocabulary]
    merges += sorted(splits, key=lambda s: (vocabulary[s[0]], vocabulary[s[1]]))
  spec["model"]["merges"] = [list(merge) for merge in merges]
  tokenizer = Tokenizer.from_str(json.dumps(spec, ensure_ascii=False))
  tokenizer.add_special_tokens(
      [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
  if tokenizer.get_vocab_size() != VOCABULARY:
    raise RuntimeError(f"the vocabulary came out as {tokenizer.get_vocab_size()}")
  return tokenizer


def save(tokenizer: Tokenizer, folder: pathlib.Path) -> None:
  """Writes tokenizer.json and tokenizer_config.json, chat template included."""
  PreTrainedTokenizerFast(
      tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>",
      extra_special_tokens=[t for t in SPECIAL_TOKENS if t != "<|endoftext|>"],
      chat_template=CHAT_TEMPLATE, model_max_length=CONTEXT, padding_side="left",
      clean_up_tokenization_spaces=False,
  ).save_pretrained(folder, save_jinja_files=False)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--corpus", type=pathlib.Path, required=True)
  parser.add_argument("--out", type=pathlib.Path, required=True)
  parser.add_argument("--seed", type=int, default=1)
  args = parser.parse_args()
  save(train(corpus.load(args.corpus), args.seed), args.out)


if __name__ == "__main__":
  main()

#!/usr/bin/env python3
"""What the demo model can do: exact answers on held-out commands, perplexity on unseen prose.

    evaluate.py MODEL_DIR --seed 1 --count 500 [--corpus DIR] [--text FILE ...]

The weights are read as they are stored (bf16) and run in f32, greedily.
"""

import argparse
import math
import pathlib

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import commands
import corpus

CONTEXT = 512  # Tokens of a perplexity window; also the length of a training row.


def chat(prompt: str) -> str:
  """What the chat template makes of one user turn."""
  return f"[gMASK]<sop><|user|>\n{prompt}<|assistant|>"


@torch.no_grad()
def wrong_answers(model, tokenizer, examples, batch: int = 50) -> list[tuple[str, str, str]]:
  """(prompt, expected, found) of every example whose greedy answer is not exact."""
  was_training = model.training
  model.eval()
  wrong = []
  examples = list(examples)
  for start in range(0, len(examples), batch):
    chunk = examples[start:start + batch]
    inputs = tokenizer([chat(e.prompt) for e in chunk], return_tensors="pt", padding=True,
                       padding_side="left", return_token_type_ids=False)
    ids = model.generate(**inputs, do_sample=False, max_new_tokens=100)
    found = tokenizer.batch_decode(ids[:, inputs.input_ids.shape[1]:], skip_special_tokens=True)
    for example, text in zip(chunk, found):
      # The first token of an answer is the line feed of the chat layout.
      if text != "\n" + example.answer:
        wrong.append((example.prompt, example.answer, text.removeprefix("\n")))
  model.train(was_training)
  return wrong


class Perplexity:
  """Windows of CONTEXT tokens that do not overlap; the first token of each is not scored."""

  @torch.no_grad()
  def __init__(self, model, tokenizer, text: str):
    was_training = model.training
    model.eval()
    ids = torch.tensor(tokenizer(text, verbose=False).input_ids)
    nats, self.scored = 0.0, 0
    for start in range(0, len(ids), CONTEXT):
      window = ids[start:start + CONTEXT]
      if len(window) < 2:
        break
      logits = model(input_ids=window[None], use_cache=False).logits[0, :-1]
      nats += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
      self.scored += len(window) - 1
    self.per_token = math.exp(nats / self.scored)
    # Independent of the tokenizer, up to the first tokens of the windows.
    self.bits_per_byte = nats / self.scored * len(ids) / len(text.encode()) / math.log(2)
    model.train(was_training)

  def __str__(self) -> str:
    return (f"perplexity {self.per_token:.2f} per token ({self.scored} tokens), "
            f"{self.bits_per_byte:.3f} bits per byte")


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("model", type=pathlib.Path)
  parser.add_argument("--seed", type=int, nargs="*", default=[1])
  parser.add_argument("--count", type=int, default=500)
  parser.add_argument("--threads", type=int, default=1)
  parser.add_argument("--corpus", type=pathlib.Path, help="report the kept-out tails")
  parser.add_argument("--text", type=pathlib.Path, nargs="*", default=[])
  parser.add_argument("--show", type=int, default=10, help="wrong answers to print")
  args = parser.parse_args()

  torch.set_num_threads(args.threads)
  tokenizer = AutoTokenizer.from_pretrained(args.model)
  model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
  for seed in args.seed:
    wrong = wrong_answers(model, tokenizer, commands.examples("heldout", seed, args.count))
    exact = args.count - len(wrong)
    print(f"held-out commands, seed {seed}: {exact} of {args.count} exact "
          f"({100 * exact / args.count:.1f} %)", flush=True)
    for prompt, expected, found in wrong[:args.show]:
      print(f"  prompt   {prompt!r}\n  expected {expected!r}\n  found    {found!r}")
  texts = {str(path): path.read_text(encoding="utf-8") for path in args.text}
  if args.corpus:
    for prose, (name, _) in zip(corpus.load(args.corpus).values(), corpus.FILES.values()):
      texts[f"kept-out tail of {name}"] = prose.tail
  for name, text in texts.items():
    print(f"{name}: {Perplexity(model, tokenizer, text)}")


if __name__ == "__main__":
  main()

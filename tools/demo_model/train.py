#!/usr/bin/env python3
"""Trains the demo model. One seed decides everything; a run that was stopped goes on where it was.

    train.py --corpus DIR --run DIR [--seed 1] [--steps 2400] [--threads 1]

The run folder receives the tokenizer and, every five minutes and at the end, checkpoint.pt (model,
optimizer, step, random state), written under a temporary name first. export.py turns it into a
Hugging Face checkpoint. Batches depend on the seed and the step only.

A step is 8 rows of 512 tokens: as many tokens as 32 rows of 128, in rows as long as the windows
in which perplexity is measured. 40 % of the rows are prose. The others are packed with chats; each
chat sees only itself and counts its positions from 0, as it will when the model is used.
"""

import argparse
import os
import pathlib
import random
import time

import torch
from transformers import AutoTokenizer, GenerationConfig, Glm4Config, Glm4ForCausalLM

import commands
import corpus
import evaluate
import make_tokenizer

ROWS = 8
ROW_TOKENS = evaluate.CONTEXT
PROSE_SHARE = 0.4
# Weight of a token in the loss. The prompt is mostly slot values that nobody could guess.
ANSWER_WEIGHT, PROMPT_WEIGHT, PROSE_WEIGHT = 1.0, 0.1, 1.0
INVENTED_SHARE = 0.4  # Of the lines, see commands.py.
# finish() has the most varied answers and is learnt last, so training has more of it.
INTENT_WEIGHTS = {**commands.WEIGHTS, "finish": 24}
# Chats of one, two and three turns, and how many have a system message.
TURNS_WEIGHTS = (85, 10, 5)
SYSTEM_SHARE = 0.06
SYSTEM_TEXTS = {
    "en": ["You are a phone assistant.", "You are a helpful assistant.",
           "Answer with actions only."],
    "zh": ["你是手机助手。", "你是一个有用的助手。", "只用动作回答。"],
}
# Some prose rows jump ahead once in their positions, so that distances up to the model's maximum
# have been seen although no row is that long.
JUMP_SHARE = 0.15

# The learning rate rises, stays, and falls along a line over the last part of the steps. Until it
# falls, a run does not depend on how many steps it is going to have.
PEAK_RATE, FINAL_RATE, WARMUP_STEPS, FALL_SHARE = 2e-3, 2e-5, 100, 0.38
BETAS, WEIGHT_DECAY, CLIP = (0.9, 0.95), 0.1, 1.0
CHECKPOINT_SECONDS = 300


def model_config(tokenizer) -> Glm4Config:
  id_of = tokenizer.convert_tokens_to_ids
  return Glm4Config(
      vocab_size=make_tokenizer.VOCABULARY, hidden_size=256, intermediate_size=768,
      num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=64,
      attention_bias=True, rms_norm_eps=1e-5, tie_word_embeddings=False,
      rope_parameters={"rope_type": "default", "rope_theta": 10000.0,
                       "partial_rotary_factor": 0.5},
      max_position_embeddings=make_tokenizer.CONTEXT, pad_token_id=id_of("<|endoftext|>"),
      eos_token_id=[id_of(t) for t in ("<|endoftext|>", "<|user|>", "<|observation|>")],
      bos_token_id=None)


def generation_config(config: Glm4Config) -> GenerationConfig:
  return GenerationConfig(do_sample=False, eos_token_id=config.eos_token_id,
                          pad_token_id=config.pad_token_id)


class Row:
  """Tokens with, for each, its chat (for the mask), its position and its weight as a target."""

  def __init__(self):
    self.ids, self.chats, self.positions, self.weights = [], [], [], []

  def append(self, ids: list[int], weights: list[float], positions: list[int], chat: int) -> None:
    self.ids += ids
    self.weights += weights
    self.positions += positions
    self.chats += [chat] * len(ids)

  @property
  def room(self) -> int:
    return ROW_TOKENS - len(self.ids)


class Batches:
  """Makes the batch of a step from the seed and the step alone."""

  def __init__(self, tokenizer, prose: dict[str, corpus.Prose], seed: int):
    self.tokenizer = tokenizer
    self.seed = seed
    self.prefix = tokenizer("[gMASK]<sop>").input_ids
    self.pad = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    self.user = tokenizer.convert_tokens_to_ids("<|user|>")
    self.assistant = tokenizer.convert_tokens_to_ids("<|assistant|>")
    self.system = tokenizer.convert_tokens_to_ids("<|system|>")
    self.prose = {language: tokenizer(text.train, verbose=False).input_ids
                  for language, text in prose.items()}

  def _text(self, text: str) -> list[int]:
    return self.tokenizer("\n" + text).input_ids

  def _chat(self, rng: random.Random) -> tuple[list[int], list[float]]:
    """Exactly what the chat template gives, plus the <|user|> that ends the last answer."""
    language = rng.choice(commands.LANGUAGES)
    ids, weights = list(self.prefix), [0.0, 0.0]
    if rng.random() < SYSTEM_SHARE:
      part = [self.system] + self._text(rng.choice(SYSTEM_TEXTS[language]))
      ids, weights = ids + part, weights + [0.0] * len(part)
    ids, weights = ids + [self.user], weights + [0.0]
    for _ in range(rng.choices((1, 2, 3), TURNS_WEIGHTS)[0]):
      example = commands.generate("train", rng, language, INVENTED_SHARE, INTENT_WEIGHTS)
      commands.refuse_held_out(example.prompt, example.answer)
      prompt, answer = self._text(example.prompt), self._text(example.answer)
      ids += prompt + [self.assistant] + answer + [self.user]
      weights += ([PROMPT_WEIGHT] * len(prompt) + [0.0] + [ANSWER_WEIGHT] * (len(answer) + 1))
    return ids, weights

  def _prose_row(self, rng: random.Random) -> Row:
    text = self.prose[rng.choice(commands.LANGUAGES)]
    ids = list(self.prefix) if rng.random() < 0.5 else []
    start = rng.randrange(len(text) - ROW_TOKENS)
    weights = [0.0] * len(ids) + [PROSE_WEIGHT] * (ROW_TOKENS - len(ids))
    ids = ids + text[start:start + ROW_TOKENS - len(ids)]
    positions = list(range(ROW_TOKENS))
    if rng.random() < JUMP_SHARE:
      jump = rng.randrange(make_tokenizer.CONTEXT - ROW_TOKENS)
      at = rng.randrange(1, ROW_TOKENS)
      positions = positions[:at] + [p + jump for p in positions[at:]]
    row = Row()
    row.append(ids, weights, positions, 0)
    return row

  def __call__(self, step: int) -> dict[str, torch.Tensor]:
    rng = random.Random(f"{self.seed}:{step}")
    # 40 % of 8 rows is 3.2: three rows, and a fourth in every fifth step.
    prose_rows = int(ROWS * PROSE_SHARE * (step + 1)) - int(ROWS * PROSE_SHARE * step)
    rows = [self._prose_row(rng) for _ in range(prose_rows)]
    waiting = None
    for _ in range(ROWS - prose_rows):
      row, chat = Row(), 0
      while True:
        ids, weights = waiting or self._chat(rng)
        if len(ids) > row.room:
          waiting = (ids, weights)
          break
        waiting = None
        row.append(ids, weights, list(range(len(ids))), chat)
        chat += 1
      row.append([self.pad] * row.room, [0.0] * row.room, list(range(row.room)), -1)
      rows.append(row)

    ids = torch.tensor([r.ids for r in rows])
    chats = torch.tensor([r.chats for r in rows])
    weights = torch.tensor([r.weights for r in rows])
    # The last token of a chat does not predict the first of the next one.
    weights[:, 1:] *= (chats[:, 1:] == chats[:, :-1])
    causal = torch.ones(ROW_TOKENS, ROW_TOKENS, dtype=torch.bool).tril()
    return {
        "ids": ids,
        "positions": torch.tensor([r.positions for r in rows]),
        "mask": ((chats[:, :, None] == chats[:, None, :]) & causal)[:, None],
        "weights": weights,
        "prose_rows": prose_rows,
    }


def losses(model, batch) -> tuple[torch.Tensor, float, float]:
  """The loss to minimise, and for the log the mean over prose and over answer tokens."""
  ids, weights = batch["ids"], batch["weights"][:, 1:]
  with torch.autocast("cpu", torch.bfloat16):
    hidden = model.model(input_ids=ids, attention_mask=batch["mask"],
                         position_ids=batch["positions"], use_cache=False).last_hidden_state
    used = weights > 0
    logits = model.lm_head(hidden[:, :-1][used])
  each = torch.nn.functional.cross_entropy(logits.float(), ids[:, 1:][used], reduction="none")
  chosen = weights[used]
  row = torch.arange(len(ids))[:, None].expand_as(used)[used]
  is_prose = row < batch["prose_rows"]
  is_answer = ~is_prose & (chosen == ANSWER_WEIGHT)
  detached = each.detach()
  return ((each * chosen).sum() / chosen.sum(), detached[is_prose].mean().item(),
          detached[is_answer].mean().item())


def fall_begins(steps: int) -> int:
  return steps - int(FALL_SHARE * steps)


def rate(step: int, steps: int) -> float:
  if step < WARMUP_STEPS:
    return PEAK_RATE * (step + 1) / WARMUP_STEPS
  begin = fall_begins(steps)
  done = max(0, step - begin) / max(1, steps - begin)
  return PEAK_RATE + (FINAL_RATE - PEAK_RATE) * done


def save_atomically(state: dict, path: pathlib.Path) -> None:
  temporary = path.with_suffix(".tmp")
  torch.save(state, temporary)
  os.replace(temporary, path)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--corpus", type=pathlib.Path, required=True)
  parser.add_argument("--run", type=pathlib.Path, required=True)
  parser.add_argument("--seed", type=int, default=1)
  parser.add_argument("--steps", type=int, default=2400)
  parser.add_argument("--threads", type=int, default=1)
  parser.add_argument("--eval-every", type=int, default=200, help="steps")
  parser.add_argument("--eval-count", type=int, default=100)
  args = parser.parse_args()

  torch.set_num_threads(args.threads)
  torch.manual_seed(args.seed)
  prose = corpus.load(args.corpus)
  args.run.mkdir(parents=True, exist_ok=True)
  if not (args.run / "tokenizer_config.json").exists():
    make_tokenizer.save(make_tokenizer.train(prose, args.seed), args.run)
  tokenizer = AutoTokenizer.from_pretrained(args.run)

  config = model_config(tokenizer)
  model = Glm4ForCausalLM(config)
  model.generation_config = generation_config(config)
  # Norms and biases are not decayed.
  groups = [{"params": [p for p in model.parameters() if p.dim() > 1],
             "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]
  optimizer = torch.optim.AdamW(groups, lr=PEAK_RATE, betas=BETAS, fused=True)
  settings = {"seed": args.seed, "steps": args.steps}
  step, seconds = 0, 0.0
  checkpoint = args.run / "checkpoint.pt"
  if checkpoint.exists():
    state = torch.load(checkpoint, weights_only=True)
    old = state["settings"]
    # Another number of steps makes no difference before either run's rate falls.
    if old != settings and (old["seed"] != args.seed or state["step"] > min(
        fall_begins(args.steps), fall_begins(old["steps"]))):
      raise SystemExit(f"{checkpoint} is of a run with {old}, not {settings}")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    step, seconds = state["step"], state["seconds"]
    print(f"resumed at step {step}", flush=True)

  def save() -> None:
    save_atomically({"settings": settings, "model": model.state_dict(),
                     "optimizer": optimizer.state_dict(), "random": torch.get_rng_state(),
                     "step": step, "seconds": seconds + time.time() - begin}, checkpoint)

  batches = Batches(tokenizer, prose, args.seed)
  begin = saved = time.time()
  model.train()
  while step < args.steps:
    for group in optimizer.param_groups:
      group["lr"] = rate(step, args.steps)
    loss, prose_loss, answer_loss = losses(model, batches(step))
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimizer.step()
    optimizer.zero_grad()
    step += 1
    if step % 20 == 0 or step == 1:
      print(f"step {step} loss {loss.item():.3f} prose {prose_loss:.3f} answer {answer_loss:.4f} "
            f"norm {norm:.2f} seconds {seconds + time.time() - begin:.0f}", flush=True)
    if time.time() - saved >= CHECKPOINT_SECONDS:
      save()
      saved = time.time()
    if step % args.eval_every == 0:
      wrong = evaluate.wrong_answers(
          model, tokenizer, commands.examples("heldout", 1000 + step, args.eval_count))
      print(f"step {step} held-out commands exact: {args.eval_count - len(wrong)} of "
            f"{args.eval_count}; for example {wrong[:2]}", flush=True)
  save()
  for language, text in prose.items():
    print(f"kept-out tail, {language}: {evaluate.Perplexity(model, tokenizer, text.tail)}")


if __name__ == "__main__":
  main()

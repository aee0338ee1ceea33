#!/usr/bin/env python3
"""Writes the Hugging Face checkpoint of a finished training run, weights in bf16.

    export.py --run DIR --out ../../tests/data/demo
"""

import argparse
import pathlib

import torch
from transformers import AutoTokenizer, Glm4ForCausalLM

import make_tokenizer
import train

LARGEST = 16 << 20  # Bytes of model.safetensors; the file is kept in the repository.


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--run", type=pathlib.Path, required=True)
  parser.add_argument("--out", type=pathlib.Path, required=True)
  args = parser.parse_args()

  state = torch.load(args.run / "checkpoint.pt", weights_only=True)
  if state["step"] != state["settings"]["steps"]:
    raise SystemExit(f"training stopped at step {state['step']} of {state['settings']['steps']}")
  tokenizer = AutoTokenizer.from_pretrained(args.run)
  config = train.model_config(tokenizer)
  model = Glm4ForCausalLM(config)
  model.load_state_dict(state["model"])
  model.generation_config = train.generation_config(config)
  model.to(torch.bfloat16).save_pretrained(args.out)
  make_tokenizer.save(tokenizer.backend_tokenizer, args.out)
  size = (args.out / "model.safetensors").stat().st_size
  if size > LARGEST:
    raise SystemExit(f"model.safetensors has {size} bytes, more than {LARGEST}")
  print(f"{args.out}: {sum(p.numel() for p in model.parameters())} parameters, {size} bytes")


if __name__ == "__main__":
  main()

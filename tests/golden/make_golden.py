#!/usr/bin/env python3
"""Writes tests/data/golden/: random GLMs as transformers saves them, and the logits it computes.

    python3 tests/golden/make_golden.py                  (pip: torch transformers safetensors)

  <name>/                       a Hugging Face directory: config.json, safetensors in one or more files
  <name>/expected.safetensors   tokens [48] and transformers' f32 logits [48, vocab] after each
  versions.json                 which versions made them

Nothing of PocketGLM is imported: this is the other opinion. The weights are chosen so that no detail
of the architecture hides: embeddings so small that the norms' epsilon counts, norm weights and biases
far from 1 and 0, and sizes that are multiples of nothing. Attention is far from uniform, yet not so
sharp that a cache of f16 could not hold its keys.
"""

import json
import pathlib
import platform
import shutil

import safetensors
import safetensors.torch
import torch
import transformers
from transformers import Glm4Config, Glm4ForCausalLM, GlmConfig, GlmForCausalLM

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "golden"
TOKENS = 48
MOST_BYTES = 2 << 20

# shards: at least as many files. bias: on q, k and v.
COLUMNS = (
    "name model dtype shards layers hidden heads kv_heads head_dim intermediate vocab rotary theta"
    " bias tied eps"
).split()
MODELS = [
    ("glm_9b_chat", "glm", "bf16", 1, 2, 52, 6, 2, 20, 75, 131, 0.5, 5e6, True, False, 1.5625e-7),
    ("glm_edge", "glm", "f32", 1, 2, 44, 4, 2, 16, 70, 101, 1.0, 1e4, False, False, 1e-5),
    ("glm_tied", "glm", "f16", 2, 3, 36, 4, 2, 64, 50, 113, 0.5, 1e4, True, True, 1.5625e-7),
    ("glm4_9b_0414", "glm4", "bf16", 3, 2, 40, 8, 4, 16, 90, 97, 0.5, 1e4, True, False, 1e-5),
    ("glm4_32b_0414", "glm4", "bf16", 1, 3, 47, 8, 2, 32, 61, 149, 0.5, 1e4, False, False, 1.5625e-7),
    ("glm4_full_rotary", "glm4", "f32", 1, 2, 42, 6, 3, 20, 53, 83, 1.0, 5e6, True, True, 1.5625e-7),
]  # fmt: skip


def make_model(m, generator):
    """The transformers model of one row of MODELS, in f32, its weights rounded to the row's dtype."""
    config_class, model_class = {
        "glm": (GlmConfig, GlmForCausalLM),
        "glm4": (Glm4Config, Glm4ForCausalLM),
    }[m["model"]]
    config = config_class(
        vocab_size=m["vocab"],
        hidden_size=m["hidden"],
        intermediate_size=m["intermediate"],
        num_hidden_layers=m["layers"],
        num_attention_heads=m["heads"],
        num_key_value_heads=m["kv_heads"],
        head_dim=m["head_dim"],
        attention_bias=m["bias"],
        rms_norm_eps=m["eps"],
        tie_word_embeddings=m["tied"],
        max_position_embeddings=256,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": m["theta"],
            "partial_rotary_factor": m["rotary"],
        },
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=[1, 2],
        attn_implementation="eager",
    )
    model = model_class(config).float().eval()
    dtype = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[m["dtype"]]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = torch.randn(parameter.shape, generator=generator)
            if "norm" in name:
                values = 1 + 0.4 * values
            elif "bias" in name:
                values = 0.4 * values
            elif "embed_tokens" in name:
                values = 0.003 * values
            else:
                values *= parameter.shape[-1] ** -0.5
                if "q_proj" in name or "k_proj" in name:
                    values *= 0.8
            parameter.copy_(values.to(dtype))
    return model, dtype


def write_model(m, seed):
    directory = OUT / m["name"]
    generator = torch.Generator().manual_seed(seed)
    model, dtype = make_model(m, generator)
    tokens = torch.randint(0, m["vocab"], (1, TOKENS), generator=generator)
    with torch.no_grad():
        logits = model(tokens, use_cache=False).logits[0]

    model.to(dtype)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    model.save_pretrained(directory, max_shard_size=size // m["shards"] + 1)
    (directory / "generation_config.json").unlink(missing_ok=True)
    safetensors.torch.save_file(
        {"tokens": tokens[0].to(torch.int32), "logits": logits.contiguous()},
        directory / "expected.safetensors",
    )
    print(f"{m['name']}: logits {logits.min():.3g} .. {logits.max():.3g}")


def main():
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    for seed, row in enumerate(MODELS):
        write_model(dict(zip(COLUMNS, row, strict=True)), seed)
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "safetensors": safetensors.__version__,
    }
    (OUT / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")
    size = sum(file.stat().st_size for file in OUT.rglob("*") if file.is_file())
    print(f"{size} bytes")
    assert size < MOST_BYTES, size


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Decoding of one model by Auriga, Transformers, llama.cpp and candle, side by side in one run.

    python3 -m venv venv && venv/bin/pip install torch==2.11.0 transformers==5.24.0 llama-cpp-python==0.3.36 gguf==0.19.0
    venv/bin/python models/language/benches/peers.py --auriga target/release/auriga-lm --folder /tmp/large

candle is the crate in candle/, compiled here for this processor; if that fails, it is left out with a message.

The model has the shape of Qwen2.5-0.5B and random weights (made by `auriga-lm bench --large`, converted to llama.cpp's format
here). Peers alternate, each in its own process, so that other load of the machine affects all of them and no idle threads remain;
results are medians. Each decodes greedily after a prompt of the same number of tokens. Each row compares the most similar
formats: int8 by rows and Q8_0, int4 by groups of 32 and Q4_0; candle has no bf16 products on the CPU and uses f16.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROWS = ["f32", "bf16", "int8", "int4"]
GGUF = {"f32": "F32", "bf16": "BF16", "int8": "Q8_0", "int4": "Q4_0"}


def to_gguf(folder, file, kind):
    import gguf
    import torch
    from safetensors import safe_open

    c = json.loads((folder / "config.json").read_text())
    w = gguf.GGUFWriter(file, "qwen2")
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_rope_freq_base(c["rope_theta"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_vocab_size(c["vocab_size"])
    w.add_tokenizer_model("none")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, c["num_hidden_layers"])
    with safe_open(folder / "model.safetensors", "pt") as tensors:
        for name in tensors.keys():
            value = tensors.get_tensor(name).to(torch.float32).numpy()
            target = names.get_name(name, try_suffixes=(".weight", ".bias"))
            # The output matrix, which is the embedding here, keeps 8 bits, as in Auriga and in llama.cpp's own Q4_0.
            to = "F32" if value.ndim == 1 else "Q8_0" if kind == "Q4_0" and "embed" in name else kind
            to = gguf.GGMLQuantizationType[to]
            w.add_tensor(target, gguf.quants.quantize(value, to), raw_dtype=to)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


class Auriga:
    name = "Auriga"

    def __init__(self, o):
        self.command = [o.auriga, "bench", "--large", o.folder, "--threads", str(o.threads), "--tokens", str(o.tokens), "--repeats", "1"]

    def measure(self, row):
        out = subprocess.run([*self.command, "--precisions", row], capture_output=True, text=True, check=True).stdout
        fields = out.splitlines()[-1].split()
        return dict(decode=float(fields[1]), prefill=float(fields[5]), share=float(fields[4].rstrip("%")))


class Transformers:
    name = "Transformers"

    def __init__(self, o):
        import torch
        import transformers

        torch.set_num_threads(o.threads)
        self.torch, self.tokens = torch, o.tokens
        self.load = lambda dtype: transformers.AutoModelForCausalLM.from_pretrained(o.folder, dtype=dtype).eval()

    def measure(self, row):
        torch = self.torch
        dtype = dict(f32=torch.float32, bf16=torch.bfloat16).get(row)
        if dtype is None:
            return None
        model = self.load(dtype)
        prompt = (torch.arange(self.tokens) * 7919 % model.config.vocab_size).view(1, -1)
        with torch.inference_mode():
            model(prompt, use_cache=True, logits_to_keep=1)
            start = time.perf_counter()
            out = model(prompt, use_cache=True, logits_to_keep=1)
            prefill = time.perf_counter() - start
            start = time.perf_counter()
            for _ in range(self.tokens):
                token = out.logits[:, -1].argmax(-1, keepdim=True)
                out = model(token, past_key_values=out.past_key_values, use_cache=True)
            decode = time.perf_counter() - start
        return dict(decode=self.tokens / decode, prefill=self.tokens / prefill)


class Candle:
    name = "candle"

    def __init__(self, o):
        # Its kernels of 8 and 4 bits are chosen when it is compiled.
        target = pathlib.Path(o.candle_target or f"{o.folder}/candle-target").absolute()
        env = os.environ | dict(RUSTFLAGS="-C target-cpu=native", CARGO_TARGET_DIR=str(target))
        here = pathlib.Path(__file__).parent / "candle"
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=here, env=env, check=True)
        self.command = [target / "release/candle-peer", o.folder]
        self.env = os.environ | dict(RAYON_NUM_THREADS=str(o.threads))
        self.tokens, self.left_out = o.tokens, set()

    def measure(self, row):
        if row in self.left_out:
            return None
        done = subprocess.run([*self.command, row, str(self.tokens)], capture_output=True, text=True, env=self.env)
        if done.returncode != 0:
            print(f"candle is left out of {row}: {done.stderr.strip()}\n")
            self.left_out.add(row)
            return None
        return json.loads(done.stdout)


class LlamaCpp:
    name = "llama.cpp"

    def __init__(self, o):
        import llama_cpp

        self.tokens, self.folder = o.tokens, pathlib.Path(o.folder)
        threads = dict(n_threads=o.threads, n_threads_batch=o.threads)
        self.load = lambda file: llama_cpp.Llama(
            str(file), n_ctx=4 * o.tokens, n_batch=o.tokens, verbose=False, logits_all=False, **threads
        )

    def measure(self, row):
        file = self.folder / f"{GGUF[row]}.gguf"
        if not file.exists():
            to_gguf(self.folder, file, GGUF[row])
        model = self.load(file)
        vocabulary = model.n_vocab()
        prompt = [i * 7919 % vocabulary for i in range(self.tokens)]
        # The file is read when it is first used.
        model.eval(prompt)
        model.reset()
        start = time.perf_counter()
        model.eval(prompt)
        prefill = time.perf_counter() - start
        start = time.perf_counter()
        for i in range(self.tokens):
            # Which token comes next does not matter to its speed; choosing it is left out.
            model.eval([i * 31 % vocabulary])
        decode = time.perf_counter() - start
        return dict(decode=self.tokens / decode, prefill=self.tokens / prefill)


class Alone:
    """A peer in a process of its own, which ends when it has measured."""

    def __init__(self, peer):
        self.name, self.peer = peer.name, peer

    def measure(self, row):
        command = [sys.executable, *sys.argv, "--only", f"{self.peer.__name__}:{row}"]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--auriga", required=True)
    p.add_argument("--folder", required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--tokens", type=int, default=32)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--candle-target", help="where candle is built [default: in FOLDER]")
    p.add_argument("--only", help=argparse.SUPPRESS)
    o = p.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(o.threads)
    if o.only:
        peer, row = o.only.split(":")
        print(json.dumps(dict(Transformers=Transformers, LlamaCpp=LlamaCpp)[peer](o).measure(row)))
        return
    if not (pathlib.Path(o.folder) / "config.json").exists():
        Auriga(o).measure("int4")
    peers = [Auriga(o), Alone(Transformers), Alone(LlamaCpp)]
    try:
        peers.append(Candle(o))
    except (OSError, subprocess.CalledProcessError) as e:
        print(f"candle is left out: it cannot be built here ({e})\n")
    found = {}
    for _ in range(o.rounds):
        for row in ROWS:
            for peer in peers:
                if result := peer.measure(row):
                    found.setdefault((row, peer.name), []).append(result)
    print(f"{o.threads} threads, {o.tokens} tokens after {o.tokens}, median of {o.rounds} rounds\n")
    print("| numbers | runtime | decode, tokens/s | prefill, tokens/s | of memory's speed |\n| --- | --- | ---: | ---: | ---: |")
    for (row, name), results in sorted(found.items(), key=lambda e: ROWS.index(e[0][0])):
        median = lambda key: statistics.median(r[key] for r in results)
        share = f"{median('share'):.0f} %" if "share" in results[0] else ""
        print(f"| {row} | {name} | {median('decode'):.1f} | {median('prefill'):.0f} | {share} |")


if __name__ == "__main__":
    main()

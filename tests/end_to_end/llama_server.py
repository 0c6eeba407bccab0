"""The real llama.cpp server on a tiny model of random weights, which it writes first: loopback, a free port.

Run by path as a program in a folder of its own, ended by its pid. Prints `listening on URL`. Tokens are
bytes and a few short words, so what it writes has no meaning, but its answers have llama.cpp's
form, times and counts.
"""

import argparse
import os
import signal
import socket
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

WORDS = ("▁the", "▁a", "▁ship", "▁sea", "▁wind", "▁sail", "▁port", "▁keel", "▁tide", "▁crew")
HEADS = 4
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


def vocabulary() -> tuple[list[str], list[float], list[int]]:
    """Tokens, scores and types of a SentencePiece vocabulary: three marks, 256 bytes, some words."""
    marks = ["<unk>", "<s>", "</s>"]
    tokens = [*marks, *(f"<0x{byte:02X}>" for byte in range(256)), *WORDS]
    kinds = gguf.TokenType
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256, *[kinds.NORMAL] * len(WORDS)]
    return tokens, [-float(number) for number in range(len(tokens))], [int(one) for one in types]


def write_model(path: Path, *, width: int, layers: int, context: int) -> None:
    """A llama of `width` and `layers` whose weights are drawn with a fixed seed: the same file each time."""
    draw = np.random.default_rng(7)
    tokens, scores, types = vocabulary()
    inner = 2 * width

    def weights(*shape: int) -> np.ndarray:
        return (draw.standard_normal(shape) * 0.1).astype(np.float32)

    out = gguf.GGUFWriter(path, "llama")
    out.add_context_length(context)
    out.add_embedding_length(width)
    out.add_block_count(layers)
    out.add_feed_forward_length(inner)
    out.add_head_count(HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(width // HEADS)
    out.add_vocab_size(len(tokens))
    out.add_tokenizer_model("llama")
    out.add_token_list(tokens)
    out.add_token_scores(scores)
    out.add_token_types(types)
    out.add_unk_token_id(0)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_chat_template(TEMPLATE)
    out.add_tensor("token_embd.weight", weights(len(tokens), width))
    for layer in range(layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            out.add_tensor(f"blk.{layer}.{name}.weight", weights(width, width))
        out.add_tensor(f"blk.{layer}.ffn_gate.weight", weights(inner, width))
        out.add_tensor(f"blk.{layer}.ffn_up.weight", weights(inner, width))
        out.add_tensor(f"blk.{layer}.ffn_down.weight", weights(width, inner))
        for name in ("attn_norm", "ffn_norm"):
            out.add_tensor(f"blk.{layer}.{name}.weight", np.ones(width, np.float32))
    out.add_tensor("output_norm.weight", np.ones(width, np.float32))
    out.add_tensor("output.weight", weights(len(tokens), width))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def serve(
    path: Path, *, slots: int, context: int, unified: bool, port: int, embeddings: bool
) -> xllamacpp.Server:
    """llama.cpp's own HTTP server in this process; `context` tokens a slot, or `unified` for all."""
    params = xllamacpp.CommonParams()
    if embeddings:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.model.path = str(path)
    params.model_alias = {"tiny"}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = slots
    params.n_ctx = slots * context
    params.kv_unified = unified
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.endpoint_metrics = True
    params.fit_params = False
    params.ui = False
    return xllamacpp.Server(params)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--unified", action="store_true", help="slots share their context")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--embeddings", action="store_true", help="embed texts instead of going on with them")
    parser.add_argument("--loading", action="store_true", help="serve, but never end loading the model")
    args = parser.parse_args()
    path, port = Path("tiny.gguf"), args.port
    if args.loading:
        os.mkfifo(path)  # whoever opens it waits for a writer that never comes
        port = port or free_port()
        print(f"listening on http://127.0.0.1:{port}", flush=True)
    else:
        write_model(path, width=args.width, layers=args.layers, context=args.slots * args.context)
    server = serve(
        path,
        slots=args.slots,
        context=args.context,
        unified=args.unified,
        port=port,
        embeddings=args.embeddings,
    )
    print(f"listening on {server.listening_address}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()

"""Memories on disk: one safetensors file, its header holding what is not a tensor."""
# ruff: noqa: N803 (names end in the shape of the tensor)

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.ratio_choice import DrawnRatio, RatioChoice

FORMAT = "video-xl-memory-1"
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "int8": torch.int8}


def write_memory_file(
    path: Path, state: Any, layers: Iterable[tuple[Tensor, Tensor]], raw_VC: Tensor, dtype: str | None
) -> None:
    """Write keys, values, raw tokens and state.

    Args:
        path: of the file.
        state: a `MemoryState`.
        layers: for each layer keys and values, [H, P, D]; taken one at a time.
        raw_VC: visual tokens of the unfinished window.
        dtype: a key of `DTYPES`, or None to keep the type.

    Raises:
        ValueError: an unknown dtype.
    """
    if dtype is not None and dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {sorted(DTYPES)} or None, not {dtype!r}")
    tensors: dict[str, Tensor] = {}
    for index, pair in enumerate(layers):
        for name, tensor in zip(("k", "v"), pair, strict=True):
            tensors |= _packed(f"layer{index}.{name}", tensor.cpu(), dtype)
    raw_dtype = raw_VC.dtype if dtype is None else torch.bfloat16 if dtype == "int8" else DTYPES[dtype]
    tensors["raw"] = raw_VC.cpu().to(raw_dtype).contiguous()
    fields = {**vars(state), "ratio": _ratio_to_json(state.ratio)}
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata={"format": FORMAT, "layers": str(index + 1), "state": json.dumps(fields)})
    os.replace(partial, path)


def read_memory_file(path: Path) -> tuple[dict[str, Any], list[tuple[Tensor, Tensor]], Tensor]:
    """State fields, keys and values of each layer, raw tokens.

    Raises:
        ValueError: no memory, or a damaged one.
        FileNotFoundError: no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no memory at {path}: make one with model.compress(...).save(...)")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise ValueError(f"{path} is no memory of this kind (format {header.get('format')!r}, not {FORMAT!r})")
            layers = [
                (_unpacked(file, f"layer{index}.k"), _unpacked(file, f"layer{index}.v"))
                for index in range(int(header["layers"]))
            ]
            raw = file.get_tensor("raw")
        fields = json.loads(header["state"])
        return {**fields, "ratio": _ratio_from_json(fields["ratio"])}, layers, raw
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path} is damaged or no memory: {error}") from error


def _packed(name: str, tensor: Tensor, dtype: str | None) -> dict[str, Tensor]:
    if dtype != "int8":
        return {name: tensor.to(DTYPES[dtype] if dtype else tensor.dtype).contiguous()}
    scale = tensor.float().abs().amax(-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / 127
    return {name: (tensor.float() / scale).round().to(torch.int8), f"{name}.scale": scale.contiguous()}


def _unpacked(file: Any, name: str) -> Tensor:
    tensor = file.get_tensor(name)
    return tensor.float() * file.get_tensor(f"{name}.scale") if tensor.dtype == torch.int8 else tensor


def _ratio_to_json(ratio: RatioChoice) -> Any:
    if isinstance(ratio, DrawnRatio):
        return {"choices": list(ratio.choices), "generator": ratio.generator.bit_generator.state}
    return int(ratio) if isinstance(ratio, (int, np.integer)) else [int(value) for value in ratio]


def _ratio_from_json(stored: Any) -> RatioChoice:
    if not isinstance(stored, dict):
        return stored
    generator = np.random.Generator(getattr(np.random, stored["generator"]["bit_generator"])())
    generator.bit_generator.state = stored["generator"]
    return DrawnRatio(stored["choices"], generator)

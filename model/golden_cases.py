"""Reading a folder of golden numbers: manifest, inputs by rule, stored outputs."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor


@dataclass
class GoldenFolder:
    """A folder with `manifest.json`, `published/`, `clip/` and `*.safetensors`.

    Raises:
        FileNotFoundError: it has no manifest.
    """

    path: Path
    manifest: dict[str, Any] = field(init=False)
    _where: dict[str, Path] = field(init=False)

    def __post_init__(self) -> None:
        manifest = self.path / "manifest.json"
        if not manifest.is_file():
            raise FileNotFoundError(f"{self.path} has no manifest.json: name a folder of golden numbers")
        self.manifest = json.loads(manifest.read_text())
        self._where = {}
        for file in sorted(self.path.glob("*.safetensors")):
            with safe_open(file, framework="pt") as opened:
                self._where |= dict.fromkeys(opened.keys(), file)

    @property
    def cases(self) -> dict[str, dict[str, Any]]:
        """Cases by name."""
        return self.manifest["cases"]

    def tolerance(self, name: str) -> float:
        """A tolerance of the manifest, `logits_atol` for example."""
        return self.manifest["recommended_tolerance"][name]

    def has(self, name: str) -> bool:
        """Whether a tensor is stored."""
        return name in self._where

    def tensor(self, name: str) -> Tensor:
        """A stored tensor."""
        with safe_open(self._where[name], framework="pt") as file:
            return file.get_tensor(name)

    def pixels(self, case: dict[str, Any]) -> Tensor:
        """Pixel values of a case, [F, 3, S, S], made by the manifest's rule and checked against its digest.

        Raises:
            ValueError: this numpy draws other numbers.
        """
        rule = case["pixels"]
        size = self.manifest["vision_config"]["image_size"]
        drawn = np.random.default_rng(rule["seed"]).standard_normal((rule["F"], 3, size, size)).astype(np.float32)
        if hashlib.sha256(drawn.tobytes()).hexdigest() != rule["sha256"]:
            raise ValueError("numpy draws other pixels than when the numbers were made: use another numpy")
        return torch.from_numpy(drawn)

    def image_pixels(self, name: str) -> Tensor:
        """Pixel values of a stored image's tiles, the whole image in front left out."""
        case = self.cases[f"visual_{name}"]
        tiles = self.tensor(f"{name}.tiles_u8")[1:].float()
        tiles = tiles.permute(0, 3, 1, 2) if tiles.shape[-1] == 3 else tiles
        mean, std = (torch.tensor(case[key]).view(3, 1, 1) for key in ("image_mean", "image_std"))
        return (tiles / 255 - mean) / std

    def ids(self, case: dict[str, Any], media_token_id: int, media: int = 1) -> Tensor:
        """The prompt [1, ids], each mark written as `media` of ours."""
        stored = case.get("input_ids") or self._drawn_ids(case)
        mark = self.manifest["image_token_index"]
        ids = [new for one in stored for new in ([media_token_id] * media if one == mark else [one])]
        return torch.tensor([ids])

    def _drawn_ids(self, case: dict[str, Any]) -> list[int]:
        vocabulary = self.manifest["model_config"]["vocab_size"]
        draw = np.random.default_rng(case["prompt_seed"])
        before, after = (draw.integers(10, vocabulary - 12, case[n]).tolist() for n in ("n_before", "n_after"))
        return [*before, self.manifest["image_token_index"], *after]

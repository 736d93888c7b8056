"""Names of weights in the published checkpoint, and ours."""

import re

PUBLISHED_TO_OURS: tuple[tuple[str, str], ...] = (
    (r"^model\.vision_tower\.vision_tower\.vision_model\.", "model.vision_tower."),
    (r"^model\.mm_projector\.0\.", "model.projector.linear_1."),
    (r"^model\.mm_projector\.2\.", "model.projector.linear_2."),
    (r"^model\.beacon_embed_tokens\.", "model.language_model.vst_embedding."),
    (r"^model\.(layers\.\d+\.self_attn)\.beacon_([qkv])_proj\.", r"model.language_model.\1.vst_\2_proj."),
    (r"^model\.(layers|embed_tokens|norm)\.", r"model.language_model.\1."),
    (r"^lm_head\.", "lm_head."),
)

IGNORED = re.compile(r"\.embeddings\.position_ids$|\.rotary_emb\.inv_freq$")
"""Keys that older transformers wrote; they hold no weights."""


def our_name(published: str) -> str | None:
    """Our name for a published weight, or None if there is no such weight."""
    for pattern, ours in PUBLISHED_TO_OURS:
        if re.match(pattern, published):
            return re.sub(pattern, ours, published)
    return None

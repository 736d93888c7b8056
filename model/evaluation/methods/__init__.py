"""Ways to look at a long video, behind one protocol: frames' visual tokens in, a memory to ask out.

    kept_tokens.py       what a way that drops or averages tokens yields
    pool_space.py, pool_time.py, drop_frames.py, two_tokens.py, merge_frames.py, merge_places.py
    method.py            a way with its factor and positions: "pool-space:16:yarn"
    watch.py             a way, applied
"""

"""Needle in a haystack: one still among the frames of a long video, asked for at every length and depth.

    needle.py         five needles drawn by us, or one's own from a folder
    hay.py            frames of a long video, one a second, through the vision tower once
    needle_grid.py    lengths x depths x ways to look x needles, asked in both published ways
    needle_maps.py    heat maps: PNG, and a page that needs nothing else
    ask.py            the command: python -m model.evaluation.needles.ask
    miniature.py      hay and needles that the tiny models of `make learn` know
"""

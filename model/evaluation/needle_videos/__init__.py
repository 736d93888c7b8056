"""Long videos with needles in them and questions about these, in VNBench's format, made from any videos.

    needle_plan.py      what is put where, and what is asked: from a seed, without a picture
    needle_pictures.py  needles drawn: shapes, letters, captions
    needle_film.py      a video with its needles, written
    make.py             the command: python -m model.evaluation.needle_videos.make
"""

"""Ready questions about a data set, for `inspect-vico --examples`."""

EXAMPLES: dict[str, str] = {
    "How many questions are there of each kind, and from how many frames on can they be answered?":
        "SELECT kind, count(*) AS samples, min(min_frames) AS from_frames, round(avg(distance_s)) AS mean_distance_s\n"
        "FROM samples GROUP BY kind ORDER BY samples DESC;",
    "How many questions does each video give per hour?":
        "SELECT coalesce(title, source) AS video, round(duration_s / 60, 1) AS minutes, n_samples,\n"
        "       round(n_samples / (duration_s / 3600)) AS per_hour\n"
        "FROM videos ORDER BY per_hour DESC LIMIT 10;",
    "What was left out, and why?":
        "SELECT stage, reason, count(*) AS times FROM rejected GROUP BY stage, reason ORDER BY times DESC;",
    "Is every letter right equally often?":
        "SELECT chr(CAST(65 + answer_index AS INTEGER)) AS letter, count(*) AS times\n"
        "FROM samples WHERE answer_index IS NOT NULL GROUP BY letter ORDER BY letter;",
    "How many questions keep two frames in every evidence clip at a budget of frames?":
        "SELECT frames, count(*) FILTER (min_frames <= frames) AS usable, count(*) AS samples\n"
        "FROM samples, (SELECT unnest([16, 32, 64, 128, 256, 512]) AS frames) GROUP BY frames ORDER BY frames;",
    "What can be guessed without the video?":
        "SELECT kind, sum(checks.blind_right) AS right, sum(checks.blind_asked) AS asked\n"
        "FROM samples GROUP BY kind HAVING asked > 0 ORDER BY kind;",
    "Which clues were dropped, and for what?":
        "SELECT reason, text, start_s FROM clues WHERE NOT kept ORDER BY reason, start_s LIMIT 10;",
    "Where do words come up, in captions or in subtitles?":
        "SELECT clip_id, start_s, caption FROM clips\n"
        "WHERE contains(lower(concat_ws(' ', caption, CAST(subtitles AS VARCHAR))), 'red')\n"
        "ORDER BY clip_id LIMIT 5;",
    "Which clips does the most rest on?":
        "SELECT video_id, e.clip_index, count(*) AS questions FROM samples, unnest(evidence) AS piece(e)\n"
        "GROUP BY ALL ORDER BY questions DESC, video_id, e.clip_index LIMIT 5;",
    "Which clips move most?":
        "SELECT clip_id, round(measures.motion, 2) AS motion, caption FROM clips\n"
        "ORDER BY measures.motion DESC, clip_id LIMIT 5;",
    "How large are the pictures of each split?":
        "SELECT split, count(*) AS frames, round(sum(octet_length(image.bytes)) / 1e6, 1) AS megabytes\n"
        "FROM frames JOIN videos USING (video_id) GROUP BY split ORDER BY split;",
}
"""A question and the SQL that answers it."""

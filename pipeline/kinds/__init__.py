"""The kinds of questions, one family a file. `pipeline.kinds.all_kinds` names them all."""

"""Public benchmarks, one file each: where the files lie, how they are asked, how they are scored."""

"""The stages of `build-vico`, one file each: plain functions over records, no orchestration inside."""

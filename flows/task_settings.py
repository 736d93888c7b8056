"""How Prefect runs the task of a stage: it tries twice and keeps no result, as the work store knows what is done."""

from prefect.cache_policies import NO_CACHE

STAGE_TASK = {"retries": 1, "retry_delay_seconds": 1, "cache_policy": NO_CACHE, "persist_result": False}

"""What pydantic finds wrong, for people."""

from pydantic import ValidationError


def faults_in(error: ValidationError, whole: str) -> list[str]:
    """Each fault with its place: `sources.0.name: Field required`.

    Args:
        error: what was raised.
        whole: the name for faults of no single field.
    """
    return [f"{'.'.join(map(str, fault['loc'])) or whole}: {fault['msg']}" for fault in error.errors()]

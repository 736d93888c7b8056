"""What is asked of a model server, its key among stored answers, and its HTTP body."""

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

Part = str | bytes
"""A piece of a message: text, or a JPEG."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation: `role` is system, user or assistant."""

    role: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: everything that decides the answer, and nothing else."""

    model: str
    messages: tuple[Message, ...]
    schema_name: str
    schema: dict[str, Any]
    max_tokens: int
    temperature: float = 0.0

    def key(self) -> str:
        """Hash of all of it, pictures by their bytes: 32 hex digits."""
        said = [self.model, self.schema_name, self.schema, self.max_tokens, self.temperature,
                [[message.role, [_named(part) for part in message.parts]] for message in self.messages]]
        text = json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def and_then(self, *messages: Message) -> "Request":
        """The same request with more turns at its end."""
        return replace(self, messages=(*self.messages, *messages))

    def body(self) -> bytes:
        """The HTTP body. Pictures are joined in as bytes: encoding them as JSON text would cost more than sending."""
        turns = [
            b'{"role":%s,"content":[%s]}' % (as_json(message.role), b",".join(map(_part_json, message.parts)))
            for message in self.messages]
        rest = {
            "model": self.model, "max_tokens": self.max_tokens, "temperature": self.temperature,
            "response_format": {"type": "json_schema", "json_schema": {
                "name": self.schema_name, "schema": self.schema, "strict": True}}}
        return b'{"messages":[%s],%s' % (b",".join(turns), as_json(rest)[1:])


def as_json(value: Any) -> bytes:
    """The shortest JSON of a value."""
    return json.dumps(value, separators=(",", ":")).encode()


def _named(part: Part) -> Any:
    return part if isinstance(part, str) else {"jpeg": hashlib.sha256(part).hexdigest()}


def _part_json(part: Part) -> bytes:
    if isinstance(part, str):
        return as_json({"type": "text", "text": part})
    return (b'{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,'
            + base64.b64encode(part) + b'"}}')

"""A hash over what columns say, however the rows are cut into row groups and laid out in memory."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class ContentHash:
    """Takes rows in any portions; the same rows in the same order have the same hash."""

    def __init__(self) -> None:
        self._parts: dict[str, hashlib._Hash] = {}

    def add(self, name: str, values: pa.Array) -> None:
        """Take more values of a column: words, numbers, and lists and structures of them.

        Args:
            name: of the column.
            values: the next ones.
        """
        self._take(f"{name} is there", values.is_valid())
        if pa.types.is_list(values.type):
            self._take(f"{name} length", pc.fill_null(pc.list_value_length(values), 0))
            self.add(f"{name}[]", values.flatten())
        elif pa.types.is_struct(values.type):
            for field in values.type:
                self.add(f"{name}.{field.name}", pc.struct_field(values, field.name))
        elif pa.types.is_string(values.type):
            words = pc.fill_null(values, "")
            self._take(f"{name} length", pc.binary_length(words))
            self._update(name, _letters(words))
        else:
            self._take(name, pc.fill_null(values, 0))

    def hexdigest(self) -> str:
        """The hash of all that was taken."""
        whole = hashlib.sha256()
        for name, part in sorted(self._parts.items()):
            whole.update(f"{name} {part.hexdigest()}\n".encode())
        return whole.hexdigest()

    def _take(self, name: str, numbers: pa.Array) -> None:
        self._update(name, np.ascontiguousarray(numbers.to_numpy(zero_copy_only=False)))

    def _update(self, name: str, data: pa.Buffer | np.ndarray) -> None:
        self._parts.setdefault(name, hashlib.sha256()).update(data)


def _letters(words: pa.StringArray) -> pa.Buffer | np.ndarray:
    """The bytes of some words without null, one after another, as they lie in memory."""
    _, offsets, letters = words.buffers()
    if not len(words) or letters is None:
        return np.empty(0, np.uint8)
    begins = np.frombuffer(offsets, np.int32)[words.offset:words.offset + len(words) + 1]
    return letters[int(begins[0]):int(begins[-1])]

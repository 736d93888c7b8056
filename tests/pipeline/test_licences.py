"""Licences in the many ways in which they are written."""

import pytest

from pipeline.licences import licence_name


@pytest.mark.parametrize(("text", "name"), [
    ("Creative Commons Attribution license (reuse allowed)", "cc-by"), ("CC BY 4.0", "cc-by"), ("cc-by", "cc-by"),
    ("CC_BY", "cc-by"), ("cc-by-4.0", "cc-by"), ("http://creativecommons.org/licenses/by/3.0/", "cc-by"),
    ("https://creativecommons.org/licenses/by-nc-sa/4.0/", "cc-by-nc-sa"), ("CC BY-SA 3.0", "cc-by-sa"),
    ("CC BY-NC-ND", "cc-by-nc-nd"), ("CC BY NC 4.0", "cc-by-nc"),
    ("Creative Commons Attribution-NonCommercial 4.0", "cc-by-nc"),
    ("Creative Commons Attribution-ShareAlike", "cc-by-sa"), ("CC0 1.0", "cc0"), ("Public Domain", "public-domain"),
    ("public-domain", "public-domain"), ("http://creativecommons.org/publicdomain/mark/1.0/", "public-domain"),
    ("https://creativecommons.org/publicdomain/zero/1.0/", "cc0"),
    ("Standard YouTube License", "standard youtube license"), ("not cc-by", "not cc-by"),
    ("All rights reserved; not CC BY", "all rights reserved; not cc by"), ("", None), ("  ", None), (None, None),
])
def test_every_way_of_writing_has_one_name(text: str | None, name: str | None) -> None:
    assert licence_name(text) == name

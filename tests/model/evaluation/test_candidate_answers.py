"""Which answers an open question leaves to choose from."""

import pytest

from model.evaluation.candidate_answers import MOST_CANDIDATES, candidate_answers

MOMENTS = ["A red ring appears.", "A blue star appears.", "A green heart appears."]


def sample(question: str, answer: str) -> dict:
    said = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"sample_id": "0123", "conversations": said}


def listed(words: str) -> str:
    return "\n".join([f"<image>\n{words}", *(f"- {moment}" for moment in MOMENTS)])


@pytest.mark.parametrize("right", MOMENTS)
def test_one_of_what_is_listed(right):
    found = candidate_answers(sample(listed("Which of these moments is the first?"), right))
    assert found[0] == right
    assert sorted(found) == sorted(MOMENTS)


def test_orders_of_all_that_is_listed():
    right = "1. A blue star appears.\n2. A red ring appears.\n3. A green heart appears."
    found = candidate_answers(sample(listed("Retell these moments in their order."), right))
    assert found[0] == right
    assert len(set(found)) == MOST_CANDIDATES
    for answer in found:
        lines = answer.split("\n")
        assert [line[:3] for line in lines] == ["1. ", "2. ", "3. "]
        assert sorted(line[3:] for line in lines) == sorted(MOMENTS)


def test_two_moments_have_one_other_order():
    question = "<image>\nSort these.\n- A red ring appears.\n- A blue star appears."
    found = candidate_answers(sample(question, "1. A red ring appears.\n2. A blue star appears."))
    assert found[1:] == ["1. A blue star appears.\n2. A red ring appears."]


@pytest.mark.parametrize("answer", ["Red.", "A red ring appears. A blue star appears."])
def test_nothing_to_choose_from(answer):
    assert candidate_answers(sample("<image>\nDescribe it.", answer)) == [answer]

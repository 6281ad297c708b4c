from libs.console.broadcasts import checked


def test_what_a_look_at_the_messages_has_found_is_said_in_lines() -> None:
    found = {
        "people": 1100,
        "wrong": 3,
        "lacking": [{"variable": "last_name", "people": 2}],
        "too_long": 1,
        "parts": [{"is_second": False, "parts": 2, "messages": 997}, {"is_second": True, "parts": 1, "messages": 997}],
    }
    assert checked(found) == [
        "May get it: 1,100. Their messages cannot be made: 3.",
        "Without a value for last_name: 2",
        "More than 1,600 characters: 1",
        "First message in 2 parts: 997",
        "Follow-up in 1 parts: 997",
    ]

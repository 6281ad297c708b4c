"""What notices say, how a webhook is signed, and how long one waits for another try."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages import Catalog, pofile

from libs.common import catalogue
from libs.common.domain.notices import NoticeKind
from services.planner.notices import channels, delivery, words
from services.planner.notices.channels import Dispatch
from services.planner.notices.queries import Figures
from services.planner.notices.words import Facts

DETROIT = ZoneInfo("America/Detroit")
AT = datetime(2026, 11, 30, 19, 30, tzinfo=UTC)
FIGURES = Figures(people=1200, first=1150, no_word=30, second=900, replies=210, opt_outs=4, known=2080, failed=420)


def said(kind: NoticeKind, **facts: object) -> str:
    given = {"broadcast_id": 7, "run_at": AT, "figures": FIGURES, **facts}
    letter = words.letter(Facts(kind=kind, **given), DETROIT)  # type: ignore[arg-type]
    return f"{letter.title} | {letter.body} | {letter.path}"


@pytest.mark.parametrize(
    ("kind", "facts", "words_"),
    [
        (
            NoticeKind.PAUSED, {"reason": "staff", "doer": "Ana"},
            ("Paused: the broadcast of Mon 30 Nov, 14:30 | Ana paused it. Nothing more is sent until somebody goes on."
            " | /desk/broadcasts/7"),
        ),
        (
            NoticeKind.PAUSED, {"reason": "30034"},
            ("Paused: the broadcast of Mon 30 Nov, 14:30 | It was paused: Blocked by the phone companies: our number is"
            " not registered. Nothing more is sent until somebody goes on. | /desk/broadcasts/7"),
        ),
        (
            NoticeKind.MISSED, {"reason": "not_approved"},
            ("Did not go out: the broadcast of Mon 30 Nov, 14:30 | It did not go out: nobody had approved it. You can"
            " send it now, or leave it. | /desk/broadcasts/7"),
        ),
        (
            NoticeKind.WANTS_APPROVAL, {"doer": "Ana"},
            ("Waits for approval: the broadcast of Mon 30 Nov, 14:30 | Ana wrote it, and somebody else has to"
            " approve it before it can go out. | /desk/broadcasts/7"),
        ),
        (
            NoticeKind.MANY_FAILURES, {"code": "30006"},
            ("Many texts fail: the broadcast of Mon 30 Nov, 14:30 | 420 of 2,080 texts whose end is known did not"
            " arrive. Most of them: Landline: cannot get texts. Ask them for a mobile number, and add it by import."
            " | /desk/broadcasts/7"),
        ),
        (
            NoticeKind.LIKELY_OPT_OUTS, {"likely": 3},
            ("Likely opt-outs: 3 people | 3 people may have asked to be left alone. Nothing is sent to any of them"
            " until somebody has decided. | /desk/replies?only=likely-opt-outs"),
        ),
        (
            NoticeKind.TEST, {},
            ("A test notice | Somebody asked for it under Settings, Notices. What you chose there comes the same way."
            " | /desk/settings/notices"),
        ),
        (
            NoticeKind.FINISHED, {},
            ("Done: the broadcast of Mon 30 Nov, 14:30 | 1,150 of 1,200 got it; of 30 there is no word; 20 did not. The"
            " follow-up went to 900. Replied: 210. Opted out: 4. | /desk/broadcasts/7"),
        ),
    ],
)  # fmt: skip
def test_a_notice_is_said_in_an_editors_words(kind: NoticeKind, facts: dict[str, object], words_: str) -> None:
    assert said(kind, **facts) == words_


def test_every_kind_has_words() -> None:
    assert set(words.WORDS) == set(NoticeKind)


def test_a_webhook_is_signed_as_the_standard_says() -> None:
    """The values are the example of https://github.com/standard-webhooks/standard-webhooks."""
    signed = channels.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_letter_that_comes_twice_has_the_same_id_and_is_answered_by_no_machine() -> None:
    dispatch = Dispatch(
        id=3, type="notice.paused", title="Paused: ü", body="Words.", url="https://desk.example.org/desk/broadcasts/7",
        broadcast_id=7, happened_at=AT, address="ana@example.org", secret=None,
    )  # fmt: skip
    letters = [channels.email(dispatch, "Broadsheet <texts@example.org>", AT + timedelta(hours=n)) for n in range(2)]
    assert {letter["Message-ID"] for letter in letters} == {"<notice-3@example.org>"}
    assert letters[0]["Auto-Submitted"] == "auto-generated"
    assert dispatch.url in letters[0].get_content()


def test_each_try_waits_twice_as_long_up_to_an_hour() -> None:
    waits = [delivery.wait(n).total_seconds() for n in (1, 2, 3, 8, 9, 500)]
    assert waits == [30, 60, 120, 3600, 3600, 3600]


def test_a_notice_is_in_the_organisations_language(tmp_path: Path) -> None:
    texts = Catalog("es")
    texts.add("Paused: the broadcast of %(when)s", "En pausa: el envío del %(when)s")
    texts.add("It was paused: %(why)s. Nothing more is sent until somebody goes on.", "En pausa: %(why)s.")
    texts.add("Blocked by the phone companies: our number is not registered", "el número no está registrado")
    path = catalogue.path("es", tmp_path)
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        pofile.write_po(file, texts)
    catalogue.speak("es", tmp_path)
    try:
        written = said(NoticeKind.PAUSED, reason="30034")
    finally:
        catalogue.speak("en")
    assert written == (
        "En pausa: el envío del lun 30 nov, 14:30 | En pausa: el número no está registrado. | /desk/broadcasts/7"
    )

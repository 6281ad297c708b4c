"""`broadsheet keywords`: words by which people sign up, over the API."""

from typing import Annotated, Any

import typer

from libs.console.client import connect
from libs.console.inputs import Json, Key, key_header, text_of
from libs.console.printing import Yes, after, agree, one_line, say, show, show_all

KeywordId = Annotated[int, typer.Argument(help="The keyword's id.")]
Welcome = Annotated[str, typer.Option(help="What they get, or @FILE. It names STOP.")]
Question = Annotated[
    str, typer.Option(help="What they are asked first, or @FILE; only a YES within a day counts then.")
]

COLUMNS = ("id", "word", "tag", "welcome", "question")

keywords = typer.Typer(no_args_is_help=True, help="Words by which people sign up.")


@keywords.command("create")
def create_keyword(
    word: str,
    tag: Annotated[str, typer.Option(help="What whoever texts it is tagged with.")],
    welcome: Welcome,
    question: Question = "",
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Make a keyword: who texts it is tagged and welcomed, and their consent is on record."""
    body = {"word": word, "tag": tag, "welcome": text_of(welcome), "question": text_of(question) if question else None}
    found = connect().call("POST", "/keywords", json=body, headers=key_header(key))
    with after(f"Keyword {found['id']} is made."):
        show(found, as_json=as_json)


@keywords.command("list")
def list_keywords(as_json: Json = False) -> None:
    """List the keywords."""
    show_all(connect().all("/keywords"), COLUMNS, as_json=as_json)


@keywords.command("show")
def show_keyword(keyword_id: KeywordId, as_json: Json = False) -> None:
    """Show a keyword."""
    show(connect().call("GET", f"/keywords/{keyword_id}"), as_json=as_json)


@keywords.command("change")
def change_keyword(
    keyword_id: KeywordId,
    word: Annotated[str | None, typer.Option(help="Another word.")] = None,
    tag: Annotated[str | None, typer.Option(help="Another tag.")] = None,
    welcome: Annotated[str | None, typer.Option(help="Another welcome, or @FILE.")] = None,
    question: Annotated[str | None, typer.Option(help="Another question, or @FILE.")] = None,
    no_question: Annotated[bool, typer.Option("--no-question", help="Let the word alone be enough.")] = False,
    as_json: Json = False,
) -> None:
    """Change a keyword, for whoever texts it from now on."""
    if question is not None and no_question:
        raise typer.BadParameter("give --question or --no-question, and not both")
    given = {
        "word": word,
        "tag": tag,
        "welcome": None if welcome is None else text_of(welcome),
        "question": None if question is None else text_of(question),
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if no_question:
        changes["question"] = None
    if not changes:
        raise typer.BadParameter("say what is to change: --word, --tag, --welcome, --question or --no-question")
    found = connect().call("PATCH", f"/keywords/{keyword_id}", json=changes)
    with after(f"Keyword {keyword_id} is changed."):
        show(found, as_json=as_json)


@keywords.command("delete")
def delete_keyword(keyword_id: KeywordId, yes: Yes = False, as_json: Json = False) -> None:
    """Delete a keyword, after asking; who has signed up by it stays."""
    client = connect()
    if not yes:
        word = one_line(client.call("GET", f"/keywords/{keyword_id}")["word"])
        agree(f"Delete keyword {keyword_id} (“{word}”) for good?", yes=yes)
    client.call("DELETE", f"/keywords/{keyword_id}")
    with after(f"Keyword {keyword_id} is deleted."):
        say(f"Keyword {keyword_id} is deleted.", {"id": keyword_id, "deleted": True}, as_json=as_json)

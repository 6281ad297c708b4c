"""Letters large and small are one in a search, whatever the database was made with."""

#: PostgreSQL's own, of every installation since 17: it knows the letters of all scripts. The collation of a database
#: that was made with `C` knows A to Z, and others depend on the system below.
COLLATION = "pg_c_utf8"


def folded(expression: str) -> str:
    """Return an expression in SQL whose texts are equal where those of `expression` differ by large and small letters.

    By way of the large ones: of some letters there are two small ones, as Greek has two for one sigma.
    """
    return f"lower(upper({expression} COLLATE {COLLATION}))"

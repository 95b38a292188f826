"""An error as a technician sees it: number, what is wrong, and what to do."""

from chopmark.console.desk import Language
from chopmark.console.words import find_text, t
from chopmark.console.words.numbers import number
from chopmark.core.errors import ChopmarkError


def explain(language: Language, error: ChopmarkError) -> str:
    """`E-1042: what is wrong; do: what to do`.

    Errors speak English, since they come from everywhere. Another language has a sentence of its
    own before that, if its tables have `error.CODE`.
    """
    own = None if language == "en" else find_text(language, f"error.{error.code}")
    message = f"{own} ({error.message})" if own else error.message
    todo = f"; {t(language, 'error.do')}: {error.hint}" if error.hint else ""
    return f"{number(error.code)}: {message}{todo}"

"""XML of unknown origin as a plain tree: no entities, nothing fetched, bounded in size, depth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from numasim.errors import ConfigError, Problem

MOST_ELEMENTS = 500_000
DEEPEST = 100


@dataclass
class Element:
    """One element: name, attributes, text, children."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def get(self, name: str) -> str:
        """An attribute, or the empty text."""
        return self.attributes.get(name, "")


class _Refused(Exception):
    """The document is nothing one should read on."""


def parse(data: bytes, source: str) -> Element:
    """The root element of a document.

    Parameters
    ----------
    data : bytes
    source : str
        For complaints.

    Returns
    -------
    Element

    Raises
    ------
    ConfigError
        If it is not well-formed, declares entities, or is larger or deeper than any topology.
    """
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.EntityDeclHandler = builder.entity
    parser.ExternalEntityRefHandler = builder.entity
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        message = f"not XML: {expat.errors.messages[error.code]}"
        raise ConfigError(Problem(f"line {error.lineno}", message), source) from None
    except _Refused as refused:
        place = f"line {parser.CurrentLineNumber}"
        raise ConfigError(Problem(place, str(refused)), source) from None
    except (LookupError, ValueError) as error:  # an encoding that is unknown or no text encoding
        raise ConfigError(Problem("", f"not XML: {error}"), source) from None
    assert builder.root is not None
    return builder.root


class _Builder:
    """Handlers of the parser."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._nr = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._nr += 1
        if self._nr > MOST_ELEMENTS:
            raise _Refused(f"has more than {MOST_ELEMENTS} elements, which no topology has")
        if len(self._open) >= DEEPEST:
            raise _Refused(f"is nested deeper than {DEEPEST} elements, which no topology is")
        element = Element(tag, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, _tag: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        self._open[-1].text += data

    def entity(self, *_: Any) -> int:
        raise _Refused("declares entities, which no topology needs")

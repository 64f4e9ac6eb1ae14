"""Reads the YAML that the manifests in examples/ keep to, and refuses all other.

Block maps and lists, plain and double-quoted scalars, `|` texts, comments on lines of their own,
documents apart by `---`. Nothing of that reads differently in any YAML.
"""

import json
import re

KEY = re.compile(r"([A-Za-z_.$][\w./$-]*):(?: (.*))?$")
PLAIN = re.compile(r"([A-Za-z/][\w ./:+-]*|[0-9]+(m|Mi|Gi))$")
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)$")
WORDS = {"true": True, "false": False, "null": None}
ODD_WORDS = {"yes", "no", "on", "off", "y", "n", "true", "false", "null"}  # in other cases


class Refused(Exception):
    """Not in the subset."""


class _Lines:
    def __init__(self, text):
        self.rows = list(enumerate(text.split("\n"), 1))
        self.at = 0

    def skip(self):
        """To the next line that says something."""
        while self.at < len(self.rows):
            stripped = self.rows[self.at][1].strip()
            if stripped and not stripped.startswith("#"):
                return
            self.at += 1

    def peek(self):
        """(indent, what stands there), or (-1, "") at the end."""
        self.skip()
        if self.at == len(self.rows):
            return -1, ""
        number, row = self.rows[self.at]
        if "\t" in row or row != row.rstrip():
            raise Refused(f"line {number}: a tab, or blanks at the end")
        return len(row) - len(row.lstrip()), row.lstrip()

    def refuse(self):
        number, row = self.rows[min(self.at, len(self.rows) - 1)]
        raise Refused(f"line {number}: {row}")


def scalar(word, lines):
    if word.startswith('"'):
        try:
            return json.loads(word)
        except ValueError:
            lines.refuse()
    if NUMBER.match(word):
        return int(word)
    if word in WORDS:
        return WORDS[word]
    if not PLAIN.match(word) or word.lower() in ODD_WORDS or ": " in word:
        lines.refuse()
    return word


def _text(lines, indent):
    """The lines of a `|`, which are indented by more than `indent`."""
    found, depth = [], None
    while lines.at < len(lines.rows):
        row = lines.rows[lines.at][1]
        if row.strip():
            own = len(row) - len(row.lstrip())
            depth = own if depth is None else depth
            if own <= indent:
                break
            if own < depth:
                lines.refuse()
        found.append(row[depth or 0 :])
        lines.at += 1
    return "\n".join(found).rstrip("\n") + "\n"


def _value(word, lines, indent):
    """What stands behind `key:` or `-` of a line at `indent`, whose rest is `word`."""
    if word == "|":
        lines.at += 1
        return _text(lines, indent)
    if word:
        value = scalar(word, lines)
        lines.at += 1
        return value
    lines.at += 1
    depth, _ = lines.peek()
    if depth <= indent:
        lines.refuse()
    return _node(lines, depth)


def _list(lines, indent):
    found = []
    while True:
        depth, row = lines.peek()
        if depth != indent or not row.startswith("- "):
            return found
        rest = row[2:]
        if KEY.match(rest) and not rest.startswith('"'):
            number, whole = lines.rows[lines.at]  # a map that begins on the line of its dash
            lines.rows[lines.at] = (number, whole[:indent] + "  " + rest)
            found.append(_map(lines, indent + 2))
        else:
            found.append(_value(rest, lines, indent))


def _map(lines, indent):
    found = {}
    while True:
        depth, row = lines.peek()
        if depth != indent or row == "---" or row.startswith("- "):
            return found
        match = KEY.match(row)
        if not match or match[1] in found:
            lines.refuse()
        found[match[1]] = _value(match[2] or "", lines, indent)


def _node(lines, indent):
    _, row = lines.peek()
    return _list(lines, indent) if row.startswith("- ") else _map(lines, indent)


def parse(text):
    """The documents of one file."""
    documents, lines = [], _Lines(text)
    while lines.peek()[0] >= 0:
        if lines.peek() == (0, "---"):
            lines.at += 1
            continue
        documents.append(_node(lines, 0))
        depth, row = lines.peek()
        if depth > 0 or (depth == 0 and row != "---"):
            lines.refuse()
    return documents


def read(path):
    with open(path, encoding="utf-8") as f:
        return parse(f.read())

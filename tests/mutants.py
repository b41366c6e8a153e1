"""Mutants of a C source: each a small slip somebody could have made. The source is read as tokens,
so that comments, strings and preprocessor lines stay as they are; what does not compile is found
out by the compiler. Assumes the tree's clang-format style to tell `a * b` from `struct a *b`."""

import re
from dataclasses import dataclass

TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/|^[ \t]*\#(?:\\\n|[^\n])*)
      | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | (?P<number>0[xX][0-9a-fA-F]+[uUlL]*|[0-9]+[uUlL]*(?![\w.]))
      | (?P<word>[A-Za-z_]\w*|[0-9.]+\w*)
      | (?P<sign>->|\+\+|--|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\.\.\.|.)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)

SWAPS = {
    "<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"],
    "==": ["!="], "!=": ["=="], "&&": ["||"], "||": ["&&"],
    "+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["/"],
    "<<": [">>"], ">>": ["<<"], "&": ["|"], "|": ["&"],
    "++": ["--"], "--": ["++"], "+=": ["-="], "-=": ["+="],
}  # fmt: skip
COMPARES = {"<", "<=", ">", ">=", "==", "!="}
SPACED = {"<", ">", "+", "-", "*", "/", "%", "&", "|"}  # with blanks on both sides: binary
TYPES = {
    "struct", "enum", "union", "const", "static", "unsigned", "signed", "char", "int", "long",
    "short", "bool", "void", "float", "double", "size_t", "ssize_t", "socklen_t", "cfg_t",
}  # fmt: skip
CONTROL = {"if", "while", "for", "switch", "else", "do", "case", "default", "return"}
TRUTH = {"true": "false", "false": "true"}


@dataclass(frozen=True)
class Mutant:
    file: str
    start: int
    end: int
    instead: str
    line: int  # counted from 1
    function: str  # "-" outside of one
    before: str  # the line as it stands, and as the mutant has it
    after: str

    def apply(self, source):
        return source[: self.start] + self.instead + source[self.end :]

    def key(self):
        """Names it for as long as its line stays the same, wherever in its function that is."""
        return f"{self.file} | {self.function} | {self.before} | {self.after}"


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int


def tokens_of(source):
    return [
        Token(found.lastgroup, found.group(), found.start(), found.end())
        for found in TOKEN.finditer(source)
        if found.lastgroup != "skip"
    ]


def closing(tokens, at):
    """The place of the parenthesis that closes the one at `at`."""
    depth = 0
    for i in range(at, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[i].text, 0)
        if depth == 0:
            return i
    return at


class Generator:
    def __init__(self, file, source):
        self.file = file
        self.source = source
        self.tokens = tokens_of(source)
        self.found = {}

    def add(self, start, end, instead):
        first = self.source.rfind("\n", 0, start) + 1
        last = self.source.find("\n", end)
        before = " ".join(self.source[first:last].split())
        after = " ".join((self.source[first:start] + instead + self.source[end:last]).split())
        line = self.source.count("\n", 0, start) + 1
        function = self.function_at(start)
        if before != after:
            self.found[(start, end, instead)] = Mutant(
                self.file, start, end, instead, line, function, before, after
            )

    def function_at(self, place):
        names = re.findall(r"^(\w+)\(", self.source[:place], re.MULTILINE)
        closed = self.source.rfind("\n}", 0, place) > self.source.rfind("\n{", 0, place)
        return "-" if closed or not names else names[-1]

    def is_spaced(self, token):
        return self.source[token.start - 1] == " " and self.source[token.end] in " \n"

    def operators(self):
        for token in self.tokens:
            if token.text == "!":
                self.add(token.start, token.end, "")
            elif token.kind == "sign" and (token.text not in SPACED or self.is_spaced(token)):
                for instead in SWAPS.get(token.text, []):
                    self.add(token.start, token.end, instead)
            elif token.text in TRUTH:
                self.add(token.start, token.end, TRUTH[token.text])

    def numbers(self):
        for before, token in zip(self.tokens, self.tokens[1:]):
            if token.kind == "number" and self.source[before.start : token.end] != "-1":
                value = int(token.text.rstrip("uUlL"), 0)
                self.add(token.start, token.end, str(value + 1))
                if value > 0:
                    self.add(token.start, token.end, str(value - 1))

    def conditions(self):
        for i, token in enumerate(self.tokens[:-1]):
            if token.text in ("if", "while") and self.tokens[i + 1].text == "(":
                end = closing(self.tokens, i + 1)
                inside = self.source[self.tokens[i + 1].end : self.tokens[end].start]
                signs = {one.text for one in self.tokens[i + 2 : end]}
                if not signs & {"&&", "||"} and (inside[0] == "!" or signs & COMPARES):
                    continue  # an operator's
                self.add(self.tokens[i + 1].start, self.tokens[end].end, f"(!({inside}))")

    def statements(self):
        """Expression statements and jumps are left out, returned values replaced."""
        depth = 0
        start = None  # of a statement, inside of a function
        parens = 0
        heads = set()  # where the parenthesis behind if, while, for and switch closes
        for i, token in enumerate(self.tokens):
            if token.text in CONTROL and self.tokens[i + 1].text == "(":
                heads.add(closing(self.tokens, i + 1))
            if token.text in ("(", ")"):
                parens += 1 if token.text == "(" else -1
            if parens == 0 and token.text in ("{", "}"):
                depth += 1 if token.text == "{" else -1
            if token.text == ";" and parens == 0 and start is not None and depth > 0:
                self.statement(start, i)
            if parens == 0 and (token.text in ("{", "}", ";", ":", "else") or i in heads):
                start = i + 1

    def statement(self, first, last):
        words = self.tokens[first:last]
        if not words:
            return
        begin, end = words[0].start, self.tokens[last].start
        if words[0].text == "return" and len(words) > 1:
            self.returned(words[1].start, end)
            return
        declares = words[0].text in TYPES or (
            len(words) > 1 and words[0].kind == words[1].kind == "word"
            and words[0].text != "goto"
        )  # fmt: skip
        if words[0].text in CONTROL | {"assert"} or declares or words[0].kind != "word":
            return
        self.add(begin, end, "")

    def returned(self, begin, end):
        value = self.source[begin:end]
        if value in TRUTH or value == "NULL":
            return  # an operator's, or no number
        for instead in {"0": ["-1", "1"], "-1": ["0"], "1": ["0"]}.get(value, ["0", "1"]):
            self.add(begin, end, instead)


def mutants_of(file, source):
    """All mutants of the source, in the order of their places."""
    generator = Generator(file, source)
    generator.operators()
    generator.numbers()
    generator.conditions()
    generator.statements()
    return sorted(generator.found.values(), key=lambda mutant: (mutant.start, mutant.instead))

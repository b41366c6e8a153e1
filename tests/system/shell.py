"""An interactive shell on a terminal, typed at by a test."""

import os
import pty
import re
import select
import subprocess
import time

from balancer import BUILD, ROOT
from peers import DEADLINE

COMPLETION = ROOT / "conf/completion"
HOME, TAB = "\x01", "\t"

SETUP = {
    "bash": (["bash", "--norc", "--noprofile", "-i"],
             f"bind 'set enable-bracketed-paste off'; . {COMPLETION}/smtplb.bash; "),
    "zsh": (["zsh", "-f", "-i"],
            f"unsetopt zle_bracketed_paste; bindkey -e; fpath=({COMPLETION} $fpath); "
            "autoload -U compinit; compinit -D -u; "),
}


class Shell:
    """With the completion that belongs to it, and smtplb in its PATH."""

    def __init__(self, name, folder):
        argv, setup = SETUP[name]
        self.terminal, inside = pty.openpty()
        environment = {
            "PATH": f"{BUILD}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb",
            "COLUMNS": "2000", "PS1": "", "PROMPT": "",
        }
        self.process = subprocess.Popen(
            argv, stdin=inside, stdout=inside, stderr=inside, env=environment, cwd=folder,
            start_new_session=True)
        os.close(inside)
        self.seen = ""
        self.type(setup + "printf 'is%s\\n' ready\n")
        self.expect("isready")

    def type(self, text):
        os.write(self.terminal, text.encode())

    def expect(self, text):
        """Until that is to be seen; returns what came before it."""
        give_up = time.monotonic() + DEADLINE
        while text not in self.seen:
            ready, _, _ = select.select([self.terminal], [], [], give_up - time.monotonic())
            assert ready, f"{text!r} has not come, but {self.seen!r}"
            self.seen += os.read(self.terminal, 65536).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def complete(self, line):
        """The words that a line has become after its tab."""
        self.type(line + TAB + HOME + "printf '[%s]' words: \n")
        self.expect("[words:]")
        self.type("printf 'en%s\\n' ded\n")
        return re.findall(r"\[([^][]*)\]", self.expect("ended"))

    def stop(self):
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)

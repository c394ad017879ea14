"""watch_terminal.py COLUMNS ROWS COMMAND...: runs a command on a terminal of that size and prints what is
visible at its end. Fails if a line was wider than the terminal at any time, if the terminal scrolled, or if
a control sequence other than those of a redrawn text, and colours if COLOURS is yes, was sent."""
import fcntl
import os
import pty
import re
import struct
import sys
import termios
import unicodedata

columns, rows, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
sent = b""
while True:
    try:
        part = os.read(terminal, 1 << 16)
    except OSError:
        break
    if not part:
        break
    sent += part
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

screen, row, column, colours, frames = [[]], 0, 0, 0, 0
text = sent.decode("utf-8")
at = 0
while at < len(text):
    sequence = re.compile(r"\033\[(\d*)([A-Za-z])").match(text, at)
    if sequence:
        number, kind = int(sequence[1] or 0), sequence[2]
        if kind == "A":
            assert number <= row, f"{number} rows up from row {row}"
            row, frames = row - number, frames + 1
        elif kind == "K":
            screen[row] = screen[row][:column]
        elif kind == "J":
            screen = screen[:row] + [screen[row][:column]]
        elif kind == "m":
            colours += 1
        else:
            sys.exit(f"unexpected sequence {sequence[0]!r}")
        at = sequence.end()
        continue
    character = text[at]
    at += 1
    if character == "\r":
        column = 0
    elif character == "\n":
        row += 1
        if row == len(screen):
            screen.append([])
        assert row < rows, f"it scrolls: row {row} of {rows}"
    else:
        assert unicodedata.category(character) != "Cc", repr(character)
        wide = unicodedata.east_asian_width(character) in "WF"
        # The last column stays free: some terminals wrap at once.
        assert column + wide < columns - 1, f"wider than {columns - 1} columns: {''.join(screen[row])}"
        screen[row][column:column + 1 + wide] = [character] + [""] * wide
        column += 1 + wide
assert (colours > 0) == (os.environ.get("COLOURS") == "yes"), f"{colours} colours"
for line in screen:
    print("".join(line).rstrip())
print(f"frames {1 + frames}, exit code {code}")

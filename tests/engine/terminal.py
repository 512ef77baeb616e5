"""A pseudo terminal, and what stands on it after some output."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading

TOKEN = re.compile(rb"\x1b\[\??[\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+")


class Terminal:
    """`slave` is the file descriptor of the program; `raw` what was written so far."""

    def __init__(self, columns=100):
        self.master, self.slave = pty.openpty()
        size = struct.pack("HHHH", 40, columns, 0, 0)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, size)
        self.raw = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            if not data:
                return
            self.raw += data

    def stream(self):
        """The slave as sys.stdout would be."""
        return os.fdopen(os.dup(self.slave), "w", encoding="utf-8", buffering=1)

    def close(self):
        """Close the program's side and wait for the last output."""
        os.close(self.slave)
        self._reader.join(timeout=10)
        os.close(self.master)

    @property
    def lines(self):
        return shown(self.raw)

    @property
    def text(self):
        return "\n".join(self.lines)


def shown(raw):
    """The lines that a wide and high terminal shows after this output: cursor, erasing, overwriting; colours aside."""
    lines, row, column = [""], 0, 0
    for token in TOKEN.findall(raw):
        if token == b"\r":
            column = 0
        elif token == b"\n":
            row += 1
            lines += [""] * (row - len(lines) + 1)
        elif token.startswith(b"\x1b["):
            if token.endswith(b"A"):
                row -= int(token[2:-1] or 1)
            elif token == b"\x1b[2K":
                lines[row] = ""
            else:
                assert token[-1:] in b"mhl", token
        else:
            text = token.decode()
            padded = lines[row].ljust(column)
            lines[row] = padded[:column] + text + padded[column + len(text) :]
            column += len(text)
    return lines

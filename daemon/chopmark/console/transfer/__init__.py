"""Files out and in over the console's own line: `send_file` and `receive_file` for other commands.

By ZMODEM where the terminal program has it, as armoured lines where it has none, and short ones as
QR codes. Whatever the other side calls a file, here it has a plain name; nothing is overwritten.
"""

from chopmark.console.transfer.files import receive_file, send_file

__all__ = ["receive_file", "send_file"]

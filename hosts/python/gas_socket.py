"""Joins `gas` with a server that runs already, by its socket: --model "exec:python gas_socket.py /tmp/gas.sock"."""

import os
import socket
import sys
import threading

PART = 1 << 20  # bytes at once


def forward(path):
    """Standard input to the socket and the socket to standard output, until either ends."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except OSError as error:
        raise SystemExit(f"gas_socket.py: {path}: {error.strerror}; is the server running?")

    def requests():
        while data := os.read(0, PART):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    threading.Thread(target=requests, daemon=True).start()
    while data := connection.recv(PART):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    forward(sys.argv[1])

"""A network of this process as one that `gas` asks through a pipe: loading diffusers takes a worker of its own seconds,
and every run of the program starts one.
"""

import socket
import sys
import threading

from conftest import SOURCE
from gas_pipe import Server


def served(hello, network, path):
    """The --model of a network, for runs one after the other, as long as this process lives."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    threading.Thread(target=_serve, args=(listener, hello, network), daemon=True).start()
    return f"exec:exec '{sys.executable}' '{SOURCE / 'hosts/python/gas_socket.py'}' '{path}'"


def _serve(listener, hello, network):
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as file:
            Server(hello, network).run(file, file)

"""Exits with 0 when the process on port argv[1] says that it is ready; runs often, so imports little."""

import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 3) as connection:
    connection.settimeout(3)
    connection.sendall(b"GET /health/readiness HTTP/1.0\r\nHost: localhost\r\n\r\n")
    sys.exit(b" 200 " not in connection.recv(32))

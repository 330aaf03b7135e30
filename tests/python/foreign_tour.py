"""Executes evcxr_jupyter's tour by nbclient, unmodified, with our kernel in the place of its own.

The first code cell fetches a script from the network to set up another service: it is left out. Cells
may fail, as some of the tour do. Something has to listen on port 6543: this program does.
"""

import socket
import sys
import threading

import nbformat
from nbclient import NotebookClient

PORT = 6543
CELL_TIMEOUT = 600


def listen(received):
    server = socket.create_server(("127.0.0.1", PORT))

    def serve():
        client, _ = server.accept()
        with client:
            received.append(client.recv(100))

    threading.Thread(target=serve, daemon=True).start()


def main():
    source, output = sys.argv[1:]
    notebook = nbformat.read(source, as_version=4)
    received = []
    try:
        listen(received)
    except OSError as error:
        print(f"port {PORT} is taken: {error}", file=sys.stderr)
        return 77
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "wget" in code[0].source, code[0].source
    notebook.cells = [cell for cell in notebook.cells if cell is not code[0]]
    for number, cell in enumerate(code):
        cell.id = f"cell-{number}"
    client = NotebookClient(notebook, kernel_name="phalanx", allow_errors=True, timeout=CELL_TIMEOUT)
    client.execute()
    nbformat.write(notebook, output)
    print(f"received {received}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

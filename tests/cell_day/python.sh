#!/bin/bash
set -euo pipefail
/usr/bin/python3 -m venv --without-pip venv
cat >day.py <<'END'
import asyncio, concurrent.futures, multiprocessing, os, pty, socket, tempfile, threading
from multiprocessing import shared_memory
from multiprocessing.connection import Client, Listener

def put(shared, key): shared[key] = key
def square(number): return number * number

def main():
    with multiprocessing.Manager() as manager:
        shared = manager.dict()
        workers = [multiprocessing.Process(target=put, args=(shared, key)) for key in range(3)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        assert dict(shared) == {0: 0, 1: 1, 2: 2}
    for method in ('fork', 'spawn', 'forkserver'):
        with multiprocessing.get_context(method).Pool(2) as pool: assert pool.map(square, [1, 2]) == [1, 4]
    with concurrent.futures.ProcessPoolExecutor(2) as pool: assert list(pool.map(square, [3])) == [9]
    block = shared_memory.SharedMemory(create=True, size=10)
    block.close()
    block.unlink()
    listener = Listener(family='AF_UNIX')
    threading.Thread(target=lambda: listener.accept().send('said')).start()
    assert Client(listener.address).recv() == 'said'
    left, right = socket.socketpair()
    socket.send_fds(left, [b'x'], [0])
    assert socket.recv_fds(right, 1, 1)[1]
    child, terminal = pty.fork()
    if child == 0: os.execvp('tty', ['tty'])
    assert b'/dev/pts' in os.read(terminal, 100)
    asyncio.run(over_unix(tempfile.mkdtemp() + '/s'))

async def over_unix(path):
    async def answer(reader, writer):
        writer.write(b'said')
        writer.close()
    server = await asyncio.start_unix_server(answer, path)
    reader, writer = await asyncio.open_unix_connection(path)
    assert await reader.read() == b'said'
    writer.close()
    server.close()

if __name__ == '__main__': main()
END
venv/bin/python day.py
printf 'import pdb\na = 41\npdb.set_trace()\n' >debug.py
printf 'p a + 1\nc\n' | venv/bin/python debug.py | grep >/dev/null 42

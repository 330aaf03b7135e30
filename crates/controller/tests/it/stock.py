"""What users of ipyparallel do, on the controller whose connection files are given."""
import os
import signal
import subprocess
import sys
import time

import ipyparallel as ipp

client_file, engine_file, folder = sys.argv[1:]
LIMIT = 30
engines = []
for n in range(2):
    profile = os.path.join(folder, f"profile{n}")
    os.makedirs(profile)
    engines.append(subprocess.Popen(
        [sys.executable, "-m", "ipyparallel.engine", f"--file={engine_file}",
         f"--profile-dir={profile}", "--log-level=ERROR"], stdout=subprocess.DEVNULL))
try:
    rc = ipp.Client(client_file, timeout=LIMIT)
    rc.wait_for_engines(2, timeout=2 * LIMIT, interactive=False)
    assert rc.ids == [0, 1], rc.ids
    view, balanced = rc[:], rc.load_balanced_view()

    assert len(set(view.apply_async(os.getpid).get(LIMIT))) == 2
    ran = view.execute("print('hi')\n1 + 1", silent=False, block=False)
    ran.get(LIMIT)
    assert ran.wait_for_output(LIMIT)
    assert ran.stdout == ["hi\n"] * 2, ran.stdout
    view.push({"a": 5}, block=False).get(LIMIT)
    assert view.pull("a", block=False).get(LIMIT) == [5, 5]
    view.scatter("x", list(range(10)), block=False).get(LIMIT)
    assert list(view.gather("x", block=False).get(LIMIT)) == list(range(10))
    try:
        view.execute("1/0", block=False).get(LIMIT)
        raise AssertionError("no error")
    except ipp.error.CompositeError as error:
        assert len(error.elist) == 2, error.elist

    squares = balanced.map_async(lambda x: x * x, range(100)).get(LIMIT)
    assert list(squares) == [x * x for x in range(100)]
    first = balanced.apply_async(os.getpid)
    with balanced.temp_flags(follow=[first]):
        assert balanced.apply_async(os.getpid).get(LIMIT) == first.get(LIMIT)
    with balanced.temp_flags(retries=2):
        try:
            balanced.apply_async(lambda: 1 / 0).get(LIMIT)
            raise AssertionError("no error")
        except ipp.error.RemoteError as error:
            assert error.ename == "ZeroDivisionError"

    for coalescing in (False, True):
        broadcast = rc.broadcast_view(is_coalescing=coalescing)
        assert len(set(broadcast.apply_async(os.getpid).get(LIMIT))) == 2

    busy = view.apply_async(time.sleep, 0.5)
    queued = view.apply_async(os.getpid)
    queued.abort()
    for result in queued.get(LIMIT):
        assert isinstance(result, ipp.error.TaskAborted), result
    busy.get(LIMIT)
    busy = [balanced.apply_async(time.sleep, 0.5) for _ in range(2)]
    waiting = balanced.apply_async(os.getpid)
    rc.abort(waiting)
    try:
        waiting.get(LIMIT)
        raise AssertionError("not aborted")
    except ipp.error.TaskAborted:
        pass
    [each.get(LIMIT) for each in busy]

    status = rc.queue_status()
    assert status["unassigned"] == 0 and status[0]["queue"] == 0, status
    task = balanced.apply_async(lambda: 42)
    assert task.get(LIMIT) == 42
    other = ipp.Client(client_file, timeout=LIMIT)
    assert other.get_result(task.msg_ids[0]).get(LIMIT) == 42
    other.close()

    view.apply_async(len, b"x" * 20_000_000).get(LIMIT)
    sleeping = rc[1].apply_async(time.sleep, 60)
    rc[0].apply_async(os.getpid).get(LIMIT)
    rc.send_signal("SIGINT", targets=1, block=True)
    try:
        sleeping.get(LIMIT)
        raise AssertionError("not interrupted")
    except ipp.error.RemoteError as error:
        assert error.ename == "KeyboardInterrupt", error

    pid = rc[0].apply_async(os.getpid).get(LIMIT)
    direct = rc[0].apply_async(time.sleep, 60)
    on_victim = rc.load_balanced_view(targets=[0]).apply_async(time.sleep, 60)
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    for doomed in (direct, on_victim):
        try:
            doomed.get(LIMIT)
            raise AssertionError("no error")
        except ipp.error.RemoteError as error:
            assert error.ename == "EngineError", error
        print(f"EngineError {1000 * (time.monotonic() - killed):.0f} ms after kill -9")
    while rc.ids != [1]:
        assert time.monotonic() - killed < LIMIT
        time.sleep(0.01)

    rc.shutdown(hub=True, block=True)
    rc.close()
    print("all done")
finally:
    for engine in engines:
        engine.terminate()
    for engine in engines:
        engine.wait(LIMIT)

"""The everyday work of a user of ipyparallel, on the controller whose connection files are given."""
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
    assert other.get_result(ran.msg_ids).stdout == ["hi\n"] * 2

    history = rc.hub_history()
    assert history[-1] == task.msg_ids[0] and ran.msg_ids[0] in history, history
    verbose = rc.queue_status(targets=[0, 1], verbose=True)
    assert task.msg_ids[0] in verbose[0]["completed"] + verbose[1]["completed"], verbose
    with view.temp_flags(label="dview_label"):
        labelled = view.apply_async(os.getpid)
    labelled.get(LIMIT)
    found = rc.db_query({"label": {"$glob": "dview_*"}}, keys=["label", "engine_uuid", "completed"])
    assert [record["msg_id"] for record in found] == labelled.msg_ids, found
    assert all(record["completed"] > ran.submitted[0] for record in found), found
    since = rc.db_query({"submitted": {"$gt": task.submitted}}, keys="msg_id")
    assert {record["msg_id"] for record in since} == set(labelled.msg_ids), since
    buffers = rc.db_query({"msg_id": task.msg_ids[0]}, keys=["buffers", "result_buffers"])
    assert buffers[0]["buffers"] and buffers[0]["result_buffers"], buffers
    assert set(rc.db_query({"msg_id": task.msg_ids[0]})[0]) >= {"stdout", "queue", "resubmitted"}
    try:
        rc.db_query({"nonsense": 1})
        raise AssertionError("no error")
    except ipp.error.RemoteError as error:
        assert error.ename == "KeyError", error

    again = rc.resubmit(task.msg_ids)
    assert again.msg_ids != task.msg_ids
    assert again.get(LIMIT) == [42]
    direct = rc[0].apply_async(lambda: 43)
    direct.get(LIMIT)
    assert rc.resubmit(direct.msg_ids).get(LIMIT) == [43]
    for status in (other.result_status(task.msg_ids), other.result_status(again.msg_ids)):
        assert status["pending"] == [] and len(status["completed"]) == 1, status
    rc.purge_hub_results(task)
    assert task.msg_ids[0] not in rc.hub_history()
    rc.purge_hub_results(targets=[1])
    assert rc._engines[1] not in {record["engine_uuid"] for record in rc.db_query({}, keys="engine_uuid")}
    rc.purge_hub_results("all")
    assert rc.hub_history() == []
    with balanced.temp_flags(timeout=0.3, targets=[0]):
        sleeping = balanced.apply_async(time.sleep, 1)
        late = balanced.apply_async(os.getpid)
    try:
        late.get(LIMIT)
        raise AssertionError("no timeout")
    except ipp.error.RemoteError as error:
        assert error.ename == "TaskTimeout", error
    sleeping.get(LIMIT)

    @ipp.depend(lambda: os.environ.get("CHOSEN") == "1")
    def choosy():
        return os.getpid()

    chosen = rc[1].apply_async(os.getpid).get(LIMIT)
    rc[1].execute("import os; os.environ['CHOSEN'] = '1'", block=False).get(LIMIT)
    choosy.df = lambda: __import__("os").environ.get("CHOSEN") == "1"
    assert [balanced.apply_async(choosy).get(LIMIT) for _ in range(4)] == [chosen] * 4
    rc[1].execute("del os.environ['CHOSEN']", block=False).get(LIMIT)
    try:
        balanced.apply_async(choosy).get(LIMIT)
        raise AssertionError("it ran")
    except ipp.error.RemoteError as error:
        assert error.ename == "ImpossibleDependency", error
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
    submitted = time.monotonic()
    # A task that its engine never had ends as ImpossibleDependency.
    while rc.queue_status(0)["tasks"] < 1:
        assert time.monotonic() - submitted < LIMIT
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

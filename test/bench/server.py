"""The server as seen by the measurements: SQL, timed statements, pgbench.

Timed statements run in a psql of their own and are timed by psql, so that
starting it is outside. CPU is what the kernel accounts: for a timed statement
that of its backend, for pgbench that of all backends that ended in the run
(the postmaster's children), so that neither pgbench nor a busy neighbour on
the machine is in it.
"""
import os
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A statement or a run that failed; str() is the server's message."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def psql(database, script, variables=None):
    command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database]
    for name, value in (variables or {}).items():
        command += ["-v", "%s=%s" % (name, value)]
    env = dict(os.environ, PGOPTIONS="-c client_min_messages=warning")
    done = subprocess.run(command, input=script, text=True, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise Failed(lines[0] if lines else "psql failed")
    return done.stdout


def query(database, sql):
    """The first column of the first row, as text."""
    out = psql(database, sql).splitlines()
    return out[0] if out else ""


class Watch:
    """A query of two numbers, asked again and again while the block runs; answers holds them."""

    def __init__(self, database, sql, every):
        self.answers = []
        self.session = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-d", database], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.session.stdin.write("%s \\watch %g\n" % (sql, every))
        self.session.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.terminate()
        out, _ = self.session.communicate()
        self.answers = [tuple(float(n) for n in answer) for answer in re.findall(r"^([0-9.]+)\|([0-9.]+)$", out, re.M)]


def number(database, sql):
    return float(query(database, sql) or 0)


def run_file(database, name, variables=None):
    with open(os.path.join(HERE, name)) as f:
        psql(database, f.read(), variables)


def timed_with_output(database, sql, before="", after=""):
    """What timed() says, and what was printed. after: what the same session does when it is measured."""
    script = before + r"""
SELECT pg_backend_pid() AS bench_pid \gset
\setenv BENCH_PID :bench_pid
\set cpu0 `cut -d' ' -f1 /proc/$BENCH_PID/schedstat 2>/dev/null || echo 0`
\timing on
""" + sql + r"""
\timing off
\set cpu1 `cut -d' ' -f1 /proc/$BENCH_PID/schedstat 2>/dev/null || echo 0`
\echo BENCH_CPU :cpu0 :cpu1
""" + after
    out = psql(database, script)
    times = [float(t) / 1000 for t in re.findall(r"^Time: ([0-9.]+) ms", out, re.M)]
    cpu = re.search(r"^BENCH_CPU (\d+) (\d+)", out, re.M)
    return sum(times), (int(cpu.group(2)) - int(cpu.group(1))) / 1e9, out


def timed(database, sql, before=""):
    """What a statement cost: seconds, CPU seconds of its backend."""
    return timed_with_output(database, sql, before)[:2]


def private_memory(pid):
    """Bytes of a process's memory that is its own."""
    try:
        with open("/proc/%s/status" % pid) as f:
            for line in f:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def watched(database, sql):
    """Seconds and CPU seconds of a statement, and by how many bytes its backend's own memory grew at most."""
    env = dict(os.environ, PGOPTIONS="-c client_min_messages=warning")
    session = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database],
                               text=True, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    session.stdin.write("SELECT pg_backend_pid();\n")
    session.stdin.flush()
    pid = session.stdout.readline().strip()
    cpu, start = process_cpu(pid), private_memory(pid)
    peak = [start]
    over = threading.Event()

    def sample():
        while not over.wait(0.01):
            peak[0] = max(peak[0], private_memory(pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        session.stdin.write("\\timing on\n%s\n\\echo BENCH_OVER\n" % sql)
        session.stdin.flush()
        said = ""
        for line in session.stdout:
            if line.startswith("BENCH_OVER"):
                break
            said += line
        after = process_cpu(pid)
    finally:
        over.set()
        sampler.join()
    _, complaints = session.communicate()
    for _ in range(500):        # until the postmaster has its CPU time, for children_cpu()
        if not os.path.exists("/proc/%s" % pid):
            break
        time.sleep(0.02)
    time_ = re.search(r"^Time: ([0-9.]+) ms", said, re.M)
    if session.returncode != 0 or time_ is None or after is None:
        raise Failed((complaints.splitlines() or ["psql failed"])[0])
    return float(time_.group(1)) / 1000, after - cpu, peak[0] - start


def lsn():
    return int(number("postgres", "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


def postmaster():
    with open(os.path.join(os.environ["BENCH_DATA"], "postmaster.pid")) as f:
        return f.readline().strip()


def stat(pid):
    """What the kernel says of a process after its name: state, parent, ..."""
    with open("/proc/%s/stat" % pid) as f:
        return f.read().rpartition(")")[2].split()


def children_cpu():
    """CPU seconds of the server's processes that have ended."""
    fields = stat(postmaster())
    return (int(fields[13]) + int(fields[14])) / TICK


def children():
    """The server's processes, those included that have ended and are not counted by children_cpu() yet."""
    parent, found = postmaster(), set()
    for pid in os.listdir("/proc"):
        try:
            if pid.isdigit() and stat(pid)[1] == parent:
                found.add(pid)
        except OSError:         # it has just gone
            pass
    return found


def await_end(before):
    """Until those that came since then have ended; one that stays is not waited for long."""
    give_up = time.monotonic() + 1
    while children() - before and time.monotonic() < give_up:
        time.sleep(0.01)


def process_cpu(pid):
    try:
        with open("/proc/%s/schedstat" % pid) as f:
            return int(f.read().split()[0]) / 1e9
    except OSError:
        return None


def pgbench(database, script, seconds, rows, durable, clients=4, each=None, builtin=False):
    """Transactions per second, CPU microseconds of the backends per transaction, number of transactions.
    For some seconds, or so many transactions of each client."""
    env = dict(os.environ, PGOPTIONS="-c synchronous_commit=%s" % ("on" if durable else "off"))
    length = ["-T", str(seconds)] if each is None else ["-t", str(each)]
    what = ["-b", script] if builtin else ["-D", "rows=%d" % rows, "-f", os.path.join(HERE, "load", script + ".pgbench")]
    before, cpu = children(), children_cpu()
    done = subprocess.run(["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(2, clients))]
                          + length + what + [database],
                          text=True, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    count = re.search(r"actually processed: (\d+)", done.stdout)
    tps = re.search(r"^tps = ([0-9.]+)", done.stdout, re.M)
    if done.returncode != 0 or not tps or int(count.group(1)) == 0:
        lines = done.stderr.splitlines() or ["pgbench failed"]
        raise Failed(next((line for line in lines if "ERROR" in line), lines[-1]))
    await_end(before)
    n = int(count.group(1))
    return float(tps.group(1)), (children_cpu() - cpu) / n * 1e6, n


def pgbench_init(database, scale):
    done = subprocess.run(["pgbench", "-i", "-q", "-s", str(scale), database], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise Failed((done.stderr.splitlines() or ["pgbench -i failed"])[-1])


def fdatasync_us():
    """Microseconds of one 8 kB write and fdatasync beside the data."""
    name = os.path.join(os.environ["BENCH_DATA"], "bench-fdatasync")
    f = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(f, bytes(1 << 24), 0)
        os.fsync(f)
        start, n = time.monotonic(), 0
        while time.monotonic() - start < 0.5:
            os.pwrite(f, bytes(8192), n % 2048 * 8192)
            os.fdatasync(f)
            n += 1
        return (time.monotonic() - start) / n * 1e6
    finally:
        os.close(f)
        os.unlink(name)

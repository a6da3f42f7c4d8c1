"""Bundles between two databases of the cluster: export, merge, provenance-verify.

In the sender's log, entries of the table that is exported stand among those of
another one, so that each has a path of its own: one entry of `exported`, then
some of `contact`. The sparse bundle is of a hundredth of the rows of `contact`,
every entry of theirs. Every merge is into a database that has seen nothing yet.
"""
import os
import time
from statistics import median

from report import amount, spread
from server import Failed, children_cpu, number, psql, query, run_file, say, watched

# name, format, what to export
CASES = [
    ("14 columns, text", "text", "recipient => 'receiver'"),
    ("14 columns, binary", "binary", "recipient => 'receiver'"),
    ("2 columns, text", "text", "recipient => 'receiver', columns => '{id,email}'"),
    ("sparse, 14 columns, text", "text", "recipient => 'receiver', "
     "keys => (SELECT array_agg(id) FROM crm.hundredth)"),
]
RATE = 100000       # entries per second of CPU, each way
BEYOND = 1024       # bytes per entry beyond the values
STEPS = ("export", "merge", "verify bundle")


# In transactions of some thousand commands, each of which has its place in the log.
GROW = """
SET plan_cache_mode = force_generic_plan;
DO $$
BEGIN
	FOR i IN 1 .. {rows} LOOP
		UPDATE crm.contact SET score = score + 1 WHERE id IN ({ids});
		INSERT INTO crm.exported SELECT * FROM crm.contact WHERE id = i;
		IF i % 20000 = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
END $$;
SELECT provenance.seal();
"""


def prepare(rows, between):
    psql("postgres", "CREATE DATABASE sender")
    run_file("sender", "tables/contact.sql", {"rows": rows})
    psql("sender", """
        CREATE EXTENSION provenance;
        SELECT provenance.setup('sender-%d.example');
        SELECT provenance.tag('crm.contact', subject => 'email');
        CREATE TABLE crm.exported (LIKE crm.contact INCLUDING ALL);
        SELECT provenance.tag('crm.exported', subject => 'email');
    """ % time.time_ns())
    ids = ", ".join("1 + (i * %d + %d) %% %d" % (between, k, rows) for k in range(between))
    psql("sender", GROW.format(rows=rows, ids=ids))
    psql("sender", "CREATE TABLE crm.hundredth AS SELECT id::text FROM crm.contact WHERE abs(hashint8(id)) % 100 = 7")
    psql("sender", "VACUUM ANALYZE; CHECKPOINT")


def receiver():
    """A database that has merged nothing; log identities are of one database each."""
    psql("postgres", "DROP DATABASE IF EXISTS receiver WITH (FORCE)")
    psql("postgres", "CREATE DATABASE receiver")
    psql("receiver", """
        CREATE EXTENSION provenance;
        SELECT provenance.setup('receiver-%d.example');
        SELECT provenance.add_partner('sender', '%s');
    """ % (time.time_ns(), query("sender", "SELECT provenance.verifier_key()")))


def verify(file):
    """Seconds, CPU seconds and peak memory of the program, in bytes."""
    command = ["provenance-verify", "bundle", "--key", query("sender", "SELECT provenance.verifier_key()"), file]
    start = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ,
                          file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, used = os.wait4(pid, 0)
    if status != 0:
        raise Failed("provenance-verify: exit status %d" % os.waitstatus_to_exitcode(status))
    return time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def values_in(file):
    """(entries, bytes of all disclosed values) of a bundle in COPY's text format."""
    entries = values = 0
    with open(file, "rb") as f:
        for line in f:
            _, kind, content = line.rstrip(b"\n").split(b"\t")
            if kind != b"entry":
                continue
            entries += 1
            for token in content.split(b"|")[8:]:
                if token[:1] == b"=":       # '=', a salt of 24 characters, the value
                    values += len(token) - 25
    return entries, values


class Step:
    def __init__(self):
        self.wall, self.cpu, self.memory = [], [], []

    def add(self, n, seconds, cpu, memory):
        self.wall.append(n / seconds)
        if cpu > 0:
            self.cpu.append(n / cpu)
        self.memory.append(memory / 1e6)


def one_round(case, steps, sizes, recording):
    name, format_, arguments = case
    file = os.path.join(os.environ["BENCH_DATA"], "bench.bundle")
    table_name = "crm.contact" if name.startswith("sparse") else "crm.exported"
    time.sleep(0.1)             # for sessions that have just ended
    others = children_cpu()
    seconds, cpu, memory = watched("sender", "COPY (SELECT * FROM provenance.export_bundle('%s', %s)) TO '%s' (FORMAT %s);"
                                   % (table_name, arguments, file, format_))
    time.sleep(0.1)             # for the last worker
    others = children_cpu() - others - cpu
    n = int(number("sender", "SELECT entries FROM provenance.disclosures ORDER BY disclosure_id DESC LIMIT 1"))
    steps["export"].add(n, seconds, cpu, memory)
    recording.append(others / n * 1e6)
    if name not in sizes:
        size = os.path.getsize(file)
        if format_ == "text":
            sizes[name] = (n, size / n, (size - values_in(file)[1]) / n)
        else:
            sizes[name] = (n, size / n, None)

    receiver()
    psql("postgres", "CHECKPOINT")
    steps["merge"].add(n, *watched("receiver", "COPY provenance.inbox FROM '%s' (FORMAT %s);" % (file, format_)))
    steps["verify bundle"].add(n, *verify(file))
    os.unlink(file)


def measure(out, rows, between, rounds):
    """rows: in each table; between: entries between two of a bundle; out: the Report."""
    say("bundles: preparing the sender's log")
    try:
        prepare(rows, between)
    except Failed as e:
        out.leave_out("bundles: %s" % e)
        return
    steps = {case[0]: {s: Step() for s in STEPS} for case in CASES}
    recording = {case[0]: [] for case in CASES}
    sizes = {}
    for r in range(rounds):
        for case in CASES:
            say("round %d: bundle, %s" % (r + 1, case[0]))
            try:
                one_round(case, steps[case[0]], sizes, recording[case[0]])
            except Failed as e:
                out.leave_out("bundle, %s: %s" % (case[0], e))
    size = number("sender", "SELECT log_size FROM provenance.status")
    print_all(out, steps, sizes, recording, size)
    psql("postgres", "DROP DATABASE IF EXISTS receiver WITH (FORCE)")


def print_all(out, steps, sizes, recording, log_size):
    for name, (entries, bytes_, beyond) in sizes.items():
        for step in STEPS:
            s = steps[name][step]
            if s.cpu:
                out.value("%s: %s" % (step, name), s.cpu, "entries/s",
                          "by the clock %s; memory %s MB; %d of %s entries"
                          % (spread(s.wall), spread(s.memory), entries, amount(log_size)),
                          None if name.startswith("sparse") else RATE)
        out.value("bytes per entry: %s" % name, bytes_, "bytes")
        if beyond is not None:
            out.value("bytes per entry beyond the values: %s" % name, beyond, "bytes", "", BEYOND, False)
        out.value("recording what left and of whom: %s" % name, recording[name], "µs of CPU per entry")

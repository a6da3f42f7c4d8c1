"""The candidates' databases: each has the same tables, and records its own way.

candidate/<name>.sql defines crm.record(table, bytes of an image), which has a
table of that database recorded from then on. A candidate that cannot be had
(Debian's package is missing) is a dash in the table.
"""
import os
import time

from report import CANDIDATES
from server import HERE, Failed, await_end, children, children_cpu, number, psql, query, run_file, say, timed

# Tables that are vacuumed between rounds.
recorded = []


def create(report, rows):
    """Makes them, with contacts; returns those that work, and a file of contacts for COPY."""
    ready = []
    for c in CANDIDATES:
        say("preparing %s" % c)
        psql("postgres", "CREATE DATABASE %s" % c)
        try:
            run_file(c, "tables/contact.sql", {"rows": rows})
            if c != "untagged":
                run_file(c, "candidate/%s.sql" % c, {"module": os.path.join(HERE, "floor", "floor")})
            ready.append(c)
        except Failed as e:
            report.leave_out("candidate %s: %s" % (c, e))
            psql("postgres", "DROP DATABASE %s" % c)
    record(ready, "crm.contact")
    record(ready, "crm.bulk", like="crm.contact")
    file = os.path.join(os.environ["BENCH_DATA"], "bench.copy")
    psql("untagged", "COPY crm.source TO :'file'", {"file": file})
    return ready, file


def image_size(table):
    """Average bytes of the images that provenance keeps of a table."""
    return number("provenance", "SELECT coalesce(avg(octet_length(image)), 0) FROM provenance.entry WHERE table_id = "
                                "(SELECT table_id FROM provenance.registry WHERE relid = '%s'::regclass)" % table)


def record(candidates, table, like=None):
    """The floor appends as many bytes as provenance's image has, of this table or of one like it with rows."""
    image = 200
    for c in candidates:
        if c != "untagged":
            psql(c, "SELECT crm.record('%s', %d)" % (table, image))
        if c == "provenance":
            image = image_size(like or table) or image
            seal()
    recorded.append(table)


def seal(database="provenance"):
    """Everything sealed, so that its work does not fall into what is measured next."""
    try:
        before = children()
        psql(database, "SELECT provenance.seal()")
        await_end(before)       # or the CPU of the request's worker would be counted with what comes next
    except Failed as e:
        say("seal: %s" % e)


def log_size(database="provenance"):
    return number(database, "SELECT log_size FROM provenance.seal_state")


def sealing_of(database, script):
    """Seals what a script records, by one seal(): entries, seconds, seconds of CPU. Without the
    standing worker: it would have sealed a part before the clock starts."""
    seal(database)
    psql(database, "SELECT provenance.stop_worker()")
    try:
        give_up = time.monotonic() + 60
        while query(database, "SELECT provenance.worker_pid()"):
            if time.monotonic() > give_up:
                raise Failed("the standing worker did not leave")
            time.sleep(0.1)
        psql(database, script)
        before = log_size(database)
        # what just ended must not be counted with the children that end from here on
        while number(database, "SELECT count(*) FROM pg_stat_activity "
                               "WHERE datname = '%s' AND backend_type = 'client backend'" % database) > 1:
            time.sleep(0.02)
        time.sleep(0.1)
        there, cpu = children(), children_cpu()
        seconds = timed(database, "SELECT provenance.seal();")[0]
        await_end(there)
        cpu = children_cpu() - cpu
        return log_size(database) - before, seconds, cpu
    finally:
        psql(database, "SELECT provenance.start_worker()")


def order(candidates, round_):
    """Another one first in each round."""
    shift = round_ % len(candidates)
    return candidates[shift:] + candidates[:shift]


def tidy(candidates, table):
    for c in candidates:
        psql(c, "VACUUM %s" % table)
        if c == "provenance":
            psql(c, "VACUUM provenance.head")

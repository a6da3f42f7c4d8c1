"""What only the ledger does: sealing, tagging, storage, verification, proofs."""
import os
import time

from server import Failed, each_time, number, pgbench, psql, query, say, timed

LEDGER = """
SELECT c.relname, pg_total_relation_size(c.oid), pg_relation_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'provenance' AND c.relkind = 'r' ORDER BY 1
"""


def guarded(function):
    """A part that is missing or fails is said so, and the rest goes on."""
    def call(*args):
        try:
            return function(*args)
        except Failed as e:
            print("\n%s: %s" % (function.__name__, e))
    return call


def sealing(out, found, rows):
    """found: for each bulk statement, what seal() right after it took."""
    all_ = [both for name in found for both in found[name]]
    if not all_:
        return
    out.add("sealing", [rows / seconds for seconds, _ in all_], "entries/s",
            "seal() right after a bulk statement of %d keys in random order, with signature and sync" % rows)
    out.add("sealing, by CPU", [rows / cpu for _, cpu in all_ if cpu > 0], "entries per second of CPU",
            "what one core to itself would seal")
    out.add("lag", [seconds for seconds, _ in all_], "s",
            "end of a bulk statement until its last entry is in a signed checkpoint")


@guarded
def tagging(out, rows, rounds, seal):
    say("tagging")
    rates, plain = [], []
    for r in range(rounds):
        psql("provenance", "TRUNCATE crm.existing; INSERT INTO crm.existing SELECT * FROM crm.source; "
                           "VACUUM crm.existing")
        rates.append(rows / timed("provenance", "SELECT provenance.tag('crm.existing');")[0])
        plain.append(rows / timed("provenance", "CREATE TABLE crm.copied AS SELECT * FROM crm.existing; ")[0])
        psql("provenance", "SELECT provenance.untag('crm.existing'); DROP TABLE crm.copied")
        seal()
    out.add("tagging a table with rows", rates, "rows/s",
            "%.2f of CREATE TABLE AS of the same rows" % (sum(rates) / sum(plain)))


@guarded
def storage(out):
    psql("provenance", "VACUUM provenance.entry; VACUUM provenance.head")
    entries = number("provenance", "SELECT count(*) FROM provenance.entry")
    image = number("provenance", "SELECT avg(octet_length(image)) FROM provenance.entry WHERE op IN (1, 2)")
    sizes = {}
    for line in psql("provenance", LEDGER).splitlines():
        name, total, heap = line.split("|")
        sizes[name] = (int(total), int(heap))
    per = {name: total / entries for name, (total, _) in sizes.items()}
    log = sum(per.get(n, 0) for n in ("leaf_run", "seq_block", "tree_node", "checkpoint_note"))
    heads = number("provenance", "SELECT count(*) FROM provenance.head")
    out.add("entries", entries, "")
    out.add("image", image, "bytes", "average")
    out.add("bytes per change beyond the image", per["entry"] + log - image, "bytes",
            "all relations of the ledger but heads and contexts")
    out.add("table entry, heap", sizes["entry"][1] / entries, "bytes per change", "image included")
    out.add("table entry, index", (sizes["entry"][0] - sizes["entry"][1]) / entries, "bytes per change")
    out.add("leaves, map and tree", log, "bytes per change",
            ", ".join("%s %.1f" % (n, per.get(n, 0)) for n in ("leaf_run", "seq_block", "tree_node")))
    if heads:
        out.add("heads", sizes["head"][0] / heads, "bytes per row ever recorded")
    out.add("contexts", per.get("context", 0), "bytes per change",
            "%d contexts" % number("provenance", "SELECT count(*) FROM provenance.context"))


@guarded
def verifying(out, rounds):
    entries = number("provenance", "SELECT count(*) FROM provenance.entry")
    say("verifying %d entries" % entries)
    for call, runs in (("verify_log()", min(rounds, 3)), ("verify()", 1)):
        try:
            psql("provenance", "CREATE TABLE crm.finding (LIKE provenance.finding)")
            times = [timed("provenance", "INSERT INTO crm.finding SELECT * FROM provenance.%s;" % call)
                     for _ in range(runs)]
            findings = query("provenance", "SELECT count(*) FROM crm.finding")
            psql("provenance", "DROP TABLE crm.finding")
            out.add(call.rstrip("()"), [entries / t[0] for t in times], "entries/s",
                    "%s findings" % findings)
            out.add(call.rstrip("()") + ", by CPU", [entries / t[1] for t in times], "entries per second of CPU")
        except Failed as e:
            print("\n%s: %s" % (call, e))


@guarded
def history(out):
    psql("provenance", "".join("UPDATE crm.contact SET score = %d WHERE id = 77;\n" % i for i in range(100)))
    psql("provenance", "SELECT provenance.seal()")
    call = "SELECT * FROM provenance.history('crm.contact', 77);"
    n = number("provenance", "SELECT count(*) FROM provenance.history('crm.contact', 77)")
    times = each_time("provenance", [call] * 60)[10:]
    out.add("history() of a row", [t * 1000 for t in times], "ms", "%d entries, all sealed" % n)


@guarded
def proving(out):
    size = int(number("provenance", "SELECT count(*) FROM provenance.leaf_run"))
    seqs = psql("provenance", "SELECT max(seq) - n * (max(seq) / 220) FROM provenance.entry, "
                              "generate_series(1, 200) n GROUP BY n")
    have = psql("provenance", "SELECT seq FROM provenance.entry WHERE seq IN (%s)" % ", ".join(seqs.split())).split()
    times = each_time("provenance", ["SELECT provenance.prove(%s);" % s for s in have])
    out.add("prove()", [t * 1000 for t in times[10:]], "ms", "%d runs of leaves" % size)


def reading(out, rounds, seal):
    seal()
    history(out)
    proving(out)
    verifying(out, rounds)


def long(candidates, out, rows, seconds, rounds, seal):
    """Does anything get dearer as the log grows?"""
    stages = [float(s) for s in (os.environ.get("BENCH_STAGES") or "0 10 50").split()]
    for stage in stages:
        say("growing the log to %g million entries" % stage)
        while True:
            entries = number("provenance", "SELECT log_size FROM provenance.status")
            if entries >= stage * 1e6:
                break
            psql("provenance", "UPDATE crm.contact SET score = score + 1 WHERE id <= %d" % rows)
            seal()
            if int(entries / rows) % 10 == 0:
                psql("provenance", "VACUUM crm.contact; VACUUM provenance.head; CHECKPOINT")
        label = "at %.3g million entries: " % (entries / 1e6)
        ratios, rates = [], []
        for r in range(rounds):
            tps = {c: pgbench(c, "update.pgbench", seconds, rows, False)[0] for c in ("untagged", "provenance")}
            ratios.append(tps["provenance"] / tps["untagged"])
            seal()
            psql("provenance", "UPDATE crm.contact SET score = score + 1")
            start = time.monotonic()
            seal()
            rates.append(rows / (time.monotonic() - start))
        out.add(label + "UPDATE, asynchronous", ratios, "of untagged tps")
        out.add(label + "sealing", rates, "entries/s")
        part = type(out)()
        history(part)
        proving(part)
        verifying(part, 1)
        for name, values, unit, note in part.rows:
            out.add(label + name, values, unit, note)

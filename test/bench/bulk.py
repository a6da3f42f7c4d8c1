"""Many rows in one statement, and what follows it: the time until all is sealed."""
from candidates import order, seal
from report import Figure
from server import Failed, lsn, psql, say, timed

COLUMNS = ("id, account_id, first_name, last_name, email, phone, title, street, city, country, status, score, "
           "consent, updated_at")
STATEMENTS = [      # name, statement, what to do before, bar
    ("bulk INSERT … SELECT", "INSERT INTO crm.bulk (%s) SELECT * FROM crm.source;" % COLUMNS, "TRUNCATE crm.bulk;", 1.9),
    ("bulk UPDATE", "UPDATE crm.bulk SET phone = '+49 30 7654321', status = 'dormant', score = score / 2;", "", 1.8),
    ("COPY", "COPY crm.bulk (%s) FROM :'file';" % COLUMNS, "TRUNCATE crm.bulk;", 1.8),
]


def statements(report, candidates, rounds, rows, file):
    """Returns what sealing took: (seconds, CPU seconds) after each statement of provenance."""
    times = [Figure(name + ": time", "s", False, bar) for name, _, _, bar in STATEMENTS]
    cpu = [Figure(name + ": CPU", "s", False) for name, *_ in STATEMENTS]
    wal = [Figure(name + ": WAL until sealed", "MB", False) for name, *_ in STATEMENTS]
    sealing = []
    for r in range(rounds):
        psql("postgres", "CHECKPOINT")
        for i, (name, statement, before, _) in enumerate(STATEMENTS):
            say("round %d: %s" % (r + 1, name))
            for c in order(candidates, r):
                try:
                    if before:
                        psql(c, before)
                    if c == "provenance":
                        seal()
                    at = lsn()
                    seconds, busy = timed(c, statement, "\\set file %s\n" % file)
                except Failed as e:
                    report.leave_out("%s, %s: %s" % (name, c, e))
                    continue
                if c == "provenance":
                    lag = seal()
                    if lag:
                        sealing.append(lag)
                        times[i].sealed_after.append(lag[0])
                times[i].add(c, r, seconds)
                cpu[i].add(c, r, busy)
                wal[i].add(c, r, (lsn() - at) / 1e6)
                psql(c, "VACUUM crm.bulk")
    report.section("%d rows in one statement: time of the statement with its commit, ratio to untagged" % rows)
    for figure in times + cpu + wal:
        report.add(figure)
    return sealing

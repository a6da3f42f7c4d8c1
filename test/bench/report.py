"""Figures, and the tables they are printed in.

A Figure holds, for each candidate, one value per round. What is printed of a
candidate other than untagged is the median over the rounds of the ratio of its
value to untagged's in the same round.
"""
import csv
from statistics import median

CANDIDATES = ["untagged", "provenance", "floor", "jsonb", "chain"]
TITLES = {"untagged": "untagged", "provenance": "provenance", "floor": "floor",
          "jsonb": "jsonb trigger", "chain": "hash chain"}

# What is aimed at, by figure: "least" ratio of throughput, "most" ratio of time.
BARS = {
    "UPDATE, durable": 0.88, "UPDATE, asynchronous": 0.79,
    "INSERT, durable": 0.90, "INSERT, asynchronous": 0.80,
    "bulk UPDATE": 1.8, "bulk INSERT … SELECT": 1.9, "COPY": 1.8,
}
# … and of the ledger alone: (value, is more better).
LEDGER_BARS = {
    "bytes per change beyond the image": (225, False),
    "sealing": (250000, True),
    "sealing, by CPU": (250000, True),
    "verify_log": (350000, True),
    "verify_log, by CPU": (350000, True),
}


class Figure:
    def __init__(self, name, unit, more_is_better, compared=True):
        self.name, self.unit, self.more = name, unit, more_is_better
        self.compared = compared    # with the jsonb trigger and a bar
        self.rounds = {c: {} for c in CANDIDATES}

    def add(self, candidate, round_, value):
        self.rounds[candidate][round_] = value

    def ratios(self, candidate, base="untagged"):
        mine, theirs = self.rounds[candidate], self.rounds[base]
        return [mine[r] / theirs[r] for r in sorted(mine) if theirs.get(r)]

    def base(self):
        values = list(self.rounds["untagged"].values())
        return median(values) if values else None

    def cell(self, candidate):
        ratios = self.ratios(candidate)
        if not ratios:
            return "–"
        text = "%.2f" % median(ratios)
        if candidate == "provenance" and len(ratios) > 1:
            text = "**%s** (%.2f–%.2f)" % (text, min(ratios), max(ratios))
        return text

    def verdict(self):
        """(bar, remark), of provenance"""
        ratios = self.ratios("provenance")
        bar = BARS.get(self.name) if self.compared else None
        if not ratios or not self.compared:
            return "", ""
        remarks = []
        if bar is not None:
            met = median(ratios) >= bar if self.more else median(ratios) <= bar
            remarks.append("met" if met else "NOT met")
        other = self.ratios("provenance", "jsonb")
        if other:
            slower = median(other) < 1 if self.more else median(other) > 1
            if slower:
                remarks.append("SLOWER than the jsonb trigger")
        return ("%s %.2f" % ("≥" if self.more else "≤", bar) if bar is not None else ""), "; ".join(remarks)


def amount(value):
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return "{:,.0f}".format(value)
    return "%.3g" % value


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |",
             "| --- " + "| ---: " * (len(header) - 2) + "| --- |"]
    lines += ["| " + " | ".join(str(c) for c in row) + " |" for row in rows]
    return "\n".join(lines)


def print_figures(title, figures, note):
    figures = [f for f in figures if f.rounds["untagged"]]
    if not figures:
        return
    print("\n### %s\n\n%s\n" % (title, note))
    rows = []
    for f in figures:
        bar, remark = f.verdict()
        rows.append([f.name, "%s %s" % (amount(f.base()), f.unit)] +
                    [f.cell(c) for c in CANDIDATES[1:]] + [bar, remark])
    print(table(["workload"] + [TITLES[c] for c in CANDIDATES] + ["bar", ""], rows), flush=True)


class Ledger:
    """What only the ledger has: one value each, or a median with its range."""

    def __init__(self):
        self.rows = []

    def add(self, name, values, unit, note=""):
        values = values if isinstance(values, list) else [values]
        self.rows.append((name, values, unit, note))

    def print(self):
        if not self.rows:
            return
        print("\n### The ledger\n")
        rows = []
        for name, values, unit, note in self.rows:
            middle = median(values)
            text = "%s %s" % (amount(middle), unit)
            if len(values) > 1:
                text += " (%s–%s)" % (amount(min(values)), amount(max(values)))
            bar = remark = ""
            if name in LEDGER_BARS:
                aim, more = LEDGER_BARS[name]
                bar = "%s %s" % ("≥" if more else "≤", amount(aim))
                remark = "met" if (middle >= aim if more else middle <= aim) else "NOT met"
            rows.append([name, text, bar, "; ".join(t for t in (remark, note) if t)])
        print(table(["figure", "value", "bar", ""], rows), flush=True)


def write_csv(path, figures, ledger):
    with open(path, "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["figure", "unit", "candidate", "round", "value"])
        for figure in figures:
            for candidate in CANDIDATES:
                for round_, value in sorted(figure.rounds[candidate].items()):
                    out.writerow([figure.name, figure.unit, candidate, round_, value])
        for name, values, unit, _ in ledger.rows:
            for i, value in enumerate(values):
                out.writerow([name, unit, "ledger", i + 1, value])

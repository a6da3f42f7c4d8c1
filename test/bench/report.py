"""Figures, and the one table that they are printed in.

A Figure holds, for each candidate, one value per round. Of what kind it is says
what is printed of a candidate other than untagged, always as the median over
the rounds:

  ratio   its value by untagged's in the same round
  added   its value less untagged's in the same round
  given   its value as it is

What has been measured so far is in two CSV files all the time, so that no hour
of work is lost with the process.
"""
import contextlib
import csv
import sys
import traceback
from statistics import median

from server import Failed

CANDIDATES = ["untagged", "provenance", "floor", "jsonb", "chain", "tablelog", "periods"]
TITLES = {"untagged": "untagged", "provenance": "provenance", "floor": "floor", "jsonb": "jsonb trigger (OLD, NEW)",
          "chain": "hash chain (OLD, NEW)", "tablelog": "tablelog", "periods": "periods"}
NONE = "–"
ENOUGH = 5          # rounds


def amount(value):
    if value is None:
        return NONE
    if abs(value) >= 1000:
        return "{:,.0f}".format(value)
    return "%.3g" % value


def few(values):
    """What is said of a median over fewer than five rounds."""
    return " (n = %d)" % len(values) if 0 < len(values) < ENOUGH else ""


def spread(values, show=amount):
    """Median (least–greatest)"""
    if not values:
        return NONE
    text = show(median(values))
    if len(values) > 1:
        text += " (%s–%s)" % (show(min(values)), show(max(values)))
    return text


class Figure:
    def __init__(self, name, unit, more, bar=None, kind="ratio", note=""):
        """more: is more better? bar: of provenance, in what is printed of it."""
        self.name, self.unit, self.more, self.bar, self.kind, self.note = name, unit, more, bar, kind, note
        self.rounds = {c: {} for c in CANDIDATES}
        self.sealed_after = []      # seconds

    def add(self, candidate, round_, value):
        self.rounds[candidate][round_] = value

    def by_round(self, candidate, base="untagged"):
        """What is printed of a candidate, of each round."""
        mine, theirs = self.rounds[candidate], self.rounds[base]
        if self.kind == "given":
            return {r: mine[r] for r in sorted(mine)}
        if self.kind == "added":
            return {r: mine[r] - theirs[r] for r in sorted(mine) if r in theirs}
        return {r: mine[r] / theirs[r] for r in sorted(mine) if theirs.get(r)}

    def values(self, candidate, base="untagged"):
        return list(self.by_round(candidate, base).values())

    def show(self, value, exact=False):
        if exact:
            return {"ratio": "%.3f", "added": "%+.3f", "given": "%.7g"}[self.kind] % value
        return {"ratio": "%.2f" % value, "added": "%+.1f" % value, "given": amount(value)}[self.kind]

    def hidden(self):
        """Would rounding hide on which side of the bar it is?"""
        values = self.values("provenance")
        return (self.bar is not None and bool(values) and median(values) != self.bar
                and self.show(median(values)) == self.show(self.bar))

    def cell(self, candidate):
        if candidate == "untagged" and self.kind != "given":
            values = list(self.rounds[candidate].values())
            return "%s %s%s" % (amount(median(values)), self.unit, few(values)) if values else NONE
        values = self.values(candidate)
        if not values:
            return NONE
        if candidate != "provenance":
            return self.show(median(values)) + few(values)
        exact = candidate == "provenance" and self.hidden()
        text = spread(values, lambda value: self.show(value, exact))
        if self.kind == "given" and self.unit:
            text += " " + self.unit
        head, space, tail = text.partition(" (")
        return "**%s**%s%s%s" % (head, space, tail, few(values))

    def met(self):
        """True, False; None without a bar or a value"""
        values = self.values("provenance")
        if self.bar is None or not values:
            return None
        return median(values) >= self.bar if self.more else median(values) <= self.bar

    def beside_floor(self):
        """What of it is the floor's already, and the factor that remains; of what both have."""
        values, factor = self.values("floor"), None
        if not values:
            return ""
        floor = median(values)
        if self.kind == "ratio":
            factors = self.values("provenance", "floor")
            factor = median(factors) if factors else None
        elif floor > 0:
            factor = median(self.values("provenance")) / floor
        return "; floor %s%s" % (self.show(floor), "" if factor is None else ", provenance / floor %.2f" % factor)

    def remark(self):
        remarks = []
        if self.bar is not None:
            remarks.append({True: "met", False: "NOT met", None: "not measured"}[self.met()])
        if self.kind == "ratio":
            other = self.values("provenance", "jsonb")
            if other and (median(other) < 1 if self.more else median(other) > 1):
                remarks.append("WORSE than the jsonb trigger")
        if self.note:
            remarks.append(self.note)
        return "; ".join(remarks)

    def bar_text(self):
        if self.bar is None:
            return ""
        number = "%.2f" % self.bar if self.kind == "ratio" else amount(self.bar)
        return "%s %s" % ("≥" if self.more else "≤", number)

    def row(self):
        after = "%s s%s" % (spread(self.sealed_after), few(self.sealed_after)) if self.sealed_after else ""
        return [self.name] + [self.cell(c) for c in CANDIDATES] + [after, self.bar_text(), self.remark()]


class Report:
    """Sections of figures, in the order in which they were measured."""

    def __init__(self, path):
        """path: of the CSV file of all rounds; the table goes beside it."""
        self.rounds_path, self.table_path = path, path.replace(".csv", "") + "-table.csv"
        self.sections = []
        self.left_out = []          # sentences

    def section(self, title):
        self.sections.append((title, []))
        self.write()

    def add(self, figure):
        if any(figure.rounds.values()):
            self.sections[-1][1].append(figure)
            self.write()
        elif figure.bar is not None:
            self.leave_out("%s: no figure." % figure.name)

    @contextlib.contextmanager
    def attempt(self, what):
        """What fails within is said to be left out, and the rest goes on."""
        try:
            yield
        except Failed as e:
            self.leave_out("%s: %s" % (what, e))
        except Exception as e:
            traceback.print_exc(file=sys.stderr)
            self.leave_out("%s: %s: %s" % (what, type(e).__name__, e))

    def value(self, name, values, unit, note="", bar=None, more=True):
        """What only the ledger has: one value, or several to take the median of."""
        figure = Figure(name, unit, more, bar, "given", note)
        for i, value in enumerate(values if isinstance(values, list) else [values]):
            figure.add("provenance", i, value)
        self.add(figure)

    def leave_out(self, sentence):
        if sentence not in self.left_out:
            self.left_out.append(sentence)

    def figures(self):
        return [(title, f) for title, figures in self.sections for f in figures]

    def print(self):
        header = ["what"] + [TITLES[c] for c in CANDIDATES] + ["sealed after", "bar", ""]
        print("\n| " + " | ".join(header) + " |")
        print("| --- |" + " ---: |" * (len(header) - 2) + " --- |")
        for title, figures in self.sections:
            if figures:
                print("| **%s** |%s" % (title, "  |" * (len(header) - 1)))
            for f in figures:
                print("| " + " | ".join(f.row()) + " |")
        barred = [f for _, f in self.figures() if f.bar is not None]
        print("\n%d bars: %d met, %d not met%s" % (
            len(barred), sum(f.met() is True for f in barred), sum(f.met() is False for f in barred),
            "".join("\n- NOT met: %s: %s, bar %s%s" % (f.name, f.cell("provenance").replace("**", ""), f.bar_text(),
                                                      f.beside_floor())
                    for f in barred if f.met() is False)))
        for sentence in self.left_out:
            print("\nLeft out: %s" % sentence)
        print("\n(n = k): of k measurements only; the others are medians of at least %d." % ENOUGH)

    def write(self):
        self.write_rounds()
        self.write_table()

    def write_rounds(self):
        with open(self.rounds_path, "w", newline="") as f:
            out = csv.writer(f)
            out.writerow(["section", "figure", "unit", "candidate", "round", "value"])
            for title, figure in self.figures():
                for c in CANDIDATES:
                    for round_, value in sorted(figure.rounds[c].items()):
                        out.writerow([title, figure.name, figure.unit, c, round_, value])
                for round_, value in enumerate(figure.sealed_after):
                    out.writerow([title, figure.name + ": sealed after", "s", "provenance", round_, value])

    def write_table(self):
        with open(self.table_path, "w", newline="") as f:
            out = csv.writer(f)
            out.writerow(["section", "what", "unit of untagged", "kind", "untagged", "candidate", "median", "least",
                          "greatest", "rounds", "sealed after", "bar", "met"])
            for title, figure in self.figures():
                base = list(figure.rounds["untagged"].values())
                for c in CANDIDATES[1:]:
                    values = figure.values(c)
                    if not values:
                        continue
                    own = c == "provenance"
                    out.writerow([title, figure.name, figure.unit, figure.kind, median(base) if base else "", c,
                                  median(values), min(values), max(values), len(values),
                                  median(figure.sealed_after) if own and figure.sealed_after else "",
                                  figure.bar_text() if own else "",
                                  {True: "met", False: "not met", None: ""}[figure.met()] if own else ""])

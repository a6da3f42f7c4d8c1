#!/bin/bash
#
# freeze.sh: the extension script of a release, kept as it is ("make freeze").
#
# Writes test/upgrade/provenance--<version>.sql, put together from the parts in
# src/sql, for the version that provenance.control names. What is there is never
# written again: test/tap/upgrade.pl installs it, upgrades it by the deltas
# src/sql/provenance--<from>--<to>.sql, and compares. From the first one on,
# doc/format.md says that version 1 of the formats is stable.
#
# After that, a change of a part needs another default_version in
# provenance.control, and a delta that makes the same change.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=$(sed -n "s/^default_version *= *'\([^']*\)'.*/\1/p" provenance.control)
file=test/upgrade/provenance--$version.sql

if [ -e "$file" ]; then
	echo "$file is there, and stays: a released version does not change." >&2
	echo "For what is new, name another default_version in provenance.control, and write src/sql/provenance--$version--<new>.sql." >&2
	exit 1
fi

cat src/sql/[0-9][0-9]_*.sql >"$file.new"
mv -n "$file.new" "$file"
echo "$file: $(wc -l <"$file") lines, SHA-256 $(sha256sum <"$file" | cut -d' ' -f1). Commit it."
if grep -q '^\*\*Status: not frozen\.\*\*' doc/format.md; then
	echo "In doc/format.md, replace the paragraph \"Status: not frozen.\" by the one in the comment below it."
fi

#!/bin/bash
#
# freeze.sh: the extension script of a release, kept as it is ("make freeze").
#
# Writes test/upgrade/provenance--<version>.sql, put together from the parts in
# src/sql, for the version that provenance.control names. What is there is never
# written again: test/tap/upgrade.pl installs it, upgrades it by the deltas
# src/sql/provenance--<from>--<to>.sql, and compares. From the first one on,
# doc/format.md says that version 1 of the formats is stable: the paragraph there
# that says it is not gives way to the one in the comment below it.
#
# After that, a change of a part needs another default_version in
# provenance.control, and a delta that makes the same change. Only as long as
# nobody outside has the version may its script go again: "git rm" it, and freeze
# anew. doc/architecture.md, "Versions", has the rules for what comes after.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=$(sed -n "s/^default_version *= *'\([^']*\)'.*/\1/p" provenance.control)
file=test/upgrade/provenance--$version.sql

if [ -e "$file" ]; then
	echo "$file is there, and stays: a released version does not change." >&2
	echo "For what is new, name another default_version in provenance.control, and write src/sql/provenance--$version--<new>.sql." >&2
	echo "Until $version is published: git rm -f $file, and make freeze again." >&2
	exit 1
fi

cat src/sql/[0-9][0-9]_*.sql >"$file.new"
mv -n "$file.new" "$file"
echo "$file: $(wc -l <"$file") lines, SHA-256 $(sha256sum <"$file" | cut -d' ' -f1)."
commit=$file

# The paragraph, up to the comment's first line, and the comment's end.
if grep -q '^\*\*Status: not frozen\.\*\*' doc/format.md; then
	sed -i -e '/^\*\*Status: not frozen\.\*\*/,/^<!-- At the freeze/d' \
		-e '/^\*\*Status: stable\.\*\*/,/^-->$/{/^-->$/d}' doc/format.md
	echo "doc/format.md: says now that version 1 is stable."
	commit="$commit doc/format.md"
fi
echo "Commit $commit. Until $version is published, git rm that script and freeze again if something is to change."

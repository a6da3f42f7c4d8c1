#!/bin/bash
#
# freeze.sh: a release, kept as it is ("make freeze").
#
# Writes, for the version that provenance.control names and CHANGELOG.md dates,
#
#   test/upgrade/provenance--<version>.sql   the extension script, put together
#                                            from the parts in src/sql
#   test/upgrade/data--<version>.sql         what it stores and hands out: a dump
#                                            (data.sh, which builds this tree)
#
# What is there is never written again: test/tap/upgrade.pl installs the script,
# restores the dump, upgrades both by the deltas src/sql/provenance--<from>--<to>.sql,
# and compares. From the first one on, doc/format.md says that version 1 of the
# formats is stable: the paragraph there that says it is not gives way to the one
# in the comment below it.
#
# After that, a change of a part needs another default_version in
# provenance.control, and a delta that makes the same change. Only as long as
# nobody outside has the version may its files go again: "git rm" them, and freeze
# anew. doc/architecture.md, "Versions", has the rules for what comes after.
#
# INSTALLED=1: $PG_CONFIG's PostgreSQL has this tree's extension; nothing is built.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=$(sed -n "s/^default_version *= *'\([^']*\)'.*/\1/p" provenance.control)
script=test/upgrade/provenance--$version.sql
data=test/upgrade/data--$version.sql

for file in "$script" "$data"; do
	[ -e "$file" ] || continue
	echo "$file is there, and stays: a released version does not change." >&2
	echo "For what is new, name another default_version in provenance.control, and write src/sql/provenance--$version--<new>.sql." >&2
	echo "Until $version is published: git rm -f $script $data, and make freeze again." >&2
	exit 1
done

heading=$(grep -m1 '^## ' CHANGELOG.md || true)
if ! [[ $heading =~ ^'## '\[?"$version"\]?' - '[0-9]{4}-[0-9]{2}-[0-9]{2}$ ]]; then
	echo "CHANGELOG.md: the newest heading is \"$heading\"." >&2
	echo "Of what is frozen it is \"## $version - YYYY-MM-DD\", with the day of the release." >&2
	exit 1
fi

# Later ones read the dump of the oldest that is supported, not the other way round.
if [ -z "${INSTALLED:-}" ]; then
	PG_CONFIG=$(test/lib/require.sh build server)
	export PG_CONFIG
	if [[ $("$PG_CONFIG" --version) != "PostgreSQL 15"* ]]; then
		echo "A version is frozen with PostgreSQL 15, so that all can read its data; $PG_CONFIG is $("$PG_CONFIG" --version). Set PG_CONFIG." >&2
		exit 1
	fi
fi

trap 'rm -f "$script.new" "$data.new"' EXIT
test/upgrade/data.sh >"$data.new"
cat src/sql/[0-9][0-9]_*.sql >"$script.new"
for file in "$script" "$data"; do
	mv -n "$file.new" "$file"
	echo "$file: $(wc -l <"$file") lines, $(wc -c <"$file") bytes, SHA-256 $(sha256sum <"$file" | cut -d' ' -f1)."
done
commit="$script $data"

# The paragraph, up to the comment's first line, and the comment's end.
if grep -q '^\*\*Status: not frozen\.\*\*' doc/format.md; then
	sed -i -e '/^\*\*Status: not frozen\.\*\*/,/^<!-- At the freeze/d' \
		-e '/^\*\*Status: stable\.\*\*/,/^-->$/{/^-->$/d}' doc/format.md
	echo "doc/format.md: says now that version 1 is stable."
	commit="$commit doc/format.md"
fi
echo "Commit $commit. Until $version is published, git rm $script $data and freeze again if something is to change."

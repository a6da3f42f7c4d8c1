#!/usr/bin/perl
#
# checks.pl [<top>]
#
# What can be said of the tree without running it, as TAP, one test a rule:
#
#   - a folder includes from itself and from those above it only:
#     core, types, ledger, (capture, prove, verify, guard), partner, module;
#     compat.h from types on; the verifier program sees core only
#   - the core includes nothing but the C library's basic headers and libcrypto,
#     allocates nothing, does no I/O, reads no clock, has no variables
#   - PG_VERSION_NUM appears in src/compat.h only
#   - the library exports exactly what SQL names, that of released versions
#     (test/upgrade) too, and what it must besides
#   - every C function that a released version's SQL names is in the sources
#   - of a released version the data are kept with the script, and CHANGELOG.md
#     says when it was
#   - the version is the same wherever it stands
#   - every regression file and isolation spec has its expected output, and
#     there is no expected output without one
#   - doc/reference.md names every function, view and setting, and with
#     doc/operations.md every code of a finding
#   - doc/reference.md names every SQLSTATE that the sources use
#   - every code of a finding that doc/reference.md names is found by a test
#   - every promise of doc/guarantees.md names its tests, which exist
#
# The rules that look at compiled files, or at the server's headers, are skipped
# where there are none. That
# each rule can fail is shown by checks_test.pl.

use strict;
use warnings;
use Test::More;
use File::Find;
use File::Basename;
use JSON::PP;

my $top = shift @ARGV // '.';
my $src = "$top/src";

my %rank = (
	core => 0,
	types => 1,
	ledger => 2,
	(map { $_ => 3 } qw(capture prove verify guard)),
	partner => 4,
	verifier => 1,
	module => 5);
my %basic = map { $_ => 1 }
  qw(assert.h inttypes.h limits.h stdbool.h stddef.h stdint.h string.h);

# Not to be called from the core.
my $forbidden = qr/^(?:__)?(?:malloc|calloc|realloc|free|strdup|v?f?printf|puts|fopen|open|read|write|time|clock_gettime|gettimeofday|rand|getenv|abort|exit)(?:_chk)?(?:@.*)?$/;

sub slurp
{
	my $file = shift;
	open my $in, '<', $file or die "$file: $!\n";
	local $/;
	return scalar <$in>;
}

# Every violation is shown; the rule holds if there is none.
sub none
{
	my ($name, @violations) = @_;

	ok(!@violations, $name);
	diag("    $_") for @violations;
}

my @sources;
find(
	{
		no_chdir => 1,
		wanted => sub { push @sources, $_ if /\.[ch]$/ }
	},
	$src);
@sources = sort @sources;

# folder of a file below src; its own name without suffix directly in src
sub folder
{
	my ($path) = @_;
	$path =~ s{^\Q$src\E/}{};
	return $path =~ m{^([^/]+)/} ? $1 : $path =~ s/\.[ch]$//r;
}

my (@order, @foreign, @version);
foreach my $file (@sources)
{
	my $own = folder($file);
	my $line = 0;

	push @order, "$file: not a folder of this design"
	  unless exists $rank{$own} || $own eq 'compat';

	foreach (split /\n/, slurp($file))
	{
		$line++;
		push @version, "$file:$line" if /\bPG_VERSION_NUM\b/ && $own ne 'compat';
		next unless /^\s*#\s*include\s*([<"])([^>"]+)[>"]/;
		my ($kind, $name) = ($1, $2);
		my ($ours) = $kind eq '"' ? grep { -f $_ } (dirname($file) . "/$name", "$src/$name") : ();

		if (!defined $ours)
		{
			my $system = $kind eq '<' && ($basic{$name} || $name =~ m{^openssl/});

			push @foreign, "$file:$line: $name" if $own eq 'core' && !$system;
			push @foreign, "$file:$line: $name"
			  if $own eq 'verifier' && ($kind eq '"' || $name =~ m{^(postgres|server/|utils/|fmgr)});
			next;
		}

		my $other = folder($ours);
		my $allowed =
			$other eq $own ? 1
		  : $other eq 'compat' ? $own ne 'core' && $own ne 'verifier'
		  : $own eq 'compat' ? 0
		  : $own eq 'verifier' ? $other eq 'core'
		  : $other ne 'verifier' && ($rank{$other} // 9) < ($rank{$own} // 0);
		push @order, "$file:$line: $own includes $other" unless $allowed;
	}
}
none('folders include from above only', @order);
none('core and verifier include nothing of the server', @foreign);
none('PG_VERSION_NUM in compat.h only', @version);

# The core's objects.
SKIP:
{
	my @objects = glob "$src/core/*.o";
	skip 'the core is not compiled', 2 unless @objects;

	my (@calls, @variables, %read_only);
	my @symbols = map { [split ' '] } split /\n/, `nm -A -P @objects`;

	# Tables of pointers are data to nm, yet read-only.
	if (grep { $_->[2] =~ /^[Dd]$/ } @symbols)
	{
		$read_only{$_} = 1
		  foreach map { /\s\.data\.rel\.ro\S*\s+\S+\s+(\S+)$/ ? $1 : () } split /\n/, `objdump -t @objects`;
	}
	foreach (@symbols)
	{
		my ($object, $symbol, $type) = @$_;

		push @calls, "$object $symbol" if $type eq 'U' && $symbol =~ $forbidden;
		push @variables, "$object $symbol" if $type =~ /^[BbCDd]$/ && !$read_only{$symbol};
	}
	none('the core does not allocate, print, open or look at the clock', @calls);
	none('the core has no variables', @variables);
}

# Exports.
my @frozen = sort glob "$top/test/upgrade/provenance--*.sql";
SKIP:
{
	my $library = "$top/provenance.so";
	my ($version) = slurp("$top/provenance.control") =~ /^default_version\s*=\s*'([^']+)'/m;
	my $script = "$src/sql/provenance--$version.sql";
	skip 'the library is not built', 1 unless -f $library && -f $script;

	my %expected = map { $_ => 1 } split /\n/,
	  `'$top/test/lib/exports.sh' '$src' '$script' \$(ls '$src'/sql/provenance--*--*.sql 2>/dev/null) @{[ map { "'$_'" } @frozen ]}`;
	my %exported = map { (split ' ')[0] => 1 } split /\n/, `nm -DP --defined-only '$library'`;
	none('exported symbols are those that SQL names',
		(map { "missing: $_" } grep { !$exported{$_} } sort keys %expected),
		(map { "not named: $_" } grep { !$expected{$_} } sort keys %exported));
}

# What a database that is not upgraded calls, whether a library is built or not.
{
	my %defined = map { $_ => 1 } map { slurp($_) =~ /^PG_FUNCTION_INFO_V1\((\w+)\);/mg } @sources;
	my @gone;

	foreach my $script (@frozen)
	{
		my @named = map { /^pg_finfo_(\w+)/ ? $1 : () } split /\n/, `'$top/test/lib/exports.sh' '$src' '$script'`;

		push @gone, "$script names no function" unless @named;
		push @gone, map { "$script: $_" } grep { !$defined{$_} } @named;
	}
	none('no function that a released version calls is gone', @gone);
}

# What is frozen is released.
{
	my $changelog = -f "$top/CHANGELOG.md" ? slurp("$top/CHANGELOG.md") : '';
	my @lacks;

	foreach my $v (map { /provenance--(.+)\.sql$/ } @frozen)
	{
		push @lacks, "$v: no test/upgrade/data--$v.sql" unless -s "$top/test/upgrade/data--$v.sql";
		push @lacks, "$v: CHANGELOG.md has no \"## $v - YYYY-MM-DD\""
		  if $changelog !~ /^## \[?\Q$v\E\]? - \d{4}-\d\d-\d\d$/m;
	}
	none('a released version has its data and its day', @lacks);
}

# Versions.
{
	my ($version) = slurp("$top/provenance.control") =~ /^default_version\s*=\s*'([^']+)'/m;
	my $meta = eval { decode_json(slurp("$top/META.json")) };
	my @differ;

	push @differ, 'META.json cannot be read' unless $meta;
	push @differ, "META.json: version $meta->{version}"
	  if $meta && $meta->{version} ne "$version.0";
	push @differ, "META.json: provides version $meta->{provides}{provenance}{version}"
	  if $meta && $meta->{provides}{provenance}{version} ne "$version.0";
	push @differ, 'META.json: names another script'
	  if $meta && $meta->{provides}{provenance}{file} ne "src/sql/provenance--$version.sql";
	if (-f "$top/CHANGELOG.md")
	{
		my ($newest) = slurp("$top/CHANGELOG.md") =~ /^##\s*\[?v?(\d[\d.]*)/m;
		push @differ, "CHANGELOG.md: newest is $newest"
		  if defined $newest && $newest ne $version && $newest ne "$version.0";
	}
	none("version $version everywhere", @differ);
}

# Pairs.
{
	my @single;

	foreach (
		[ 'sql', '.sql', 'expected' ],
		[ 'test/isolation/specs', '.spec', 'test/isolation/expected' ])
	{
		my ($in, $suffix, $out) = @$_;
		my %in = map { basename($_, $suffix) => 1 } glob "$top/$in/*$suffix";
		my %out = map { basename($_, '.out') => 1 } glob "$top/$out/*.out";

		push @single, map { "$in/$_$suffix has no expected output" } grep { !$out{$_} } sort keys %in;
		push @single, map { "$out/$_.out belongs to nothing" }
		  grep { !$in{$_} && !$in{ s/_\d$//r } } sort keys %out;
	}
	none('tests and expected outputs go in pairs', @single);
}

# Documentation.
{
	my $sql = join '', map { slurp($_) } glob "$src/sql/[0-9]*.sql";
	my %doc = map { $_ => -f "$top/doc/$_.md" ? slurp("$top/doc/$_.md") : '' } qw(reference operations);
	my (@missing, %seen);

	# Functions behind types, operators and triggers are nobody's to call.
	while ($sql =~ /^CREATE (?:(VIEW) (\w+)|FUNCTION (\w+)\([^;]*?\bRETURNS (\w+))/mg)
	{
		my ($name, $returns) = ($2 // $3, $4 // '');

		next if $returns =~ /trigger$/ && $name ne 'capture';
		next if $name =~ /^(?:hash|checkpoint|proof)_/;
		push @missing, "reference.md: $name" if $doc{reference} !~ /`[^`\n]*\b$name\b|^### .*\b$name\b/m && !$seen{$name}++;
	}
	foreach my $file (@sources)
	{
		my $text = slurp($file);

		while ($text =~ /\bDefineCustom\w+Variable\("provenance\.(\w+)"/g)
		{
			push @missing, "reference.md: provenance.$1" if $doc{reference} !~ /\.$1\b/;
		}
		while ($text =~ /\bverify_finding\([^;]*?"(\w+)",\s*SEV_/g)
		{
			my $code = $1;

			next if $seen{$code}++;
			push @missing, map { "$_.md: $code" } grep { $doc{$_} !~ /`$code`/ } sort keys %doc;
		}
	}
	none('functions, views, settings and findings are documented', @missing);

  SKIP:
	{
		my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
		chomp(my $include = `$pg_config --includedir-server 2>/dev/null` // '');
		skip 'there are no server headers', 1 unless -f "$include/utils/errcodes.h";
		my %sqlstate = slurp("$include/utils/errcodes.h") =~ /^#define (ERRCODE_\w+) (MAKE_SQLSTATE\(.*?\))/mg;
		my %used = map { $_ => 1 } map { slurp($_) =~ /\berrcode\((ERRCODE_\w+)\)/g } @sources;

		none('every SQLSTATE is documented', grep { my $s = join '', ($sqlstate{$_} // '') =~ /'(.)'/g;
				$doc{reference} !~ /\b$s\b/ } sort keys %used);
	}

	my ($table) = $doc{reference} =~ /^### Finding codes\n(.*?)^#/ms;
	my $verify = join '', map { slurp($_) } glob "$src/verify/*.c";
	my $tests = join '', map { slurp($_) } glob("$top/test/tap/*.pl"), glob("$top/expected/*.out");
	my @codes = map { /`(\w+)`/g } map { (split /\|/)[1] // '' } split /\n/, $table // '';

	none('every code of a finding is found by a test',
		(@codes ? () : 'doc/reference.md has no table of finding codes'),
		(map { "$_: not in src/verify" } grep { $verify !~ /"$_"/ } @codes),
		(map { "$_: in no test" } grep { $tests !~ /\b$_\b/ } @codes));
}

# Promises.
{
	my $doc = -f "$top/doc/guarantees.md" ? slurp("$top/doc/guarantees.md") : '';
	my ($table) = $doc =~ /^## What is promised.*?\n\|[- |]+\|\n(.*)/ms;
	my @bad;

	$table //= '';
	push @bad, 'doc/guarantees.md: no table of promises' if $table !~ /\S/;
	foreach (split /\n/, $table)
	{
		my (undef, $promise, $named) = split /\s*\|\s*/;

		next if !/^\|/ || /^\|[- |]+\|$/ || $promise eq 'promise';	# also of the tables that follow
		my @names = ($named // '') =~ /`([^`]+)`/g;
		push @bad, "no test: $promise" unless @names;
		push @bad, map { "$_: no such test" } grep
		{
			my $name = $_;

			!grep { -f "$top/$_" } "test/tap/$name", "test/core/$name", "test/core/$name.c", "sql/$name.sql",
			  "test/isolation/specs/$name.spec";
		} grep { $_ !~ /\*/ } @names;
	}
	none('every promise names its tests', @bad);
}

done_testing();

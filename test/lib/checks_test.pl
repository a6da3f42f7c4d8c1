#!/usr/bin/perl
#
# checks_test.pl [<top>]
#
# Shows that the rules of checks.pl can fail: in a copy of the tree that
# satisfies all of them, one thing is spoilt at a time, and the rule named for
# it must fail. Also that tap.pl counts what it says it counts.

use strict;
use warnings;
use Test::More;
use File::Temp;
use File::Basename;

my $top = shift @ARGV // '.';
my $lib = dirname(__FILE__);
my $folder = File::Temp->newdir;
my $copy = "$folder/tree";

sub copy_tree
{
	system("rm -rf '$copy' && mkdir '$copy' && cd '$top' && cp -r --parents "
		  . "src doc test/lib provenance.control META.json CHANGELOG.md '$copy/'") == 0
	  or die "cannot copy the tree\n";
	system("cd '$top' && cp -r --parents sql expected test/isolation test/tap test/core test/upgrade provenance.so '$copy/' 2>/dev/null");
}

sub append
{
	my ($file, $text) = @_;
	system("mkdir -p '" . dirname("$copy/$file") . "'");
	open my $out, '>>', "$copy/$file" or die "$file: $!\n";
	print $out $text;
	close $out;
}

sub compile
{
	my ($name, $text) = @_;
	append("src/core/$name.c", $text);
	system("cc -fPIC -c -o '$copy/src/core/$name.o' '$copy/src/core/$name.c'") == 0
	  or die "cannot compile\n";
}

# The names of the rules that fail in the copy.
sub failing
{
	return join ', ',
	  map { /^not ok \d+ - (.*)/ ? $1 : () } split /\n/, `perl '$lib/checks.pl' '$copy' 2>/dev/null`;
}

my @spoil = (
	[ 'a function that the reference lacks', qr/are documented/,
		sub { append('src/sql/10_types.sql', "CREATE FUNCTION spoilt(a int) RETURNS int AS 'x';\n") } ],
	[ 'a setting that the reference lacks', qr/are documented/,
		sub { append('src/ledger/spoilt.c', "DefineCustomIntVariable(\"provenance.spoilt\",\n") } ],
	[ 'a finding without a description', qr/are documented/,
		sub { append('src/verify/spoilt.c', "verify_finding(v, \"spoilt\", SEV_ERROR, NULL);\n") } ],
	[ 'a server header in the core', qr/nothing of the server/,
		sub { append('src/core/spoilt.c', "#include \"postgres.h\"\n") } ],
	[ 'standard I/O in the core', qr/nothing of the server/,
		sub { append('src/core/spoilt.c', "#include <stdio.h>\n") } ],
	[ 'a folder that includes from below', qr/from above only/,
		sub { append('src/guard/spoilt.h', ''); append('src/ledger/spoilt.c', "#include \"guard/spoilt.h\"\n") } ],
	[ 'a folder that includes a sibling', qr/from above only/,
		sub { append('src/guard/spoilt.h', ''); append('src/prove/spoilt.c', "#include \"guard/spoilt.h\"\n") } ],
	[ 'compat.h in the core', qr/from above only/,
		sub { append('src/core/spoilt.c', "#include \"compat.h\"\n") } ],
	[ 'a server version elsewhere', qr/PG_VERSION_NUM/,
		sub { append('src/guard/spoilt.c', "#if PG_VERSION_NUM >= 160000\n#endif\n") } ],
	[ 'an allocation in the core', qr/does not allocate/,
		sub { compile('spoilt', "#include <stdlib.h>\nvoid *f(void) { return malloc(9); }\n") } ],
	[ 'a variable in the core', qr/has no variables/,
		sub { compile('spoilt', "static int n; int f(void) { return n++; }\n") } ],
	[ 'another version in META.json', qr/^version/,
		sub { system("sed -i 's/\"version\": \"[0-9.]*\"/\"version\": \"9.9.9\"/' '$copy/META.json'") } ],
	[ 'a finding that no test has', qr/found by a test/,
		sub { system("sed -i 's/tile_differs/tile_/g' '$copy'/test/tap/*.pl '$copy'/expected/*.out") } ],
	[ 'a code in the reference that no verification has', qr/found by a test/,
		sub { system("sed -i 's/^| `run_invalid`/| `spoilt_code`/' '$copy/doc/reference.md'") } ],
	[ 'a promise that names no test', qr/every promise names/,
		sub { append('doc/guarantees.md', "| A promise | |\n") } ],
	[ 'a promise with a test that is not there', qr/every promise names/,
		sub { append('doc/guarantees.md', "| A promise | `capture`, `spoilt.pl` |\n") } ],
	[ 'a test without expected output', qr/in pairs/, sub { append('sql/spoilt.sql', "SELECT 1;\n") } ],
	[ 'expected output without a test', qr/in pairs/, sub { append('expected/spoilt.out', "\n") } ],
);
push @spoil,
  [ 'an SQLSTATE that the reference lacks', qr/every SQLSTATE/,
	sub { append('src/ledger/spoilt.c', "errcode(ERRCODE_INVALID_CURSOR_NAME)\n") } ]
  if -d `\${PG_CONFIG:-pg_config} --includedir-server 2>/dev/null` =~ s/\n//r;
push @spoil,
  [ 'a function that a released version names and the sources lack', qr/released version calls/,
	sub { append('test/upgrade/provenance--0.1.sql', "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'MODULE_PATHNAME', 'spoilt';\n") } ],
  [ 'a released version without its data', qr/its data and its day/,
	sub {
		append('test/upgrade/provenance--0.1.sql', "SELECT 1;\n");
		append('CHANGELOG.md', "\n## 0.1 - 2026-01-02\n");
	} ],
  [ 'a released version without its day', qr/its data and its day/,
	sub {
		append("test/upgrade/$_--0.1.sql", "SELECT 1;\n") foreach qw(provenance data);
		append('CHANGELOG.md', "\n## 0.1 (unreleased)\n");
	} ],
  [ 'a released version that names nothing', qr/released version calls/,
	sub { append('test/upgrade/provenance--0.1.sql', "SELECT 1;\n") } ];
push @spoil,
  [ 'a function that a released version names and the library hides', qr/exported symbols/,
	sub { append('test/upgrade/provenance--0.1.sql', "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'MODULE_PATHNAME', 'spoilt';\n");
		  append('src/ledger/spoilt.c', "PG_FUNCTION_INFO_V1(spoilt);\n") } ]
  if -f "$top/provenance.so";
push @spoil,
  [ 'a function that SQL names and the library lacks', qr/exported symbols/,
	sub { append("src/sql/$1", "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'MODULE_PATHNAME', 'spoilt';\n")
		  if (glob "$copy/src/sql/provenance--*.sql")[0] =~ m{([^/]+)$} } ]
  if -f "$top/provenance.so";

copy_tree();
is(failing(), '', 'the tree satisfies every rule');
foreach (@spoil)
{
	my ($name, $rule, $spoil) = @$_;
	copy_tree();
	$spoil->();
	like(failing(), $rule, "$name is found");
}

# Counting.
my %programs = (
	mixed => "echo 1..5; echo ok 1; echo 'not ok 2'; echo 'ok 3 # SKIP no'; echo 'not ok 4 # TODO later'; echo ok 5",
	all_skipped => "echo '1..0 # SKIP nothing here'",
	dies => "echo 1..2; echo ok 1; exit 3");
foreach (keys %programs)
{
	open my $out, '>', "$folder/$_" or die;
	print $out "#!/bin/sh\n$programs{$_}\n";
	close $out;
	chmod 0755, "$folder/$_";
}
my $status = system("perl '$lib/tap.pl' '$folder/summary' '$folder/mixed' '$folder/all_skipped' '$folder/dies' >/dev/null 2>&1");
is(`head -n 1 '$folder/summary'`, "3 2 3\n", 'passed, failed and skipped are counted singly');
isnt($status, 0, 'a failure is a failing status');

done_testing();

# A crash at any instant: at every stop point (src/ledger/stop_point.h) of sealing,
# publishing, cosigning, exporting, merging, recording a fork, setting up, rotating
# a key, adopting and succeeding a log, the process is killed, the postmaster is
# killed, or the server is stopped at once. What was asked for is asked for again
# after the restart. Then: the log goes on; nothing is in it twice and nothing is
# missing; verification finds nothing; and every checkpoint that ever got out, as
# an answer, a row, a file, a notification or a line in the log, is one of that log.
#
# Each point is met by one of the three ends, in turn; with PROVENANCE_SLOW_TESTS by
# all of them.
use strict;
use warnings;
use Cwd qw(abs_path);
use Digest::SHA qw(sha256 sha256_hex);
use File::Basename;
use File::Temp;
use IPC::Run;
use MIME::Base64;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

my $tlog = abs_path(dirname(__FILE__)) . '/../independent/tlog.py';
my $source = abs_path(dirname(__FILE__)) . '/../../src';
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
fsync = off
restart_after_crash = on
max_worker_processes = 16
shared_buffers = 16MB
log_line_prefix = '%p %b %d '
provenance.publish_interval = '1 h'
CONF
$node->start;

sub psql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

# --- what got out ------------------------------------------------------------

my %root;			# "origin size" => root in hex
my %note;			# "origin size" => note
my @contradictions;

sub seen
{
	my ($origin, $size, $root, $where) = @_;
	my $known = $root{"$origin $size"} //= $root;
	push @contradictions, "$where: $origin, $size" if $known ne $root;
}

sub seen_note
{
	my ($note, $where) = @_;
	my ($origin, $size, $root) = split /\n/, $note;
	seen($origin, $size, unpack('H*', decode_base64($root)), $where);
	$note{"$origin $size"} = $note;
}

my $published = "$tmp/published";
my $log_read = 0;
my $origin = 'crm.example';
mkdir $published or die;

# As long as the server answers, and after it does again.
sub look
{
	my ($listener) = @_;

	if ($listener)
	{
		my $out = $listener->query('SELECT 1');
		seen($origin, $1, $2, 'notification') while $out =~ /"provenance_checkpoint" with payload "(\d+) ([0-9a-f]{64})"/g;
	}
	seen_note(slurp_file($_), 'file') foreach grep { -s } "$published/latest";
	foreach my $file (glob("$published/checkpoints-*"))
	{
		# what a crash cut short is followed by whole ones
		seen_note($_, 'file of the day') foreach slurp_file($file) =~ /^(\S+\n\d+\n\S+\n\n(?:\xe2\x80\x94 \S+ \S+\n)+)\n/mg;
	}
	my $log = substr(slurp_file($node->logfile), $log_read);
	$log_read += length $log;
	seen($3, $1, $2, 'log line') while $log =~ /published checkpoint of size (\d+), root ([0-9a-f]{64}), origin (crm\S+)/g;
	foreach my $note (split /\x00/, psql(q{SELECT string_agg(convert_from(provenance.note(note), 'UTF8'), chr(1)) FROM provenance.checkpoints}) =~ tr/\x01/\x00/r)
	{
		seen_note($note, 'row') if $note =~ /\n/;
	}
}

# --- ends --------------------------------------------------------------------

sub await_start
{
	my ($end) = @_;
	for (1 .. 3000)
	{
		return if substr(slurp_file($node->logfile), $end) =~ /ready to accept connections/;
		usleep 20_000;
	}
	die 'the server does not come back';
}

my %ends = (
	process => sub {
		my ($pid) = @_;
		my $end = -s $node->logfile;
		kill 'KILL', $pid;
		await_start($end);
	},
	postmaster => sub {
		my ($pid) = @_;
		$node->kill9;
		for (1 .. 300)
		{
			last if !kill 0, $pid;
			usleep 50_000;
		}
		for (1 .. 100)
		{
			return if $node->start(fail_ok => 1);
			$node->{_pid} = undef;
			usleep 100_000;
		}
		die 'the server does not start';
	},
	immediate => sub {
		$node->stop('immediate');
		$node->start;
	});
my @ends = sort keys %ends;

# Runs the statements in a session until the point is reached, by whomever; then
# the end, and the setting is gone.
my %met;
sub stop_at
{
	my ($point, $end, $sql, $db) = @_;
	my ($out, $err) = ('', '');
	my $from = -s $node->logfile;
	my $pid;

	$met{$point}++;
	psql("ALTER DATABASE postgres SET provenance.stop_point = '$point'", 'template1');
	psql("ALTER DATABASE $db SET provenance.stop_point = '$point'", 'template1') if $db;
	my $listener = $node->background_psql('postgres', on_error_stop => 0);
	$listener->query('LISTEN provenance_checkpoint');
	my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr($db // 'postgres'), '-c', $sql ], '<', '/dev/null', '>', \$out, '2>', \$err);
	for (1 .. 9000)
	{
		($pid) = substr(slurp_file($node->logfile), $from) =~ /process (\d+) waits at stop point "\Q$point\E"/ and last;
		usleep 20_000;
		eval { $session->pump_nb };	# it may have ended
	}
	if (!$pid)
	{
		$session->kill_kill;
		psql("ALTER DATABASE $_ RESET provenance.stop_point", 'template1') foreach 'postgres', $db // ();
		$listener->quit;
		fail("$point is reached: $out $err");
		return 0;
	}
	look($listener);
	$ends{$end}->($pid);
	eval { $session->finish };
	eval { $listener->quit };
	psql("ALTER DATABASE $_ RESET provenance.stop_point", 'template1') foreach 'postgres', $db // ();
	seen_note($out, 'answer') if $out =~ /^\S+\n\d+\n\S+\n\n/;
	return 1;
}

my $turn = 0;
sub ends_of { return $ENV{PROVENANCE_SLOW_TESTS} ? @ends : $ends[ $turn++ % @ends ]; }

sub intact
{
	my ($what) = @_;
	seen_note(psql('SELECT provenance.seal()'), 'answer');
	my $findings = psql('SELECT code, object, message FROM provenance.verify()');
	my $counts = psql('SELECT log_size = (SELECT count(*) FROM provenance.entry) AND pending = 0 AND (SELECT max(size) = log_size FROM provenance.checkpoints) FROM provenance.status');
	look();
	is("$findings$counts@contradictions", 't', "$what: intact, each entry once, one log");
}

# --- two logs: ours, and a partner's -------------------------------------------

psql('CREATE DATABASE peer', 'template1');
my %vkey;
foreach (['postgres', $origin], ['peer', 'peer.example'])
{
	my ($db, $name) = @$_;
	psql('CREATE EXTENSION provenance', $db);
	$vkey{$db} = psql("SELECT provenance.setup('$name')", $db);
	psql(q{CREATE TABLE t (id int PRIMARY KEY, v text); SELECT provenance.tag('t', subject => 'id')}, $db);
	psql(q{SELECT provenance.stop_worker()}, $db);
}
psql("ALTER DATABASE postgres SET provenance.checkpoint_directory = '$published'; SELECT provenance.add_partner('peer', '$vkey{peer}')");
psql('SELECT provenance.setup_witness()');
my $dir = psql('SELECT state_directory FROM provenance.status');
my $id = 0;

# One that goes on with the settings of before would take the next one's place.
sub stop_worker
{
	psql('SELECT provenance.stop_worker()');
	$node->poll_query_until('postgres', 'SELECT provenance.worker_pid() IS NULL') or die 'the worker does not leave';
	return;
}

sub change { $id++; return psql("INSERT INTO t VALUES ($id, 'x')", $_[0]); }

# A bundle of the partner's in a file, with something new in it.
sub bundle
{
	change('peer');
	psql('SELECT provenance.seal()', 'peer');
	my $text = psql(q{COPY (SELECT * FROM provenance.export_bundle('t', NULL, NULL, 'crm')) TO STDOUT}, 'peer') . "\n";
	my $file = "$tmp/bundle-$id";
	open(my $fh, '>', $file) or die;
	print $fh $text;
	close $fh;
	return $file;
}

# The same, with a checkpoint of the same size and another root, that the partner signed too.
sub forked_bundle
{
	my $file = bundle();
	psql("\\copy provenance.inbox FROM '$file'");
	my @lines = split /\n/, slurp_file($file);
	my ($n, $kind, $content) = split /\t/, $lines[1], 3;
	my $text = decode_base64($content) =~ s/\n\n.*/\n/sr;
	my (undef, $key_id) = split /\+/, $vkey{peer};

	$text =~ s/^([^\n]*\n[^\n]*\n)[^\n]*/$1 . encode_base64(sha256("another $id"), '')/e;
	my $key = "$dir/" . sha256_hex('peer.example') . '.key';
	my ($in, $sig) = ("$tmp/text", "$tmp/sig");
	open(my $fh, '>', $in) or die;
	print $fh $text;
	close $fh;
	IPC::Run::run([ 'openssl', 'pkeyutl', '-sign', '-rawin', '-inkey', $key, '-in', $in, '-out', $sig ], '>', '/dev/null', '2>&1') or die 'openssl';
	$lines[1] = join "\t", $n, $kind,
	  encode_base64("$text\n\xe2\x80\x94 peer.example " . encode_base64(pack('H8', $key_id) . slurp_file($sig), '') . "\n", '');
	open($fh, '>', $file) or die;
	print $fh "$_\n" foreach @lines;
	close $fh;
	return $file;
}

intact('at the beginning');

# --- sealing and publishing ------------------------------------------------------

foreach my $point (qw(seal-begin seal-leaves seal-commit seal-done publish-begin state-file publish-state publish-signature
	publish-note publish-row publish-row-done announce-log announce-notify announce-day announce-latest announce-done))
{
	foreach my $end (ends_of())
	{
		change();
		stop_at($point, $end, 'SELECT provenance.seal()') or next;
		intact("$point, $end");
	}
}

# the same, by the standing worker; the log has grown since
foreach my $point (qw(seal-commit publish-state publish-note publish-row-done))
{
	psql('ALTER DATABASE postgres SET provenance.publish_interval = 0; SELECT provenance.seal()');
	foreach my $end (ends_of())
	{
		stop_worker();
		change();
		stop_at($point, $end, 'SELECT provenance.start_worker()') or next;
		stop_worker();
		change();
		intact("$point of the standing worker, $end");
	}
	psql('ALTER DATABASE postgres RESET provenance.publish_interval');
}

# baselines of a table that was tagged later
foreach my $end (ends_of())
{
	stop_worker();
	psql(q{CREATE TABLE later (id int PRIMARY KEY); INSERT INTO later SELECT generate_series(1, 500);
		SELECT provenance.tag('later', baseline => 'later')});
	if (stop_at('baseline-chunk', $end, 'SELECT provenance.start_worker()'))
	{
		psql('UPDATE later SET id = id + 1000 WHERE id < 50; SELECT provenance.start_worker()');
		ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM provenance.baseline_phase'), 'the baselines come to their end');
		stop_worker();
		intact("baseline-chunk, $end");
		is(psql('SELECT count(*) FROM provenance.as_of(NULL::later, \'infinity\')'), '500', 'each row has its own');
	}
	psql(q{SELECT provenance.untag('later'); DROP TABLE later});
}

# --- to and from a partner --------------------------------------------------------

foreach my $point (qw(disclosure-subjects disclosure-row disclosure-done))
{
	foreach my $end (ends_of())
	{
		my $sql = q{COPY (SELECT * FROM provenance.export_bundle('t', NULL, NULL, 'peer')) TO STDOUT};
		change();
		psql('SELECT provenance.seal()');
		my $before = psql('SELECT count(*) FROM provenance.disclosure');
		stop_at($point, $end, $sql) or next;
		is(psql('SELECT count(*) FROM provenance.disclosure') - $before, $point eq 'disclosure-done' ? 1 : 0, "$point, $end: recorded with its commit");
		cmp_ok(length psql($sql), '>', 100, 'and the export is repeated');
		intact("$point, $end");
	}
}
foreach my $point (qw(merge-entries merge-checkpoint merge-row))
{
	foreach my $end (ends_of())
	{
		my $file = bundle();
		my $before = psql('SELECT count(*) FROM provenance.merged_leaf');
		stop_at($point, $end, "\\copy provenance.inbox FROM '$file'") or next;
		is(psql('SELECT count(*) FROM provenance.merged_leaf'), $before, "$point, $end: nothing of the bundle stays");
		psql("\\copy provenance.inbox FROM '$file'");
		cmp_ok(psql('SELECT count(*) FROM provenance.merged_leaf'), '>', $before, 'merged the second time');
		intact("$point, $end");
	}
}
foreach my $point (qw(state-file cosign-state cosign-signature cosign-row cosign-done))
{
	foreach my $end (ends_of())
	{
		my $file = bundle();
		psql("\\copy provenance.inbox FROM '$file'");
		stop_at($point, $end, q{SELECT provenance.cosign('peer')}) or next;
		like(psql(q{SELECT provenance.cosign('peer')}), qr/^\xe2\x80\x94 crm\.example/, "$point, $end: cosigned when asked again");
		is(psql('SELECT count(*) = count(DISTINCT (origin, size)) AND max(size) = (SELECT max(size) FROM provenance.partner_checkpoint) FROM provenance.cosigned'), 't', 'one row a size');
		intact("$point, $end");
	}
}
foreach my $point (qw(fork-row fork-done))
{
	foreach my $end (ends_of())
	{
		my $file = forked_bundle();
		stop_at($point, $end, "\\copy provenance.inbox FROM '$file'") or next;
		is(psql('SELECT state FROM provenance.partner'), $point eq 'fork-done' ? 'forked' : 'trusted', "$point, $end: the evidence is kept with its commit");
		my (undef, undef, $err) = $node->psql('postgres', "\\copy provenance.inbox FROM '$file'", extra_params => [ '-v', 'VERBOSITY=verbose' ]);
		like($err, $point eq 'fork-done' ? qr/PB005/ : qr/PB012/, 'and refused again');
		is(psql(q{SELECT state FROM provenance.partner}), 'forked', 'forked');
		is(psql(q{SELECT count(*) = count(DISTINCT note_b::text) FROM provenance.fork_evidence}), 't', 'evidence once');
		psql(q{SELECT provenance.resolve_fork('peer', 'a test')});
		intact("$point, $end");
	}
}
foreach my $point (qw(cosign-fork-row cosign-fork-done))
{
	foreach my $end (ends_of())
	{
		my $forked = decode_base64((split /\t/, (split /\n/, slurp_file(forked_bundle()))[1], 3)[2]);
		my $sql = "SELECT provenance.cosign_request(E'old 0\\n\\n' || '$forked')";
		stop_at($point, $end, $sql) or next;
		is(psql('SELECT state FROM provenance.partner'), $point eq 'cosign-fork-done' ? 'forked' : 'trusted', "$point, $end: the evidence is kept with its commit");
		my (undef, undef, $err) = $node->psql('postgres', $sql);
		like($err, $point eq 'cosign-fork-done' ? qr/It has signed two logs/ : qr/until an administrator decides/, 'and refused again');
		is(psql(q{SELECT state FROM provenance.partner}), 'forked', 'forked');
		is(psql(q{SELECT count(*) = count(DISTINCT note_b::text) FROM provenance.fork_evidence}), 't', 'evidence once');
		psql(q{SELECT provenance.resolve_fork('peer', 'a test')});
		intact("$point, $end");
	}
}

# --- keys, owners, successors -------------------------------------------------------

psql(q{ALTER DATABASE postgres SET provenance.key_overlap = 0});
foreach my $point (qw(rotate-key rotate-rows))
{
	foreach my $end (ends_of())
	{
		change();
		psql('SELECT provenance.seal()');
		my $before = psql('SELECT provenance.verifier_key()');
		stop_at($point, $end, 'SELECT provenance.rotate_key()') or next;
		is(psql('SELECT provenance.verifier_key()'), $before, "$point, $end: not rotated");
		change();
		intact("$point, $end");
		isnt(psql('SELECT provenance.rotate_key()'), $before, 'rotated when asked again');
		change();
		intact("$point, $end, rotated");
	}
}
foreach my $point (qw(tidy-overwritten tidy-renamed tidy-done))
{
	foreach my $end (ends_of())
	{
		change();
		psql('SELECT provenance.seal()');
		psql('SELECT provenance.rotate_key()');
		change();
		stop_at($point, $end, 'SELECT provenance.seal()') or next;
		change();
		intact("$point, $end");
		my $keys = join ' ', map { s/.*\.//r } glob("$dir/" . sha256_hex($origin) . '.*key*');
		is($keys, 'key', 'and the key is where it belongs, alone');
	}
}
foreach my $point (qw(adopt-state state-file adopt-files adopt-rows))
{
	foreach my $end (ends_of())
	{
		stop_at($point, $end, 'SELECT provenance.adopt()') or next;
		is(psql('SELECT provenance.adopt()'), psql('SELECT provenance.verifier_key()'), "$point, $end: adopted when asked again");
		change();
		intact("$point, $end");
	}
}
my $setups = 0;
foreach my $point (qw(setup-state setup-key setup-rows witness-key))
{
	foreach my $end (ends_of())
	{
		my $db = 's' . ++$setups;
		my $name = "$db.example";
		my $what = $point eq 'witness-key' ? 'setup_witness()' : "setup('$name')";
		psql("CREATE DATABASE $db", 'template1');
		psql('CREATE EXTENSION provenance', $db);
		psql("SELECT provenance.setup('$name')", $db) if $point eq 'witness-key';
		stop_at($point, $end, "SELECT provenance.$what", $db) or next;
		my $key = "$dir/" . sha256_hex($name) . ($point eq 'witness-key' ? '.witness' : '.key');
		my $before = -e $key ? slurp_file($key) : '';
		psql("SELECT provenance.$what", $db);
		ok(($point eq 'setup-state') == ($before eq ''), "$point, $end: the key is there");
		is(slurp_file($key), $before, 'and is used') if $before ne '';
		psql(q{CREATE TABLE u (id int PRIMARY KEY); SELECT provenance.tag('u')}, $db);
		like(psql('SELECT provenance.seal()', $db), qr/^\Q$name\E\n1\n/, 'the log can be used');
		is(psql('SELECT count(*) FROM provenance.verify()', $db), '0', 'and verifies');
		psql("DROP DATABASE $db WITH (FORCE)", 'template1');
	}
}
foreach my $point (qw(setup-state setup-key incarnation-files incarnation-rows))
{
	foreach my $end (ends_of())
	{
		change();
		stop_at($point, $end, q{SELECT provenance.new_incarnation('a test')}) or next;
		change();
		intact("$point of new_incarnation(), $end, before");
		my $n = psql('SELECT incarnation FROM provenance.status') + 1;
		like(psql(q{SELECT provenance.new_incarnation('a test')}), qr{^crm\.example/$n\+}, "$point, $end: succeeded when asked again");
		$origin = "crm.example/$n";
		change();
		intact("$point of new_incarnation(), $end");
	}
}

# --- the other two ways -----------------------------------------------------------------

change();
psql(q{ALTER DATABASE postgres SET provenance.stop_point = 'publish-state:kill'}, 'template1');
my $from = -s $node->logfile;
$node->psql('postgres', 'SELECT provenance.seal()');
await_start($from);
like(substr(slurp_file($node->logfile), $from), qr/terminated by signal 9/, 'a point can kill by itself');
psql(q{ALTER DATABASE postgres SET provenance.stop_point = 'publish-signature:error'}, 'template1');
change();
my (undef, undef, $err) = $node->psql('postgres', 'SELECT provenance.seal()');
like($err, qr/ERROR:  stop point "publish-signature"/, 'and fail');
psql('ALTER DATABASE postgres RESET provenance.stop_point', 'template1');
intact('after both');
psql('CREATE ROLE somebody');
($err) = ($node->psql('postgres', q{LOAD 'provenance'; SET ROLE somebody; SET provenance.stop_point = 'seal-begin'}))[2];
like($err, qr/permission denied to set parameter/, 'only a superuser can');

# --- every checkpoint that ever got out ---------------------------------------------------

my %newest;
foreach (keys %note)
{
	my ($o, $size) = split / /;
	$newest{$o} = $size if $size >= ($newest{$o} // 0);
}
is_deeply(\@contradictions, [], 'no two checkpoints of one size differ');
is_deeply([ grep { !$note{$_} } keys %root ], [], 'each that was announced has a row or a file');
my $keys = psql(q{SELECT string_agg(quote_literal(vkey), ', ') FROM provenance.verifier_keys});
my ($held, $independent, @not) = (0, 0);
foreach my $key (sort keys %note)
{
	my ($o, $size) = split / /, $key;
	next if $o !~ /^crm/;
	my $new = $note{"$o $newest{$o}"};
	my $ok = $size == 0 ? 't' : psql("SELECT provenance.verify_consistency('$note{$key}', '$new',
		ARRAY(SELECT h FROM unnest(provenance.prove_consistency($size, $newest{$o})) AS h), VARIADIC ARRAY[$keys])");
	my $findings = psql("SELECT code FROM provenance.verify_checkpoint('$note{$key}')");
	push @not, "$key $ok $findings" if $ok ne 't' || $findings ne '';
	$held++;
}
cmp_ok($held, '>', 40, 'checkpoints kept');
is_deeply(\@not, [], 'the log extends every one of them');

# by the independent reader, those of the first key and their newest
SKIP:
{
	my $accepted = 0;
	my @sizes = sort { $a <=> $b } map { (split / /)[1] } grep { my ($o, $s) = split / /; $o eq 'crm.example' && $s > 0 &&
		psql("SELECT provenance.verify_consistency('$note{$_}', '$note{$_}', '{}', '$vkey{postgres}')") eq 't' } keys %note;
	my $last = $sizes[-1];
	sub file { my ($name, $text) = @_; open(my $fh, '>', "$tmp/$name") or die; print $fh $text; close $fh; return "$tmp/$name"; }
	foreach my $size (@sizes[ grep { $_ % 4 == 0 } 0 .. $#sizes ])
	{
		my $path = psql("SELECT string_agg(h::text, E'\\n') FROM unnest(provenance.prove_consistency($size, $last)) AS h");
		my $ok = IPC::Run::run([ 'python3', $tlog, 'consistency', $vkey{postgres}, file('old', $note{"crm.example $size"}),
			file('new', $note{"crm.example $last"}), file('path', "$path\n") ], '>', '/dev/null', '2>&1');
		$accepted++ if $ok;
	}
	is($accepted, scalar(grep { $_ % 4 == 0 } 0 .. $#sizes), 'an independent reader accepts them');
}

# --- no point was left out ------------------------------------------------------------------

my %points;
foreach my $file (glob("$source/*/*.c"))
{
	$points{$_} = 1 foreach slurp_file($file) =~ /PROV_STOP_POINT\("([a-z-]+)"\)/g;
}
is_deeply([ sort keys %met ], [ sort keys %points ], 'every stop point was met');

$node->stop;
done_testing();

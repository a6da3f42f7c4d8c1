# Witnesses: two servers cosign each other's checkpoints. What one has cosigned
# stays cosigned, whatever rolls back, is restored, cloned or lost beside it;
# and an independent reader accepts the cosigned notes.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;
use File::Path qw(rmtree);
use MIME::Base64;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use Test::More;

my $tlog = abs_path(dirname(__FILE__)) . '/../independent/tlog.py';
my $tmp = PostgreSQL::Test::Utils::tempdir();
my (%node, %vkey, %witness, %dir);

sub psql { my ($who, $sql, $db) = @_; return $node{$who}->safe_psql($db // 'postgres', $sql); }

sub fails
{
	my ($who, $sql, $db) = @_;
	my ($rc, $out, $err) = $node{$who}->psql($db // 'postgres', $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $rc ? $err : "no error: $out";
}

sub content { return slurp_file($_[0]); }

sub set_content
{
	my ($file, $text) = @_;
	open(my $fh, '>:raw', $file) or die "$file: $!";
	print $fh $text;
	close $fh;
	chmod 0600, $file;
}

sub hex_name { return psql('acme', "SELECT encode(sha256('$_[0]'), 'hex')"); }

foreach my $who (qw(acme globex))
{
	my $n = $node{$who} = PostgreSQL::Test::Cluster->new($who);
	$n->init(allows_streaming => 1);
	$n->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 16\nprovenance.publish_interval = '1 h'\n");
	$n->start;
	psql($who, 'CREATE EXTENSION provenance');
	$vkey{$who} = psql($who, "SELECT provenance.setup('$who.example')");
	$witness{$who} = psql($who, 'SELECT provenance.setup_witness()');
	$dir{$who} = psql($who, 'SELECT state_directory FROM provenance.status');
	psql($who, q{CREATE TABLE t (id int PRIMARY KEY); SELECT provenance.tag('t'); INSERT INTO t VALUES (1)});
}

# What was merged of a partner, by hand: the checkpoint alone matters here.
sub show_note
{
	my ($to, $from, $note, $db) = @_;
	psql($to, qq{INSERT INTO provenance.partner_log SELECT 1000, partner_id, origin FROM provenance.partner_registry
			WHERE name = '$from' ON CONFLICT DO NOTHING;
		INSERT INTO provenance.partner_checkpoint SELECT 1000, provenance.size(c), now(), provenance.root(c), c
			FROM (SELECT '$note'::provenance.checkpoint) AS one (c) ON CONFLICT DO NOTHING}, $db);
}

sub newest { return psql($_[0], 'SELECT provenance.seal()'); }
sub grow { my ($who, $n) = @_; psql($who, "INSERT INTO t SELECT max(id) + 1 FROM t") for 1 .. $n; return newest($who); }

sub forget
{
	my ($who, $where) = @_;
	psql($who, "SET session_replication_role = replica; DELETE FROM provenance.partner_checkpoint WHERE $where");
}

psql('acme', "SELECT provenance.add_partner('globex', '$vkey{globex}'); SELECT provenance.set_witness_policy(1, ARRAY['$witness{globex}'])");
psql('globex', "SELECT provenance.add_partner('acme', '$vkey{acme}'); SELECT provenance.set_witness_policy(1, ARRAY['$witness{acme}'])");

# --- each the other's witness ------------------------------------------------

my %cp2;
foreach my $pair ([ 'acme', 'globex' ], [ 'globex', 'acme' ])
{
	my ($who, $by) = @$pair;
	$cp2{$who} = newest($who);
	show_note($by, $who, $cp2{$who});
	my $line = psql($by, "SELECT provenance.cosign('$who')");
	is(psql($who, 'SELECT provenance.witnessed(2)'), 'f', "$who is not witnessed yet");
	my $note = psql($who, "SELECT provenance.add_cosignature('$line')");
	is($note, "$cp2{$who}$line\n", "$by cosigns the checkpoint of $who");
	is(psql($who, 'SELECT provenance.witnessed(2), last_cosigned_size FROM provenance.status'), 't|2', "$who is witnessed");

	set_content("$tmp/$who", $note);
	my $out = '';
	ok(IPC::Run::run([ 'python3', $tlog, 'cosignature', $witness{$by}, "$tmp/$who" ], '>', \$out, '2>&1'), 'an independent reader accepts it') or diag($out);
	like($out, qr/^$who\.example 2 (\d+)$/, 'as a cosignature of that head');
	my ($time) = $out =~ / (\d+)$/;
	cmp_ok(abs($time - time), '<', 300, 'of now');
	ok(IPC::Run::run([ 'python3', $tlog, 'checkpoint', $vkey{$who}, "$tmp/$who" ], '>', \$out, '2>&1'), 'and as a checkpoint') or diag($out);
	my ($blob) = $line =~ / (\S+)$/;
	my $bytes = decode_base64($blob);
	substr($bytes, 40, 1) ^= "\1";
	my $bad = encode_base64($bytes, '');
	$note =~ s/\Q$blob\E/$bad/;
	set_content("$tmp/$who", $note);
	ok(!IPC::Run::run([ 'python3', $tlog, 'cosignature', $witness{$by}, "$tmp/$who" ], '>', \$out, '2>&1'), 'which refuses it with a bit changed');
	(my $bad_line = $line) =~ s/\Q$blob\E/$bad/;
	like(fails($who, "SELECT provenance.add_cosignature('$bad_line')"), qr/22023: the cosignature is not good on any checkpoint/, 'as we do');
	is(psql($who, "SELECT provenance.set_witness_policy(1, ARRAY['$witness{$by}']); SELECT count(*) FROM provenance.verify()"), "\n0", "$who verifies");
}

# --- the files ------------------------------------------------------------------

my $globex_hex = hex_name('globex.example');
my $state = "$dir{globex}/$globex_hex." . hex_name('acme.example') . '.cosigned';
my $key = "$dir{globex}/$globex_hex.witness";
is((stat $state)[2] & 07777, 0600, 'what was cosigned is readable for the server alone');
is((stat $key)[2] & 07777, 0600, 'and so is the key');
like(content($state), qr/\Aprovenance witness state 1\nwitness globex\.example\norigin acme\.example\nsize 2\nroot [0-9a-f]{64}\nsystem \d+\ntimeline 1\ndatabase \d+\ninode \d+\ndata_directory [^\n]+\nhost [^\n]+\n\n\Q$cp2{acme}\E\z/, 'its content');

# --- a transaction that rolls back ------------------------------------------------

my $cp3 = grow('acme', 1);
show_note('globex', 'acme', $cp3);
$node{globex}->stop;
PostgreSQL::Test::RecursiveCopy::copypath($node{globex}->data_dir, "$tmp/before");	# for a restore, below
$node{globex}->start;
my ($line3) = psql('globex', "BEGIN; SELECT provenance.cosign('acme'); ROLLBACK") =~ /(\S+ \S+ \S+)/;
is(psql('acme', "SELECT provenance.size(provenance.add_cosignature('$line3'))"), '3', 'a cosignature given by a transaction that rolled back is good');
like(content($state), qr/\nsize 3\n/, 'and remembered');
forget('globex', 'size = 3');
like(fails('globex', "SELECT provenance.cosign('acme')"), qr/55000.*has size 2, and size 3 was cosigned/s, 'there is no way back');
show_note('globex', 'acme', $cp3);
like(psql('globex', "SELECT provenance.cosign('acme')"), qr/globex\.example/, 'the same head again is no harm');

# --- a fork: the partner's key signs another log ----------------------------------

sub forged
{
	my ($size) = @_;
	my $text = "acme.example\n$size\n" . encode_base64("fork" x 8, '') . "\n";
	my $file = "$tmp/text";
	set_content($file, $text);
	my $sig = '';
	IPC::Run::run([ 'openssl', 'pkeyutl', '-sign', '-rawin', '-inkey', "$dir{acme}/" . hex_name('acme.example') . '.key', '-in', $file ], '>', \$sig) or die 'openssl';
	my ($id) = $vkey{acme} =~ /^[^+]+\+([0-9a-f]{8})\+/;
	return "$text\n\xE2\x80\x94 acme.example " . encode_base64(pack('H*', $id) . $sig, '') . "\n";
}

my ($fork3, $fork4) = (forged(3), forged(4));
forget('globex', 'size = 3');
show_note('globex', 'acme', $fork3);
like(fails('globex', "SELECT provenance.cosign('acme')"), qr/55000.*At size 3 another root was cosigned.*HINT:.*until an administrator decides/s, 'another root at the same size');
my $evidence = q{SET search_path = public, provenance; SELECT kind, partner, size(note_a), size(note_b), root(note_a) <> root(note_b), resolved_at IS NOT NULL,
	(SELECT state FROM partner WHERE name = 'acme') FROM fork_evidence ORDER BY fork_id};
is(psql('globex', $evidence), 'checkpoint|acme|3|3|t|f|forked', 'which leaves the evidence: both notes are good');
like(fails('globex', "SELECT provenance.cosign('acme')"), qr/55000.*It has signed two logs/s, 'and no more is cosigned');
psql('globex', q{SELECT provenance.resolve_fork('acme', 'a test')});
show_note('globex', 'acme', $fork4);
my $decided = qr/55000.*At size 3 another root was cosigned.*HINT:  An administrator has decided about this evidence/s;
like(fails('globex', "SELECT provenance.cosign('acme')"), $decided, 'what extends that other root');
like(fails('globex', "SELECT provenance.cosign('acme')"), $decided, 'nobody need decide about it again');
forget('globex', 'size = 3');
like(fails('globex', "SELECT provenance.cosign('acme')"), qr/55000.*Size 3 was cosigned, and is not among the checkpoints seen.*prove_consistency\(3, 4\)/s, 'what is not shown to extend it');
like(fails('globex', "SELECT provenance.cosign('acme', ARRAY[repeat('00', 32), repeat('00', 32)]::provenance.hash[])"), qr/55000.*The path given does not show/s, 'not by any path');
is(psql('globex', $evidence), 'checkpoint|acme|3|3|t|t|trusted', 'evidence that was decided about changes nothing');
forget('globex', 'size = 4');
show_note('globex', 'acme', $cp3);

# the same by a request, where no bundle was merged
sub request { my ($note, $old) = @_; return fails('globex', "SELECT provenance.cosign_request(E'old $old\\n\\n' || '$note')"); }
psql('globex', q{SET session_replication_role = replica; DELETE FROM provenance.fork_record});
like(request($fork3, 3), qr/55000.*HINT:  The view provenance.fork_evidence has the evidence/s, 'a request of another log of the same size');
is(psql('globex', $evidence), 'checkpoint|acme|3|3|t|f|forked', 'leaves the evidence');
psql('globex', q{SELECT provenance.resolve_fork('acme', 'a test'); SET session_replication_role = replica; DELETE FROM provenance.fork_record});
forget('globex', 'size = 3');
like(request($fork3, 3), qr/55000.*At size 3 another root was cosigned.*fork_evidence/s, 'the same against what was cosigned alone');
is(psql('globex', $evidence), 'checkpoint|acme|3|3|t|f|forked', 'leaves the evidence');
psql('globex', q{SELECT provenance.resolve_fork('acme', 'a test'); SET session_replication_role = replica; DELETE FROM provenance.fork_record});
show_note('globex', 'acme', $cp3);
like(fails('globex', "BEGIN; SELECT provenance.set_pseudonym_key('acme', NULL); SELECT provenance.cosign_request(E'old 3\\n\\n' || '$fork3')"),
	qr/55000.*holds a lock that the worker needs.*HINT:  Commit or roll back first/s, 'in a transaction that changes partners: later');
psql('globex', q{SET session_replication_role = replica; UPDATE provenance.partner_registry SET state = 'forked'});
like(fails('globex', "SELECT provenance.cosign('acme')"), qr/55000.*It has signed two logs/s, 'a partner that is known to have forked');
psql('globex', q{SET session_replication_role = replica; UPDATE provenance.partner_registry SET state = 'trusted'});
is(psql('globex', q{SELECT string_agg(size::text, ',' ORDER BY size) FROM provenance.cosigned}), '2,3', 'nothing of that was cosigned');

# --- the server's database restored to an earlier time, the state outside not ------

my $cp5 = grow('acme', 2);
show_note('globex', 'acme', $cp5);
my $line5 = psql('globex', "SELECT provenance.cosign('acme')");
is(psql('acme', "SELECT provenance.size(provenance.add_cosignature('$line5'))"), '5', 'size 5 is cosigned');
$node{globex}->stop;
rmtree($node{globex}->data_dir);
PostgreSQL::Test::RecursiveCopy::copypath("$tmp/before", $node{globex}->data_dir);
chmod 0700, $node{globex}->data_dir;
$node{globex}->start;
is(psql('globex', q{SELECT string_agg(size::text, ',' ORDER BY size) FROM provenance.cosigned}), '2', 'restored: the ledger knows of size 2 alone');
like(fails('globex', "SELECT provenance.cosign('acme')"), qr/55000.*has size 3, and size 5 was cosigned/s, 'a smaller head is not cosigned');
my $fork6 = forged(6);
show_note('globex', 'acme', $fork6);
like(fails('globex', "SELECT provenance.cosign('acme')"), qr/55000.*Size 5 was cosigned, and is not among the checkpoints seen/s, 'nor is a fork');
forget('globex', 'size = 6');
my $cp7 = grow('acme', 2);
show_note('globex', 'acme', $cp7);
like(fails('globex', "SELECT provenance.cosign('acme')"), qr/prove_consistency\(5, 7\)/, 'nor an honest one without proof');
my $path = psql('acme', 'SELECT provenance.prove_consistency(5, 7)');
my $line7 = psql('globex', "SELECT provenance.cosign('acme', '$path')");
is(psql('acme', "SELECT provenance.size(provenance.add_cosignature('$line7'))"), '7', 'which the partner can give');

# --- files that are lost, damaged, or another's ---------------------------------------

my $good = content($state);
my @damaged = (
	[ 'another version',      sub { s/state 1/state 2/ },             qr/its version line is unknown/ ],
	[ 'another witness',      sub { s/witness globex/witness globey/ }, qr/it is another witness's/ ],
	[ 'another origin',       sub { s/acme.example/acne.example/g },  qr/it is another origin's/ ],
	[ 'a greater size',       sub { s/size 7/size 8/ },               qr/its note is malformed/ ],
	[ 'no note',              sub { s/\n\n.*/\n\n/s },                qr/its note is missing/ ],
	[ 'another root',         sub { s/root (.)/"root " . ($1 eq '0' ? '1' : '0')/e }, qr/At size 7 another root was cosigned/ ],
	[ 'another cluster',      sub { s/system \d/system 9/ },          qr/belongs to the cluster with system identifier/ ],
	[ 'another timeline',     sub { s/timeline 1/timeline 7/ },       qr/belongs to timeline 7/ ],
	[ 'another database',     sub { s/database \d+/database 4242/ },  qr/belongs to the database with OID 4242/ ],
	[ 'another folder',       sub { s/inode \d+/inode 1/ },           qr/belongs to another copy of the state directory/ ],
);
foreach my $case (@damaged)
{
	my ($what, $how, $want) = @$case;
	local $_ = $good;
	$how->();
	isnt($_, $good, "$what: damaged");
	set_content($state, $_);
	like(fails('globex', "SELECT provenance.cosign('acme')"), qr/55000: no checkpoint of partner "acme" is cosigned.*$want/s, "$what: refused");
	is(content($state), $_, "$what: the file is left alone");
}
(my $moved = $good) =~ s/inode \d+/inode 1/;
set_content($state, $moved);
psql('globex', 'SELECT provenance.adopt()');
is(content($state), $good, 'adopt() takes the file over');
unlink $state;
like(fails('globex', "SELECT provenance.cosign('acme')"), qr/55000.*There is no file in .*adopt/s, 'a file that is gone is missed');
psql('globex', 'SELECT provenance.adopt()');
like(content($state), qr/\nsize 7\n/, 'and made again from the ledger by adopt()');
like(psql('globex', "SELECT provenance.cosign('acme')"), qr/globex\.example/, 'then it goes on');
(my $older = $good) =~ s/size 7/size 3/;
$older =~ s/root \w+/'root ' . unpack('H*', decode_base64((split \/\n\/, $cp3)[2]))/e;
$older =~ s/\n\n.*/\n\n$cp3/s;
set_content($state, $older);
psql('globex', 'SELECT provenance.adopt()');
like(content($state), qr/\nsize 7\n/, 'of file and ledger adopt() takes the greater');
chmod 0644, $key;
like(fails('globex', "SELECT provenance.cosign('acme')"), qr/is accessible to group or others/, 'a key that others may read');
chmod 0600, $key;
rename $key, "$key.away";
like(fails('globex', "SELECT provenance.cosign('acme')"), qr/cannot be read/, 'no key');
rename "$key.away", $key;
like(content($node{globex}->logfile), qr/cosigned the checkpoint of size 7 of "acme\.example"/, 'the server log tells of each');

# --- bundles, of a partner who must be witnessed -------------------------------------------

# acme takes nothing of globex that it has not cosigned itself; so it is shown the checkpoint alone first
my $bundle = "$tmp/bundle";
sub merge { return fails('acme', "COPY provenance.inbox FROM '$bundle'"); }
sub export { unlink $bundle; psql('globex', "COPY (SELECT * FROM provenance.export_bundle('t', since_size => $_[0])) TO '$bundle'"); }

forget('acme', 'true');
psql('acme', "SELECT provenance.add_partner('globex', ARRAY['$vkey{globex}'], ARRAY['$witness{acme}'], 1)");
grow('globex', 2);
my $globex_size = psql('globex', 'SELECT provenance.size(provenance.seal())');
export(0);
like(merge(), qr/PB008/, 'too few witnesses: nothing is merged');
my $request = psql('globex', 'SELECT provenance.witness_request(old_size => 0)');
like(fails('acme', "SELECT provenance.cosign_request('$request')"), qr/55000.*The request goes from size 0, the last size cosigned is 2.*old_size => 2/s, 'a request from another size, as an HTTP status 409');
$request = psql('globex', 'SELECT provenance.witness_request()');
(my $bit = $request) =~ s/^(old 2\n)(.)/$1 . ($2 eq 'A' ? 'B' : 'A')/e;
like(fails('acme', "SELECT provenance.cosign_request('$bit')"), qr/55000.*The path given does not show that size $globex_size extends size 2/s, 'another path');
($bit = $request) =~ s/\n$globex_size\n/\n1000\n/;
like(fails('acme', "SELECT provenance.cosign_request('$bit')"), qr/55000.*has no good signature by a key that the partner has now/s, 'another checkpoint');
my $cosigned = psql('acme', "SELECT provenance.cosign_request('$request')");
is(psql('globex', "SELECT provenance.size(provenance.add_cosignature('$cosigned')), provenance.witnessed($globex_size)"), "$globex_size|t", 'the request of the right size is cosigned');
export(0);
like(merge(), qr/^no error/, 'and the bundle with the cosignature is merged');
is(psql('acme', q{SELECT size, entries > 0 FROM provenance.partner WHERE name = 'globex'}), "$globex_size|t", 'with its entries');
($bit = $request) =~ s/(\n$globex_size\n)(.)/$1 . ($2 eq 'A' ? 'B' : 'A')/e;
like(fails('acme', "SELECT provenance.cosign_request('$bit')"), qr/55000.*has no good signature/s, 'another root that nobody signed says nothing about the partner');
like(psql('acme', "SELECT provenance.cosign('globex')"), qr/ acme\.example /, 'what was merged can be cosigned too');
my $since = $globex_size;
$globex_size = psql('globex', 'SELECT provenance.size(provenance.seal())');
cmp_ok($globex_size, '>', $since, 'the exports are entries');
psql('globex', "SELECT provenance.add_cosignature('" . psql('acme', "SELECT provenance.cosign_request('" . psql('globex', 'SELECT provenance.witness_request()') . "')") . "')");
export($since);
like(merge(), qr/^no error/, 'the next bundle');
is(psql('acme', q{SELECT size FROM provenance.partner WHERE name = 'globex'}), $globex_size, 'extends the first');
is(psql('acme', q{SELECT count(*) FROM provenance.verify()}), '0', 'and acme verifies');

# a line that somebody wrote into the table is not handed on
psql('globex', "SET session_replication_role = replica; UPDATE provenance.checkpoint_cosignature SET line = '$cosigned' WHERE size = $globex_size");
export(0);
like(merge(), qr/PB008/, 'a stored line that is not good is not exported');
psql('globex', "SET session_replication_role = replica; DELETE FROM provenance.checkpoint_cosignature WHERE size = $globex_size");

# --- a clone ------------------------------------------------------------------------------

psql('globex', q{SELECT provenance.stop_worker(); SELECT pg_sleep(1.5)});
psql('globex', 'CREATE DATABASE clone TEMPLATE postgres', 'template1');
like(fails('globex', "SELECT provenance.cosign('acme')", 'clone'), qr/55000.*belongs to the database with OID/s, 'a clone is refused');
psql('globex', q{SELECT provenance.new_incarnation('clone')}, 'clone');
is(psql('globex', 'SELECT provenance.witness_key()', 'clone'), '', 'as a log of its own it has no key');
my $clone_key = psql('globex', 'SELECT provenance.setup_witness()', 'clone');
like($clone_key, qr{^globex\.example/2\+}, 'but can make one');
isnt(substr($clone_key, -42), substr($witness{globex}, -42), 'another one');
is(psql('globex', q{SELECT count(*) FROM provenance.partner_checkpoint WHERE size = 7}, 'clone'), '1', 'the clone has seen size 7');
like(psql('globex', "SELECT provenance.cosign('acme')", 'clone'), qr{globex\.example/2}, 'and cosigns it as itself');
psql('globex', 'SET session_replication_role = replica; DELETE FROM provenance.partner_checkpoint WHERE size > 3; DELETE FROM provenance.cosigned', 'clone');
unlink glob("$dir{globex}/" . hex_name('globex.example/2') . '.*.cosigned');
like(fails('globex', "SELECT provenance.cosign('acme')", 'clone'), qr/has size 3, and size 7 was cosigned/, 'what the original cosigned binds it from the start');

unlike(content($_->logfile), qr/not closed at end-of-transaction/, $_->name . ': no transaction left a file open') foreach values %node;
$_->stop for values %node;
done_testing();

# A log as files (C2SP tlog-tiles), written by export_tiles() and audited by an
# independent implementation (test/independent/tlog.py): trees of 0, 1, 255,
# 256, 257 and 70,000 entries, the first export and every later one; refused
# once a byte of any kind of file is changed, cut or missing, or one too many.
use strict;
use warnings;
use Cwd qw(abs_path);
use Fcntl qw(:flock);
use File::Basename;
use File::Find;
use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tlog = abs_path(dirname(__FILE__)) . '/../independent/tlog.py';
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('tiles');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 16\n");
$node->start;

my $origin = 'crm-' . int(rand(1e9)) . '.example';
my $vkey = $node->safe_psql('postgres', "CREATE EXTENSION provenance; SELECT provenance.setup('$origin');");

sub value { return $node->safe_psql('postgres', $_[0]); }

sub fails
{
	my ($name, $sql, $message) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql, on_error_stop => 1);
	ok($rc != 0, "$name: refused");
	like($err, $message, "$name: message");
}

sub audit
{
	my ($dir) = @_;
	my $out = '';
	my $ok = IPC::Run::run([ 'python3', $tlog, 'tiles', $vkey, $dir ], '>', \$out, '2>&1');
	return ($ok, $out);
}

sub accepted
{
	my ($name, $dir, $size) = @_;
	my ($ok, $out) = audit($dir);
	ok($ok && $out eq "$size entries\n", $name) or diag($out);
}

sub refused
{
	my ($name, $dir, $message) = @_;
	my ($ok, $out) = audit($dir);
	ok(!$ok && $out =~ /^refused: /, $name) or diag($out);
	like($out, $message, "$name: reason");
}

sub slurp_raw
{
	open(my $fh, '<:raw', $_[0]) or die "$_[0]: $!";
	local $/;
	return scalar <$fh>;
}

sub spew
{
	my ($file, $content) = @_;
	open(my $fh, '>:raw', $file) or die "$file: $!";
	print $fh $content;
	close $fh;
}

sub files
{
	my ($dir) = @_;
	my %found;
	find({ no_chdir => 1, wanted => sub { $found{substr($_, length($dir) + 1)} = 1 if -f } }, $dir);
	return \%found;
}

# A directory for the server to write in, whoever runs this.
sub folder
{
	my ($name) = @_;
	mkdir "$tmp/$name" or die $!;
	return "$tmp/$name";
}

# Incremental: one directory through all sizes; fresh: a new one for each.
my $inc = folder('incremental');
my $rows = 0;
my $written;
foreach my $size (0, 1, 255, 256, 257, 70000)
{
	if ($size == 0)
	{
		value('SELECT provenance.size(provenance.seal())');
	}
	else
	{
		value("CREATE TABLE public.t (id int PRIMARY KEY, v text); SELECT provenance.tag('public.t')") if $size == 1;
		my $more = $size - 1 - $rows;
		value("INSERT INTO public.t SELECT n, 'row ' || n FROM generate_series($rows + 1, $rows + $more) n") if $more > 0;
		$rows += $more;
		is(value('SELECT provenance.size(provenance.seal())'), $size, "log of size $size");
	}

	my $fresh = folder("fresh-$size");
	$written = value("SELECT provenance.export_tiles('$fresh')");
	accepted("fresh export of $size entries", $fresh, $size);
	is($written, scalar(keys %{ files($fresh) }), "number of files of a fresh export of $size");
	cmp_ok(value("SELECT provenance.export_tiles('$inc')"), '<=', $written, "incremental export to $size");
	accepted("incremental export of $size entries", $inc, $size);
	is(value("SELECT provenance.export_tiles('$inc')"), '0', "nothing to write twice at $size");

	my $old = files($inc);
	my $missing = join(' ', grep { !$old->{$_} } keys %{ files($fresh) });
	is($missing, '', "the incremental export of $size has what the fresh one has");
}

# Full tiles are not rewritten, by an export in a read-only transaction.
my $dir = "$tmp/incremental";
my $full = "$dir/tile/0/005";
my $before = (stat $full)[1] . ' ' . (stat $full)[9];
value("INSERT INTO public.t SELECT n, '' FROM generate_series(100001, 100300) n; SELECT provenance.size(provenance.seal())");
my $count = value("BEGIN READ ONLY; SELECT provenance.export_tiles('$dir'); COMMIT");
# bundles 273 and 274, the same tiles of level 0, one tile of level 1; no new tile of level 2; the checkpoint
is($count, '6', 'files written for 300 entries more');
is((stat $full)[1] . ' ' . (stat $full)[9], $before, 'a full tile is not written again');
accepted('export of 70,300 entries', $dir, 70300);
ok(-e "$dir/tile/0/273.p/112", 'partial tiles of older sizes stay');

# Modes: public, whatever the server's umask.
my %modes;
find({ no_chdir => 1, wanted => sub { my $m = (stat $_)[2]; $modes{ sprintf('%s %04o', -d _ ? 'dir' : 'file', $m & 07777) }++ unless $_ eq $dir } }, $dir);
is(join(', ', sort keys %modes), 'dir 0755, file 0644', 'modes of files and directories');

# A change to any kind of file is found.
foreach my $file (
	'checkpoint', 'tile/0/000', 'tile/0/273', 'tile/0/274.p/156', 'tile/1/000', 'tile/1/001.p/18',
	'tile/2/000.p/1', 'tile/entries/000', 'tile/entries/273', 'tile/entries/274.p/156',
	'tile/0/273.p/112', 'tile/entries/000.p/255')
{
	my $content = slurp_raw("$dir/$file");
	foreach my $at (0, int(length($content) / 2), length($content) - 1)
	{
		my $changed = $content;
		substr($changed, $at, 1) = chr(ord(substr($changed, $at, 1)) ^ 1);
		spew("$dir/$file", $changed);
		refused("byte $at of $file changed", $dir, qr/./);
	}
	spew("$dir/$file", substr($content, 0, -1));
	refused("$file cut by a byte", $dir, qr/./);
	unlink "$dir/$file";
	refused("$file missing", $dir, qr/is missing/) unless $file =~ m{273\.p|000\.p/255};
	spew("$dir/$file", $content);
}
spew("$dir/tile/0/999", 'x' x 8192);
refused('a tile too many', $dir, qr{tile/0/999 is no file of a log});
unlink "$dir/tile/0/999";
accepted('put back', $dir, 70300);

# A lost or cut file is written again; the checkpoint, too.
unlink "$dir/tile/0/007";
spew("$dir/tile/entries/009", 'short');
unlink "$dir/checkpoint";
spew("$dir/checkpoint", slurp_raw("$tmp/fresh-257/checkpoint"));
is(value("SELECT provenance.export_tiles('$dir')") > 2, 1, 'an older checkpoint: what is beyond it is written again');
accepted('repaired', $dir, 70300);
unlink "$dir/tile/0/007";
spew("$dir/tile/entries/009", 'short');
is(value("SELECT provenance.export_tiles('$dir')"), '2', 'a lost and a cut file are written again');
accepted('repaired again', $dir, 70300);

# The functions give the same bytes; leaf() agrees with the bundle.
my $bundle = value(q{SELECT encode(provenance.entry_bundle(274, 156), 'hex')});
is(pack('H*', $bundle), slurp_raw("$dir/tile/entries/274.p/156"), 'entry_bundle() is the file');
is(pack('H*', value(q{SELECT encode(provenance.tile(1, 1, 18), 'hex')})), slurp_raw("$dir/tile/1/001.p/18"), 'tile() is the file');
is(value(q{SELECT provenance.entry_bundle(3) = string_agg('\x0052'::bytea || provenance.leaf(seq), NULL ORDER BY leaf_index)
	FROM provenance.changes('public.t', '-infinity') WHERE leaf_index BETWEEN 768 AND 1023}), 't', 'entry_bundle() is made of leaf()');

# Who may, and where to.
fails('a relative path', "SELECT provenance.export_tiles('tiles')", qr/must be an absolute path/);
fails('a directory that is not there', "SELECT provenance.export_tiles('$tmp/nowhere')", qr/could not open directory.*No such file/);
value('CREATE ROLE nobody_special; CREATE ROLE writer IN ROLE pg_write_server_files;');
fails('a user', "SET ROLE nobody_special; SELECT provenance.export_tiles('$dir')", qr/permission denied for function export_tiles/);
value('GRANT EXECUTE ON FUNCTION provenance.export_tiles(text) TO nobody_special');
fails('a user who was granted the function', "SET ROLE nobody_special; SELECT provenance.export_tiles('$dir')",
	qr/permission denied to write files on the server/);
my $writers = folder('writers');
is(value("SET ROLE writer; SELECT provenance.export_tiles('$writers') > 500"), 't', 'a member of pg_write_server_files');
accepted('what that member exported', $writers, 70300);

# One export at a time; a cancelled one leaves nothing half, and is taken up again.
my $busy = folder('busy');
open(my $lock, '<', $busy) or die $!;
flock($lock, LOCK_EX) or die $!;
fails('a second export', "SELECT provenance.export_tiles('$busy')", qr/another export is writing to directory/);
close $lock;
fails('cancelled', "SET statement_timeout = '50ms'; SELECT provenance.export_tiles('$busy')", qr/canceling statement due to statement timeout/);
ok(!-e "$busy/checkpoint" && !-e "$busy/.provenance.tmp", 'no checkpoint and no temporary file after that');
value("SELECT provenance.export_tiles('$busy')");
accepted('taken up again', $busy, 70300);

# Links below the directory are not followed, and not written through.
my $links = folder('links');
my $elsewhere = folder('elsewhere');
symlink $elsewhere, "$links/tile";
fails('a linked folder', "SELECT provenance.export_tiles('$links')", qr{"\Q$links\E/tile" is not a directory});
is(scalar(keys %{ files($elsewhere) }), 0, 'nothing was written through a linked folder');
unlink "$links/tile";
spew("$elsewhere/victim", 'mine');
make_path("$links/tile/0");
symlink "$elsewhere/victim", "$links/tile/0/000";
symlink "$elsewhere/victim", "$links/.provenance.tmp";
value("SELECT provenance.export_tiles('$links')");
is(slurp_raw("$elsewhere/victim"), 'mine', 'a linked file is replaced, not written through');
accepted('export over links', $links, 70300);
unlink "$links/checkpoint";
symlink "$elsewhere/victim", "$links/checkpoint";
fails('a linked checkpoint', "SELECT provenance.export_tiles('$links')", qr/could not open file .*checkpoint/);

# Another log's directory, a checkpoint that is none, a newer one, another past.
my $other_log = folder('other-log');
spew("$other_log/checkpoint", "nonsense\n");
fails('not a checkpoint', "SELECT provenance.export_tiles('$other_log')", qr/is not a checkpoint/);
my $note = slurp_raw("$dir/checkpoint");
spew("$other_log/checkpoint", $note =~ s/^\Q$origin\E/other.example/r);
fails('another log', "SELECT provenance.export_tiles('$other_log')", qr/holds another log/);
spew("$other_log/checkpoint", $note =~ s/\n70300\n/\n70301\n/r);
fails('a newer checkpoint', "SELECT provenance.export_tiles('$other_log')", qr/holds a newer checkpoint/);
spew("$other_log/checkpoint", $note =~ s/\n70300\n/\n70299\n/r);
fails('another past', "SELECT provenance.export_tiles('$other_log')", qr/does not extend the checkpoint/);
is(join(' ', keys %{ files($other_log) }), 'checkpoint', 'nothing was written beside it');

# Erased entries still give their leaves; changed ones are not exported.
value(q{ALTER TABLE provenance.entry DISABLE TRIGGER ALL; UPDATE provenance.entry SET seed = NULL, image = NULL WHERE seq % 3 = 0;});
my $erased = folder('erased');
value("SELECT provenance.export_tiles('$erased')");
accepted('export with erased entries', $erased, 70300);
value(q{UPDATE provenance.entry SET changed_at = changed_at + interval '1 microsecond' WHERE seq = 60000;});
my $changed = folder('changed');
fails('a changed entry', "SELECT provenance.export_tiles('$changed')", qr/the stored log is damaged at leaf 59999/);
ok(!-e "$changed/checkpoint", 'no checkpoint over tiles that are not complete');
is(join(' ', grep { /^\.|\/\./ } keys %{ files($changed) }), '', 'no temporary file is left');

$node->stop;
done_testing();

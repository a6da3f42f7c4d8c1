# Random changes from many sessions, with savepoints, prepared transactions,
# triggers of every kind, truncates, killed backends and workers, beside the
# sealer: the log is what the WAL says has happened to each row. A short run of
# "make stress" (test/stress), with one seed.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use File::Basename;

my $node = PostgreSQL::Test::Cluster->new('stress');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
fsync = off
wal_level = logical
max_worker_processes = 16
max_replication_slots = 4
max_wal_senders = 4
max_prepared_transactions = 40
restart_after_crash = on
CONF
$node->start;

local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'postgres';
local $ENV{PYTHONDONTWRITEBYTECODE} = 1;
my $program = dirname(__FILE__) . '/../stress/stress.py';
my $out = '';
my $ok = IPC::Run::run([ 'python3', $program, '--seconds', 20, '--seed', 5, '--bulk', 200000 ], '>&', \$out);
diag($out) unless $ok;
ok($ok, 'the log is what happened to each row');
like($out, qr/in the log each once, in their order; verification finds nothing/, 'and verifies');
unlike(slurp_file($node->logfile), qr/PANIC: |TRAP: |terminated by signal (?:4|6|7|8|11)\b/, 'the server did not crash');
note($out);

$node->stop;
done_testing();

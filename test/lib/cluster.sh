# cluster.sh: throwaway PostgreSQL clusters. A library to be sourced by bash.
#
#	server_user
#		prints the user that servers run as: oneself, or, when root (which
#		PostgreSQL refuses), postgres or else nobody
#	as_server_user <command>...
#		runs the command as that user; what it is to read must be readable
#		for that user
#	cluster_start <pg_config> <dir> [<setting>=<value>]...
#		starts the cluster in <dir>, creating it first if there is none, and
#		sets PGHOST, PGPORT, PGUSER, PGDATABASE for it. <dir> must be absolute
#		and belong to the server user, or not exist yet. Settings are appended
#		to postgresql.conf.
#	cluster_use <dir>
#		sets PGHOST and so on, without starting anything
#	cluster_stop <dir> [fast|immediate|smart]
#	cluster_destroy <dir>
#		stops it at once and removes <dir>
#	clusters_destroy_below <dir>
#		stops at once every server whose data directory is below <dir>, by
#		whomever it was started; removes nothing
#
# In <dir>: data (the data directory), log (the server log), sock (the socket).
# Nothing listens on the network; superuser postgres, trusted on the socket,
# which only the server user reaches. fsync is off: for tests and demos, not
# for data. The functions return non-zero and print the log's end when
# something fails; they never exit.

server_user()
{
	if [ "$(id -u)" != 0 ]; then
		id -un
	elif getent passwd postgres >/dev/null; then
		echo postgres
	else
		echo nobody
	fi
}

as_server_user()
{
	local user

	if [ "$(id -u)" != 0 ]; then
		"$@"
	else
		user=$(server_user)
		setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- \
			env HOME=/tmp USER="$user" LOGNAME="$user" "$@"
	fi
}

cluster_use()
{
	# The name of a socket has at most 107 bytes.
	export PGHOST=$1/sock PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	[ ${#1} -le 80 ] || PGHOST=$(readlink "$1/sock")
}

cluster_start()
{
	local pg_config=$1 dir=$2 bindir sock setting

	shift 2
	bindir=$("$pg_config" --bindir) || return 1
	if [ ! -f "$dir/data/PG_VERSION" ]; then
		if [ ! -d "$dir" ]; then
			mkdir -p "$dir" && chmod 700 "$dir" || return 1
			[ "$(id -u)" != 0 ] || chown "$(server_user)" "$dir" || return 1
		fi
		if ! as_server_user "$bindir/initdb" -D "$dir/data" -U postgres -A trust \
			-N -E UTF8 --locale=C >"$dir/initdb.log" 2>&1; then
			cat "$dir/initdb.log" >&2
			return 1
		fi
		if [ ${#dir} -le 80 ]; then
			sock=$dir/sock
			as_server_user mkdir -m 700 "$sock" || return 1
		else
			sock=$(as_server_user mktemp -d /tmp/provenance-sock.XXXXXX) || return 1
			ln -s "$sock" "$dir/sock"
		fi
		cat >>"$dir/data/postgresql.conf" <<-CONF
			listen_addresses = ''
			unix_socket_directories = '$sock'
			port = 5432
			fsync = off
			max_worker_processes = 16
			max_prepared_transactions = 10
			log_line_prefix = '%m [%p] %q%a '
		CONF
		echo "$bindir" >"$dir/bindir"
	fi
	for setting in "$@"; do
		printf "%s = '%s'\n" "${setting%%=*}" "${setting#*=}" >>"$dir/data/postgresql.conf"
	done
	cluster_use "$dir"
	if ! as_server_user "$bindir/pg_ctl" -D "$dir/data" -l "$dir/log" -w -s start; then
		tail -n 30 "$dir/log" >&2
		return 1
	fi
}

cluster_stop()
{
	[ -f "$1/data/postmaster.pid" ] || return 0
	as_server_user "$(cat "$1/bindir")/pg_ctl" -D "$1/data" -w -s -m "${2:-fast}" stop
}

cluster_destroy()
{
	cluster_stop "$1" immediate
	[ ! -L "$1/sock" ] || rm -rf "$(readlink "$1/sock")"
	rm -rf "$1"
}

clusters_destroy_below()
{
	local file pid i

	[ -d "$1" ] || return 0
	while IFS= read -r -d '' file; do
		# The server's working directory is its data directory: this tells it
		# from a process that has got a dead server's number.
		pid=$(head -n 1 "$file" 2>/dev/null) || continue
		[ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$(cd "${file%/*}" && pwd -P)" ] || continue
		kill -QUIT "$pid" 2>/dev/null || continue
		for i in $(seq 100); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.05
		done
	done < <(find "$1" -name postmaster.pid -print0 2>/dev/null)
	find "$1" -name sock -type l -exec readlink {} \; 2>/dev/null |
		while IFS= read -r i; do
			case $i in /tmp/provenance-sock.*) rm -rf "$i" ;; esac
		done
}

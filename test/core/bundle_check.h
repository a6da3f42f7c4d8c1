/*
 * bundle_check.h: reading the lines of bundle_util.h in the tests. What is
 * accepted is written again from what the reader handed out, and must be the
 * same, byte for byte.
 */
#ifndef BUNDLE_CHECK_H
#define BUNDLE_CHECK_H

#include "bundle_again.h"
#include "bundle_util.h"

/* What the slots keep: freed where the contract says that it is gone. */
typedef struct bu_kept
{
	void	   *slots[PV_BUNDLE_SHAPES];
	bool		refuse;
} bu_kept;

static inline void *
bu_keep(void *arg, unsigned slot, size_t len)
{
	bu_kept    *kept = arg;

	free(kept->slots[slot]);
	kept->slots[slot] = kept->refuse ? NULL : malloc(len);
	return kept->slots[slot];
}

static inline void
bu_kept_free(bu_kept *kept)
{
	for (unsigned i = 0; i < PV_BUNDLE_SHAPES; i++)
	{
		free(kept->slots[i]);
		kept->slots[i] = NULL;
	}
}

static pv_hasher hasher;
static pv_bundle_reader reader;
static bu_kept kept;
static bu_log example_log;
static bu_lines good;			/* the worked example */
static bu_lines lines;			/* a changed one */
static uint8_t scratch[BU_ROOM];
static uint8_t room[BU_ROOM];

/* Where reading stopped, and of what. */
static unsigned stopped;
static const char *what;

/* Reads the lines, from memory of the very size; what is accepted is written again. */
static inline pv_status
read_lines(const bu_lines *b)
{
	static const uint8_t key[PV_BUNDLE_KEY_LEN] = {1, 2, 3};
	pv_status	status = PV_OK;

	must(pv_bundle_reader_init(&reader, &hasher, key, bu_keep, &kept) == PV_OK, "reader");
	for (stopped = 0; stopped < b->n && status == PV_OK; stopped++)
	{
		const bu_line *l = &b->line[stopped];
		pv_buf		again;

		what = NULL;
		status = pv_bundle_read(&reader, l->number, l->kind, strlen(l->kind), (const char *) l->content, l->len,
								scratch, l->len, &what);
		must(what != NULL, "no word about what");
		if (status != PV_OK)
			break;
		pv_buf_init(&again, room, sizeof(room));
		bu_put_again(&reader, &again);
		must(again.len == l->len && memcmp(room, l->content, l->len) == 0, "written again it is another line");
	}
	if (status == PV_OK)
		status = pv_bundle_reader_done(&reader, &what);
	pv_bundle_reader_free(&reader);
	return status;
}

/* Is the copy refused at this line, for this reason? */
static inline bool
refused_at(unsigned line, pv_status expected)
{
	pv_status	status = read_lines(&lines);

	if (status != expected || stopped != line)
		printf("# line %u: %s: %s\n", stopped + 1, what, pv_status_text(status));
	return status == expected && stopped == line;
}

/* The worked example. */
static inline void
check_init(void)
{
	must(pv_hasher_init(&hasher) == PV_OK, "hasher");
	bu_example(&example_log, &hasher);
	bu_build(&example_log, &good);
}

static inline void
check_end(void)
{
	bu_free(&good);
	bu_free(&lines);
	bu_log_free(&example_log);
	bu_kept_free(&kept);
	pv_hasher_free(&hasher);
}

#endif							/* BUNDLE_CHECK_H */

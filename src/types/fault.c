/*
 * fault.c: what is wrong where in a text that is not a checkpoint or proof.
 *
 * The core says why it refuses an input, not where. After a refusal the lines
 * are gone through again here, each by the core's own rule for its part, and
 * the first that fails is named by number and part. Whether an input is
 * accepted never depends on this file: where it finds nothing, the core's
 * reason stands alone.
 */
#include "postgres.h"

#include "compat.h"
#include "types/types.h"

typedef struct Lines
{
	const char *next;
	const char *end;
	int			number;			/* of the line read last */
	const char *line;
	size_t		len;
} Lines;

static bool
next_line(Lines *l)
{
	const char *newline;

	if (l->next >= l->end)
		return false;
	newline = memchr(l->next, '\n', l->end - l->next);
	l->line = l->next;
	l->len = (newline ? newline : l->end) - l->next;
	l->next += l->len + 1;
	l->number++;
	return true;
}

/* Always false, for the convenience of callers. */
static bool
fault_at(char *fault, const Lines *l, const char *part, const char *reason)
{
	snprintf(fault, PROV_FAULT_LEN, "Line %d (%s): %s.", l->number, part, reason);
	return false;
}

static bool
fault_status(char *fault, const Lines *l, const char *part, pv_status status)
{
	return fault_at(fault, l, part, pv_status_text(status));
}

/* Exactly n bytes in canonical base64. */
static pv_status
check_base64(const Lines *l, uint8_t *out, size_t n)
{
	uint8_t		buf[PV_HASH_LEN + 4];
	size_t		got;
	pv_status	status = pv_base64_decode(l->line, l->len, buf, sizeof(buf), &got);

	if (status == PV_E_TOO_LONG || (status == PV_OK && got != n))
		return PV_E_BASE64;
	if (status == PV_OK)
		memcpy(out, buf, n);
	return status;
}

/* One signature line: U+2014, a space, key name, a space, base64. */
static bool
signature_fault(const Lines *l, char *fault)
{
	static const char dash[] = "\xE2\x80\x94 ";
	const char *name = l->line + strlen(dash);
	const char *space;
	size_t		n;
	pv_status	status;

	if (l->len < strlen(dash) || memcmp(l->line, dash, strlen(dash)) != 0)
		return fault_at(fault, l, "signature", "does not begin with a dash (U+2014) and a space");
	space = memchr(name, ' ', l->line + l->len - name);
	if (space == NULL)
		return fault_at(fault, l, "signature", "no space after the key name");
	if (!pv_key_name_valid(name, space - name))
		return fault_status(fault, l, "key name", PV_E_NAME);
	n = l->line + l->len - (space + 1);
	status = n < 8 ? PV_E_TRUNCATED : pv_base64_decode(space + 1, n, palloc(n), n, &n);
	if (status == PV_OK && n <= 4)
		status = PV_E_TRUNCATED;
	if (status != PV_OK)
		return fault_status(fault, l, "signature", status);
	return true;
}

/* The lines of a checkpoint, the first having the number `before` + 1. */
static void
checkpoint_fault(const char *data, size_t len, int before, pv_status status, char *fault)
{
	Lines		l = {data, data + len, before, data, 0};
	const char *sep = NULL;
	const char *p;
	uint64_t	size = 0;
	uint8_t		root[PV_HASH_LEN];

	snprintf(fault, PROV_FAULT_LEN, "The checkpoint: %s.", pv_status_text(status));
	if (len > PV_CHECKPOINT_MAX_LEN)
	{
		snprintf(fault, PROV_FAULT_LEN, "The checkpoint has %zu bytes, at most %d are allowed.",
				 len, PV_CHECKPOINT_MAX_LEN);
		return;
	}
	if (len == 0)
	{
		snprintf(fault, PROV_FAULT_LEN, "The checkpoint is empty.");
		return;
	}

	while (next_line(&l))
	{
		size_t		i;

		for (i = 0; i < l.len && (unsigned char) l.line[i] >= 0x20; i++)
			;
		if (i < l.len || !pv_utf8_valid(l.line, l.len))
		{
			fault_status(fault, &l, "text", PV_E_UTF8);
			return;
		}
	}
	if (data[len - 1] != '\n')
	{
		fault_at(fault, &l, "end", "no line break at the end");
		return;
	}

	/* The last empty line separates text and signatures. */
	for (p = data + len - 1; p > data && sep == NULL; p--)
		if (p[0] == '\n' && p[-1] == '\n')
			sep = p;
	if (sep == NULL)
	{
		snprintf(fault, PROV_FAULT_LEN, "No empty line between text and signatures.");
		return;
	}

	l = (Lines) {data, sep, before, data, 0};
	if (!next_line(&l) || l.len == 0)
	{
		l.number = before + 1;
		fault_at(fault, &l, "origin", "empty");
		return;
	}
	if (!next_line(&l))
	{
		l.number++;
		fault_at(fault, &l, "size", "missing");
		return;
	}
	if ((status = pv_parse_decimal(l.line, l.len, PV_MAX_TREE, &size)) != PV_OK)
	{
		fault_status(fault, &l, "size", status);
		return;
	}
	if (!next_line(&l))
	{
		l.number++;
		fault_at(fault, &l, "root", "missing");
		return;
	}
	if ((status = check_base64(&l, root, PV_HASH_LEN)) != PV_OK)
	{
		fault_status(fault, &l, "root", status);
		return;
	}
	if (size == 0 && memcmp(root, pv_empty_root.b, PV_HASH_LEN) != 0)
	{
		fault_at(fault, &l, "root", "not that of an empty tree, which size 0 asks for");
		return;
	}
	while (next_line(&l))
		if (l.len == 0)
		{
			fault_at(fault, &l, "extension", "empty");
			return;
		}

	/* Over the empty line to the signatures. */
	l.next = sep + 1;
	l.end = data + len;
	l.number++;
	if (!next_line(&l))
	{
		l.number++;
		fault_at(fault, &l, "signature", "missing");
		return;
	}
	do
	{
		if (!signature_fault(&l, fault))
			return;
	} while (next_line(&l));
}

static void
proof_fault(const char *data, size_t len, pv_status status, char *fault)
{
	Lines		l = {data, data + len, 0, data, 0};
	uint64_t	index;
	uint8_t		hash[PV_HASH_LEN];
	int			npath = 0;
	size_t		n;

	snprintf(fault, PROV_FAULT_LEN, "The proof: %s.", pv_status_text(status));
	if (len > PV_PROOF_MAX_LEN)
	{
		snprintf(fault, PROV_FAULT_LEN, "The proof has %zu bytes, at most %d are allowed.",
				 len, PV_PROOF_MAX_LEN);
		return;
	}
	if (status == PV_E_VERSION || !next_line(&l))
	{
		l.number = 1;
		fault_status(fault, &l, "version", PV_E_VERSION);
		return;
	}
	if (next_line(&l) && l.len >= 6 && memcmp(l.line, "extra ", 6) == 0)
	{
		size_t		enc = l.len - 6;

		status = pv_base64_decode(l.line + 6, enc, palloc(enc), enc, &n);
		if (enc == 0 || status != PV_OK)
		{
			fault_at(fault, &l, "extra", enc == 0 ? "empty" : pv_status_text(status));
			return;
		}
		next_line(&l);
	}
	if (l.len < 6 || memcmp(l.line, "index ", 6) != 0)
	{
		l.number = Max(l.number, 2);
		fault_at(fault, &l, "index", "missing");
		return;
	}
	if ((status = pv_parse_decimal(l.line + 6, l.len - 6, PV_MAX_TREE - 1, &index)) != PV_OK)
	{
		fault_status(fault, &l, "index", status);
		return;
	}
	for (;;)
	{
		if (!next_line(&l))
		{
			l.number++;
			fault_at(fault, &l, "path", "no empty line after the path");
			return;
		}
		if (l.len == 0)
			break;
		if (++npath > PV_MAX_PATH - 1)
		{
			fault_status(fault, &l, "path", PV_E_PATH);
			return;
		}
		if ((status = check_base64(&l, hash, PV_HASH_LEN)) != PV_OK)
		{
			fault_status(fault, &l, "path", status);
			return;
		}
	}
	if (l.next <= l.end)
		checkpoint_fault(l.next, l.end - l.next, l.number, PV_E_SYNTAX, fault);
}

bool
checkpoint_check(const char *data, size_t len, pv_checkpoint *out, char fault[PROV_FAULT_LEN])
{
	pv_status	status = pv_checkpoint_parse(data, len, out);

	if (status == PV_OK)
		return true;
	checkpoint_fault(data, len, 0, status, fault);
	return false;
}

bool
proof_check(const char *data, size_t len, pv_proof *out, pv_checkpoint *checkpoint,
			char fault[PROV_FAULT_LEN])
{
	pv_status	status = pv_proof_parse(data, len, out);

	if (status != PV_OK)
	{
		proof_fault(data, len, status, fault);
		return false;
	}
	status = pv_checkpoint_parse(out->checkpoint, out->checkpointlen, checkpoint);
	if (status != PV_OK)
	{
		const char *p;
		int			before = 0;

		for (p = data; p < out->checkpoint; p++)
			before += *p == '\n';
		checkpoint_fault(out->checkpoint, out->checkpointlen, before, status, fault);
		return false;
	}
	return true;
}

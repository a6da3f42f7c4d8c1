/*
 * trust.c: what the caller believes.
 *
 * No key is taken twice, under whatever name: one witness is to count once.
 */
#include "verifier/trust.h"

#include <stdlib.h>
#include <string.h>

#include "verifier/command.h"

Verdict
trust_add(Trust *t, bool witness, const char *vkey, Fault *f)
{
	pv_vkey    *keys = witness ? t->witnesses : t->keys;
	unsigned   *n = witness ? &t->nwitnesses : &t->nkeys;
	uint8_t		type = witness ? PV_SIG_COSIGNATURE : PV_SIG_ED25519;
	pv_vkey    *key = &keys[*n];
	char		text[SHOW_MAX];
	pv_status	status;

	if (*n == TRUST_MAX)
		return fault_set(f, VERDICT_USAGE, "more than %d keys", TRUST_MAX);
	status = pv_vkey_parse(&t->hasher, vkey, strlen(vkey), key);
	if (status == PV_E_CRYPTO)
		return fault_set(f, VERDICT_UNREADABLE, "%s", pv_status_text(status));
	if (status != PV_OK)
		return fault_set(f, VERDICT_USAGE, "%s is not a verifier key: %s", show(vkey, strlen(vkey), text),
						 pv_status_text(status));
	if (key->type != type)
		return fault_set(f, VERDICT_USAGE, "%s is %s", show_key(key, text), witness ?
						 "a log's key, not a witness's: --key is for those" :
						 "a witness's key, not a log's: --witness is for those");
	for (unsigned i = 0; i < *n; i++)
	{
		if (memcmp(keys[i].public_key, key->public_key, sizeof(key->public_key)) == 0 &&
			(witness || strcmp(keys[i].name, key->name) == 0))
			return fault_set(f, VERDICT_USAGE, "%s is given twice", show_key(key, text));
	}
	(*n)++;
	return VERDICT_HOLDS;
}

Verdict
trust_since(Trust *t, const char *path, Fault *f)
{
	char		text[SHOW_MAX];
	size_t		len;
	Signed		s;
	pv_status	status;

	t->since_note = read_text(path, "", 0, PV_CHECKPOINT_MAX_LEN, &len, f);
	if (t->since_note == NULL)
	{
		Fault		why = *f;

		return fault_set(f, why.verdict, "%s: %s", show(path, strlen(path), text), why.text);
	}
	status = pv_checkpoint_parse(t->since_note, len, &t->since);
	if (status != PV_OK)
		return fault_set(f, VERDICT_FAILS, "%s is not a checkpoint: %s", show(path, strlen(path), text),
						 pv_status_text(status));
	{
		/* what was kept need not have been witnessed */
		unsigned	quorum = t->quorum;
		Verdict		verdict;

		t->quorum = 0;
		verdict = trust_checkpoint(t, &t->since, &s, f);
		t->quorum = quorum;
		if (verdict != VERDICT_HOLDS)
		{
			char		why[sizeof(f->text)];

			memcpy(why, f->text, sizeof(why));
			return fault_set(f, verdict, "the kept checkpoint: %s", why);
		}
	}
	t->since_given = true;
	return VERDICT_HOLDS;
}

void
trust_free(Trust *t)
{
	free(t->since_note);
	pv_hasher_free(&t->hasher);
}

static Verdict
trust_keys(const Trust *t, const pv_checkpoint *cp, Fault *f)
{
	char		text[SHOW_MAX];
	pv_status	status = pv_checkpoint_verify(cp, t->keys, t->nkeys);

	if (status == PV_E_ORIGIN)
		return fault_set(f, VERDICT_FAILS, "it is a checkpoint of %s, of which no key was given",
						 show(cp->origin, cp->originlen, text));
	if (status == PV_E_CRYPTO)
		return fault_set(f, VERDICT_UNREADABLE, "%s", pv_status_text(status));
	if (status != PV_OK)
		return fault_set(f, VERDICT_FAILS, "the checkpoint's signature: %s", pv_status_text(status));
	return VERDICT_HOLDS;
}

static bool
find_signers(const Trust *t, const pv_checkpoint *cp, Signed *s)
{
	bool		any = false;

	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < t->nkeys; i++)
		any |= s->by[i] = pv_checkpoint_verify(cp, &t->keys[i], 1) == PV_OK;
	return any;
}

static Verdict
trust_witnesses(const Trust *t, const pv_checkpoint *cp, bool lenient, Signed *s, Fault *f)
{
	char		text[SHOW_MAX];
	pv_status	status;

	for (unsigned i = 0; i < t->nwitnesses; i++)
	{
		status = pv_cosignature_verify(cp, &t->witnesses[i], &s->seconds[i]);
		if (status == PV_OK)
		{
			s->cosigned[i] = true;
			s->ncosigned++;
		}
		else if (status != PV_E_UNKNOWN_KEY && !lenient)
			return fault_set(f, status == PV_E_CRYPTO ? VERDICT_UNREADABLE : VERDICT_FAILS, "the cosignature of %s: %s",
							 show_key(&t->witnesses[i], text), pv_status_text(status));
	}
	if (s->ncosigned < t->quorum)
		return fault_set(f, VERDICT_FAILS, "%u of the witnesses cosigned, %u are needed", s->ncosigned, t->quorum);
	return VERDICT_HOLDS;
}

Verdict
trust_checkpoint(const Trust *t, const pv_checkpoint *cp, Signed *s, Fault *f)
{
	(void) find_signers(t, cp, s);
	return trust_keys(t, cp, f) == VERDICT_HOLDS ? trust_witnesses(t, cp, false, s, f) : f->verdict;
}

Verdict
trust_evidence(const Trust *t, const pv_checkpoint *cp, Signed *s, Fault *f)
{
	if (!find_signers(t, cp, s) && trust_keys(t, cp, f) != VERDICT_HOLDS)
		return f->verdict;
	return trust_witnesses(t, cp, true, s, f);
}

/* The time of a cosignature in microseconds, as far as that goes. */
static int64_t
cosigned_at(uint64_t seconds)
{
	return seconds > INT64_MAX / 1000000 ? INT64_MAX : (int64_t) seconds * 1000000;
}

void
put_signed(const Trust *t, const Signed *s)
{
	char		text[SHOW_MAX];
	char		time[TIME_MAX];
	const char *between = "";

	fputs("It is signed with the key ", stdout);
	for (unsigned i = 0; i < t->nkeys; i++)
	{
		if (!s->by[i])
			continue;
		printf("%s%s", between, show_key(&t->keys[i], text));
		between = " and ";
	}
	if (t->nwitnesses == 0)
	{
		puts("; no witness was asked for.");
		return;
	}
	fputs(".\n", stdout);
	between = "It was cosigned by ";
	for (unsigned i = 0; i < t->nwitnesses; i++)
	{
		if (!s->cosigned[i])
			continue;
		printf("%s%s (%s)", between, show(t->witnesses[i].name, strlen(t->witnesses[i].name), text),
			   show_time(cosigned_at(s->seconds[i]), false, time));
		between = ", ";
	}
	printf("%s %u of %u witnesses; %u needed.\n", s->ncosigned > 0 ? ":" : "It was cosigned by", s->ncosigned,
		   t->nwitnesses, t->quorum);
}

void
json_signed(const Trust *t, const Signed *s)
{
	char		vkey[PV_VKEY_MAX];

	json_begin("signed_by", '[');
	for (unsigned i = 0; i < t->nkeys; i++)
	{
		if (s->by[i] && pv_vkey_format(&t->keys[i], vkey) == PV_OK)
			json_string(NULL, vkey);
	}
	json_end(']');
	json_begin("cosigned_by", '[');
	for (unsigned i = 0; i < t->nwitnesses; i++)
	{
		if (!s->cosigned[i])
			continue;
		json_begin(NULL, '{');
		json_string("witness", t->witnesses[i].name);
		json_time("time", cosigned_at(s->seconds[i]));
		json_end('}');
	}
	json_end(']');
	json_number("quorum", t->quorum);
}

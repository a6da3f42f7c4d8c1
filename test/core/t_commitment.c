/*
 * t_commitment.c: every vector of test/vectors/commitment.txt, which an
 * independent program computed, and what a commitment must tell apart.
 *
 * Salts are also compared with AES-128 in ECB mode over counter blocks, so
 * that the counter's width and start do not rest on one implementation.
 */
#include <openssl/evp.h>

#include "harness.h"
#include "leaf.h"
#include "shape.h"

#define MAX_WORDS 400
#define VECTORS 170				/* in the file: none may get lost */
#define N(s) ((pv_name) {s, sizeof(s) - 1})
#define V(s) ((pv_value) {(const uint8_t *) s, sizeof(s) - 1})

static pv_hasher hasher;
static pv_salter salter;

/* One vector, split at its spaces; bytes are decoded in place. */
static char *word[MAX_WORDS];
static int	nwords;
static pv_name names[PV_MAX_FIELDS];
static pv_value values[PV_MAX_FIELDS];
static pv_column cols[PV_MAX_FIELDS];

static pv_value
bytes_of(int i)
{
	pv_value	v = {NULL, 0};
	size_t		len = strlen(word[i]);

	if (strcmp(word[i], "NULL") == 0)
		return v;
	v.data = (uint8_t *) word[i];
	if (strcmp(word[i], "-") == 0)
		return v;
	v.len = (uint32_t) (len / 2);
	if (pv_hex_decode(word[i], len, (uint8_t *) word[i], len / 2) != PV_OK)
		CHECK(!"vector is not hexadecimal");
	return v;
}

static pv_name
name_of(int i)
{
	pv_value	v = bytes_of(i);

	return (pv_name) {(const char *) v.data, (uint16_t) v.len};
}

static uint64_t
number(int i)
{
	uint64_t	v = 0;

	if (pv_parse_decimal(word[i], strlen(word[i]), UINT64_MAX, &v) != PV_OK)
		CHECK(!"vector is not a number");
	return v;
}

/* Count at word i, then that many pairs. */
static size_t
pairs(int i)
{
	size_t		n = number(i);

	for (size_t k = 0; k < n; k++)
	{
		names[k] = name_of(i + 1 + 2 * (int) k);
		values[k] = bytes_of(i + 2 + 2 * (int) k);
	}
	return n;
}

static bool
same(const void *data, size_t len, int i)
{
	pv_value	v = bytes_of(i);

	return v.data != NULL && v.len == len && memcmp(v.data, data, len) == 0;
}

static bool
run_vector(void)
{
	int			last = nwords - 1;
	pv_hash		out = {{0}};
	uint8_t		mem[4000];
	pv_buf		b;
	size_t		n;

	pv_buf_init(&b, mem, sizeof mem);
	if (strcmp(word[0], "salt") == 0)
	{
		static uint8_t salts[(PV_MAX_FIELDS + 1) * PV_SALT_LEN];

		n = number(2);
		return pv_salts(&salter, bytes_of(1).data, n + 1, salts) == PV_OK && same(salts + n * PV_SALT_LEN, PV_SALT_LEN, last);
	}
	if (strcmp(word[0], "field") == 0)
		return pv_field_digest(&hasher, (uint8_t) number(1), bytes_of(2).data, name_of(3), bytes_of(4), &out) == PV_OK &&
			same(out.b, sizeof out, last);
	if (strcmp(word[0], "context") == 0)
	{
		n = pairs(2);
		return pv_commit_context(&hasher, &salter, bytes_of(1).data, names, values, n, &out) == PV_OK &&
			same(out.b, sizeof out, last);
	}
	if (strcmp(word[0], "record") == 0)
	{
		pv_hash		shape,
					context;
		uint8_t		salts[100 * PV_SALT_LEN];

		memcpy(shape.b, bytes_of(1).data, sizeof shape);
		memcpy(context.b, bytes_of(2).data, sizeof context);
		n = pairs(4);
		return pv_commit_record(&hasher, &salter, &shape, &context, bytes_of(3).data, names, values, n, salts, NULL,
								&out) == PV_OK && same(out.b, sizeof out, last);
	}
	if (strcmp(word[0], "row") == 0)
	{
		uint8_t		id[PV_ROW_ID_LEN];

		n = number(3);
		for (size_t k = 0; k < n; k++)
			values[k] = bytes_of(4 + (int) k);
		return pv_row_identity(&hasher, bytes_of(1).data, (uint32_t) number(2), values, n, id) == PV_OK &&
			same(id, sizeof id, last);
	}
	if (strcmp(word[0], "values") == 0)
	{
		n = number(1);
		for (size_t k = 0; k < n; k++)
			values[k] = bytes_of(2 + (int) k);
		pv_put_values(&b, values, n);
		return same(mem, b.len, last);
	}
	if (strcmp(word[0], "shape") == 0)
	{
		pv_shape	s = {name_of(1), (uint32_t) number(2), name_of(3), name_of(4), (uint16_t) number(5), 0, cols};

		for (int k = 0; k < s.ncolumns; k++)
		{
			cols[k] = (pv_column) {name_of(6 + 3 * k), name_of(7 + 3 * k), (uint16_t) number(8 + 3 * k)};
			s.nkeys += cols[k].key_pos > 0;
		}
		return pv_shape_encode(&s, &b) == PV_OK && pv_shape_digest(&hasher, mem, b.len, &out) == PV_OK &&
			same(mem, b.len, last - 1) && same(out.b, sizeof out, last);
	}
	if (strcmp(word[0], "leaf") == 0)
	{
		pv_leaf		leaf = {(uint8_t) number(1), strtoll(word[2], NULL, 10), number(3), {{0}}, {{0}}};
		uint8_t		encoded[PV_LEAF_LEN];

		memcpy(leaf.prev.b, bytes_of(4).data, sizeof leaf.prev);
		memcpy(leaf.commitment.b, bytes_of(5).data, sizeof leaf.commitment);
		pv_leaf_encode(&leaf, encoded);
		return pv_leaf_hash(&hasher, encoded, sizeof encoded, &out) == PV_OK && same(encoded, sizeof encoded, last - 1) &&
			same(out.b, sizeof out, last);
	}
	return false;
}

static void
run_vectors(void)
{
	static char line[20000];
	const char *top = getenv("TOP");
	char		path[1000];
	FILE	   *f;
	int			line_number = 0;
	int			count = 0;

	snprintf(path, sizeof path, "%s/test/vectors/commitment.txt", top != NULL ? top : "../..");
	f = fopen(path, "r");
	CHECK(f != NULL);
	if (f == NULL)
		return;
	while (fgets(line, sizeof line, f) != NULL)
	{
		bool		ok;

		line_number++;
		if (line[0] == '#' || line[0] == '\n')
			continue;
		nwords = 0;
		for (char *w = strtok(line, " \n"); w != NULL && nwords < MAX_WORDS; w = strtok(NULL, " \n"))
			word[nwords++] = w;
		ok = run_vector();
		CHECK(ok);
		if (!ok)
			printf("# %s, line %d\n", path, line_number);
		count++;
	}
	fclose(f);
	CHECK(count == VECTORS);
}

static pv_hash
digest(uint8_t domain, pv_name name, pv_value value)
{
	static const uint8_t salt[PV_SALT_LEN] = {1, 2, 3};
	pv_hash		out;

	CHECK(pv_field_digest(&hasher, domain, salt, name, value, &out) == PV_OK);
	return out;
}

int
main(void)
{
	static const uint8_t seed[PV_SEED_LEN] = {9, 8, 7, 6, 5};
	static uint8_t salts[(PV_MAX_FIELDS + 2) * PV_SALT_LEN];
	static pv_hash digests[PV_MAX_FIELDS + 1];
	const pv_value null = {NULL, 0};
	const pv_value empty = V("");
	pv_hash		shape = {{1}},
				context = {{2}},
				out,
				other;

	CASE("the vectors of the independent program");
	CHECK(pv_hasher_init(&hasher) == PV_OK && pv_salter_init(&salter) == PV_OK);
	run_vectors();

	CASE("salt i is AES-128 of counter block i");
	CHECK(pv_salts(&salter, seed, PV_MAX_FIELDS + 1, salts) == PV_OK);
	{
		EVP_CIPHER_CTX *ecb = EVP_CIPHER_CTX_new();
		int			len;

		CHECK(EVP_EncryptInit_ex(ecb, EVP_aes_128_ecb(), NULL, seed, NULL) == 1);
		for (int i = 0; i <= PV_MAX_FIELDS; i++)
		{
			uint8_t		block[16] = {[14] = (uint8_t) (i >> 8), [15] = (uint8_t) i};
			uint8_t		salt[32];

			CHECK(EVP_EncryptUpdate(ecb, salt, &len, block, 16) == 1 && len == 16);
			CHECK(memcmp(salt, salts + i * PV_SALT_LEN, 16) == 0);
		}
		EVP_CIPHER_CTX_free(ecb);
	}
	{
		uint8_t		fewer[3 * PV_SALT_LEN];

		CHECK(pv_salts(&salter, seed, 3, fewer) == PV_OK && memcmp(fewer, salts, sizeof fewer) == 0);
		CHECK(pv_salts(&salter, seed, 0, NULL) == PV_OK);
		CHECK(pv_salts(&salter, seed, PV_MAX_FIELDS + 2, salts) == PV_E_COUNT);
	}

	CASE("field digests tell apart what differs");
	out = digest(PV_DOMAIN_FIELD, N("ab"), V("cd"));
	for (int i = 0; i < 7; i++)
	{
		other = i == 0 ? digest(PV_DOMAIN_FIELD, N("abc"), V("d")) :
			i == 1 ? digest(PV_DOMAIN_FIELD, N("a"), V("bcd")) :
			i == 2 ? digest(PV_DOMAIN_FIELD, N(""), V("abcd")) :
			i == 3 ? digest(PV_DOMAIN_FIELD, N("abcd"), empty) :
			i == 4 ? digest(PV_DOMAIN_CONTEXT_FIELD, N("ab"), V("cd")) :
			i == 5 ? digest(PV_DOMAIN_FIELD, N("ab"), V("cd\0")) :
			digest(PV_DOMAIN_FIELD, N("ab"), null);
		CHECK(!pv_hash_equal(&out, &other));
	}
	out = digest(PV_DOMAIN_FIELD, N("a"), null);
	other = digest(PV_DOMAIN_FIELD, N("a"), empty);
	CHECK(!pv_hash_equal(&out, &other));
	/* A name that swallows null byte, length and value of another split. */
	out = digest(PV_DOMAIN_FIELD, N("a"), V("\0\0\0\0\0"));
	other = digest(PV_DOMAIN_FIELD, N("a\0\0\0\0\5"), empty);
	CHECK(!pv_hash_equal(&out, &other));
	for (int bit = 0; bit < PV_SALT_LEN * 8; bit++)
	{
		uint8_t		salt[PV_SALT_LEN] = {1, 2, 3};

		salt[bit / 8] ^= (uint8_t) (1 << bit % 8);
		CHECK(pv_field_digest(&hasher, PV_DOMAIN_FIELD, salt, N("a"), empty, &out) == PV_OK && !pv_hash_equal(&out, &other));
	}
	{
		static char long_name[PV_MAX_NAME + 1];

		CHECK(pv_field_digest(&hasher, PV_DOMAIN_FIELD, seed, (pv_name) {long_name, PV_MAX_NAME}, null, &out) == PV_OK);
		CHECK(pv_field_digest(&hasher, PV_DOMAIN_FIELD, seed, (pv_name) {long_name, PV_MAX_NAME + 1}, null, &out) ==
			  PV_E_TOO_LONG);
	}

	CASE("a long value is hashed like its parts");
	for (size_t len = 900; len < 1100; len++)
	{
		static uint8_t value[1100],
					input[1200];
		pv_buf		b;

		for (size_t i = 0; i < len; i++)
			value[i] = (uint8_t) (i * 3);
		pv_buf_init(&b, input, sizeof input);
		pv_put_u8(&b, PV_DOMAIN_FIELD);
		pv_put_bytes(&b, seed, PV_SALT_LEN);
		pv_put_u16(&b, 4);
		pv_put_str(&b, "name");
		pv_put_u8(&b, 0);
		pv_put_u32(&b, (uint32_t) len);
		pv_put_bytes(&b, value, len);
		CHECK(pv_sha256(&hasher, input, b.len, &other) == PV_OK);
		CHECK(pv_field_digest(&hasher, PV_DOMAIN_FIELD, seed, N("name"), (pv_value) {value, (uint32_t) len}, &out) == PV_OK);
		CHECK(pv_hash_equal(&out, &other));
	}

	CASE("record commitment: from parts as from digests; every part counts");
	names[0] = N("id");
	names[1] = N("name");
	values[0] = V("42");
	values[1] = null;
	CHECK(pv_commit_record(&hasher, &salter, &shape, &context, seed, names, values, 2, salts, digests, &out) == PV_OK);
	CHECK(pv_record_commitment(&hasher, &shape, digests, 3, &other) == PV_OK && pv_hash_equal(&out, &other));
	for (int i = 0; i < 3; i++)
	{
		pv_name		name = i == 0 ? N("") : names[i - 1];
		pv_value	value = i == 0 ? (pv_value) {context.b, PV_HASH_LEN} : values[i - 1];

		CHECK(pv_field_digest(&hasher, PV_DOMAIN_FIELD, salts + i * PV_SALT_LEN, name, value, &other) == PV_OK);
		CHECK(pv_hash_equal(&other, &digests[i]));
		digests[i].b[31] ^= 1;
		CHECK(pv_record_commitment(&hasher, &shape, digests, 3, &other) == PV_OK && !pv_hash_equal(&out, &other));
		digests[i].b[31] ^= 1;
	}
	CHECK(pv_record_commitment(&hasher, &shape, digests, 2, &other) == PV_OK && !pv_hash_equal(&out, &other));
	CHECK(pv_record_commitment(&hasher, &context, digests, 3, &other) == PV_OK && !pv_hash_equal(&out, &other));
	values[1] = empty;
	CHECK(pv_commit_record(&hasher, &salter, &shape, &context, seed, names, values, 2, salts, NULL, &other) == PV_OK);
	CHECK(!pv_hash_equal(&out, &other));
	CHECK(pv_commit_record(&hasher, &salter, &shape, &shape, seed, names, values, 2, salts, NULL, &out) == PV_OK);
	CHECK(!pv_hash_equal(&out, &other));
	for (int i = 0; i < PV_MAX_FIELDS; i++)
	{
		names[i] = N("n");
		values[i] = null;
	}
	CHECK(pv_commit_record(&hasher, &salter, &shape, &context, seed, names, values, PV_MAX_FIELDS, salts, NULL, &out) == PV_OK);
	CHECK(pv_commit_record(&hasher, &salter, &shape, &context, seed, names, values, PV_MAX_FIELDS, salts, digests,
						   &other) == PV_OK);
	CHECK(pv_hash_equal(&out, &other));
	CHECK(pv_commit_record(&hasher, &salter, &shape, &context, seed, names, values, PV_MAX_FIELDS + 1, salts, NULL, &out) ==
		  PV_E_COUNT);

	CASE("context: names in order, commitment unlike a record's");
	{
		static const char *const expected[PV_CONTEXT_FIELDS] = {"actor", "purpose", "source", "db_user", "session_user",
		"current_user", "application", "client_addr", "source_leaf"};

		for (int i = 0; i < PV_CONTEXT_FIELDS; i++)
			CHECK(pv_context_names[i].len == strlen(expected[i]) &&
				  memcmp(pv_context_names[i].s, expected[i], pv_context_names[i].len) == 0);
	}
	CHECK(pv_commit_context(&hasher, &salter, seed, pv_context_names, values, PV_CONTEXT_FIELDS, &out) == PV_OK);
	values[PV_CTX_SOURCE_LEAF] = empty;
	CHECK(pv_commit_context(&hasher, &salter, seed, pv_context_names, values, PV_CONTEXT_FIELDS, &other) == PV_OK);
	CHECK(!pv_hash_equal(&out, &other));
	CHECK(pv_commit_context(&hasher, &salter, seed, pv_context_names, values, PV_CONTEXT_FIELDS - 1, &out) == PV_OK);
	CHECK(!pv_hash_equal(&out, &other));
	CHECK(pv_commit_context(&hasher, &salter, seed, names, values, PV_MAX_CONTEXT_FIELDS, &out) == PV_OK);
	CHECK(pv_commit_context(&hasher, &salter, seed, names, values, PV_MAX_CONTEXT_FIELDS + 1, &out) == PV_E_COUNT);

	CASE("row identity: key, table, number and split of the values count");
	{
		static const uint8_t keys[2][PV_ROW_KEY_LEN] = {{1}, {2}};
		const pv_value split[6][2] = {{V("ab"), V("c")}, {V("a"), V("bc")}, {V("abc"), empty}, {empty, V("abc")},
		{V("abc"), V("abc")}, {V(""), V("")}};
		uint8_t		id[15][PV_ROW_ID_LEN];
		int			n = 0;

		for (int i = 0; i < 6; i++)
			CHECK(pv_row_identity(&hasher, keys[0], 7, split[i], 2, id[n++]) == PV_OK);
		CHECK(pv_row_identity(&hasher, keys[0], 7, split[2], 1, id[n++]) == PV_OK);
		CHECK(pv_row_identity(&hasher, keys[0], 8, split[2], 1, id[n++]) == PV_OK);
		CHECK(pv_row_identity(&hasher, keys[1], 7, split[2], 1, id[n++]) == PV_OK);
		CHECK(pv_row_identity(&hasher, keys[0], 7, NULL, 0, id[n++]) == PV_OK);
		CHECK(pv_row_identity(&hasher, keys[0], 7, split[5], 1, id[n++]) == PV_OK);
		CHECK(pv_row_identity(&hasher, keys[0], 8, NULL, 0, id[n++]) == PV_OK);
		for (int i = 0; i < n; i++)
			for (int j = 0; j < i; j++)
				CHECK(memcmp(id[i], id[j], PV_ROW_ID_LEN) != 0);
		CHECK(pv_row_identity(&hasher, keys[0], 7, &null, 1, id[0]) == PV_E_VALUE);
	}
	pv_salter_free(&salter);
	pv_hasher_free(&hasher);
	return harness_end();
}

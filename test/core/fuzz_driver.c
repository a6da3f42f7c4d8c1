/*
 * fuzz_driver.c: a target with planted faults, to show that the driver of
 * fuzz_main.h finds some (see fuzz.t). FUZZ_PLANT chooses: "property", a
 * broken property behind a changed letter; "read", a read past the end of an
 * input that was cut short; nothing for no fault.
 */
#include "fuzz_main.h"

const char *const fuzz_words[] = {NULL};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *plant = getenv("FUZZ_PLANT");

	fuzz_seen((unsigned) len % 16);
	if (plant == NULL || len < 4)
		return 0;
	if (strcmp(plant, "property") == 0)
		FUZZ_ASSERT(memcmp(data, "plao", 4) != 0);
	if (strcmp(plant, "read") == 0 && memcmp(data, "plan", 4) == 0)
		fuzz_seen(100 + *(volatile const uint8_t *) (data + 4));
	return 0;
}

/*-------------------------------------------------------------------------
 *
 * passphrase.c
 *	  provenance.signing_key_passphrase_command: the passphrase of an encrypted
 *	  key file, or the PIN of a token.
 *
 * Like the server's own ssl_passphrase_command: a shell command whose first
 * line of output is the passphrase; %p stands for a prompt, %% for %. It is
 * the server's administrator's command, run as the server's user, without a
 * terminal. Neither its output nor the command itself goes into any message.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "lib/stringinfo.h"
#include "storage/fd.h"

#include "ledger/settings.h"
#include "ledger/signer.h"

#define PROMPT "Passphrase of the signing key: "

static char *
expand(const char *command)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *p = command; *p; p++)
	{
		if (p[0] == '%' && p[1] == 'p')
		{
			appendStringInfoString(&buf, PROMPT);
			p++;
		}
		else if (p[0] == '%' && p[1] == '%')
		{
			appendStringInfoChar(&buf, '%');
			p++;
		}
		else
			appendStringInfoChar(&buf, *p);
	}
	return buf.data;
}

bool
prov_passphrase(char *buf, Size cap, char **reason)
{
	const char *command = prov_setting_of_database("provenance.signing_key_passphrase_command");
	FILE	   *pipe;
	bool		got;
	Size		len;
	int			rc;

	buf[0] = '\0';
	*reason = NULL;
	if (command[0] == '\0')
		return false;
	fflush(NULL);
	pipe = OpenPipeStream(expand(command), "r");
	if (pipe == NULL)
	{
		*reason = psprintf("the passphrase command could not be run: %s", strerror(errno));
		return false;
	}
	/* stdio's own buffer would keep a copy */
	setvbuf(pipe, NULL, _IONBF, 0);
	got = fgets(buf, cap, pipe) != NULL;
	/* a command that says more must not be ended by a signal */
	while (got && fgetc(pipe) != EOF)
		;
	rc = ClosePipeStream(pipe);
	if (!got || rc != 0)
	{
		explicit_bzero(buf, cap);
		*reason = rc > 0 ? psprintf("the passphrase command failed: %s", wait_result_to_str(rc)) :
			pstrdup("the passphrase command gave no passphrase");
		return false;
	}
	len = strlen(buf);
	while (len > 0 && (buf[len - 1] == '\n' || buf[len - 1] == '\r'))
		buf[--len] = '\0';
	return true;
}

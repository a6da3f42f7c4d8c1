/*
 * settings.h: the extension's settings.
 *
 * provenance.actor, purpose, source, source_leaf and wait_timeout are the
 * session's own. The others belong to a database or to the server: what
 * counts is what a worker reads when it connects, never what a session has
 * set for itself.
 */
#ifndef PROV_SETTINGS_H
#define PROV_SETTINGS_H

#include "postgres.h"

/* any user: go into the context of an entry */
extern char *prov_actor;
extern char *prov_purpose;
extern char *prov_source;
extern char *prov_source_leaf;

/* any user: the origin whose log DROP EXTENSION may destroy */
extern char *prov_confirm_drop;

/* any user: how long seal() and the like wait for their worker, in ms */
extern int	prov_wait_timeout;

/* superuser, per database; intervals in ms */
extern int	prov_seal_interval;
extern int	prov_publish_interval;
extern int	prov_scrub_rate;	/* entries a second; 0: off */
extern char *prov_signing_key;
extern char *prov_previous_signing_key;
extern char *prov_passphrase_command;
extern int	prov_key_overlap;	/* seconds */
extern char *prov_state_directory;
extern char *prov_checkpoint_directory;
extern char *prov_tsa_ca_file;

extern void prov_settings_init(void);

/*
 * What a worker of this database would read for one of the text settings,
 * as ALTER DATABASE, ALTER ROLE ALL and the server's configuration have it
 * now: "" if unset. An ERROR if this session has set another value for
 * itself, because that would be forgotten. Needs a transaction.
 */
extern char *prov_setting_of_database(const char *name);

#endif							/* PROV_SETTINGS_H */

/*
 * fields.h: the fields of an entry or a context, as they are reported.
 */
#ifndef VERIFIER_FIELDS_H
#define VERIFIER_FIELDS_H

#include "core/disclosure.h"

/* "<label>: a, b.", those of the fields that are withheld, or those that are not. */
extern void put_names(const char *label, const pv_disclosed *fields, size_t n, bool withheld);

/* The disclosed values, a line each. */
extern void put_values(const pv_disclosed *fields, size_t n);

/* An array of objects; values only if asked for. */
extern void json_fields(const char *name, const pv_disclosed *fields, size_t n, bool values);

#endif							/* VERIFIER_FIELDS_H */

/* SPDX-License-Identifier: ISC */
/* Does a value fit the published definition of org.dovad.Agent? Both ways: what must be there is, and nothing is that the definition does not tell of. */
#ifndef DOVAD_TESTS_IDL_CHECK_H
#define DOVAD_TESTS_IDL_CHECK_H

#include "base/json.h"

/* A value of a type, such as "Look". Fails the test with the path to what does not fit. */
void idl_check(const char *type, const struct js *v);
/* The parameters of a reply of a method, such as "Show". */
void idl_check_reply(const char *method, const struct js *parameters);
/* The first that does not fit as "certificate.order: ...", caller owns; NULL: it fits. keyword: "type" or "method". */
char *idl_misfit(const char *keyword, const char *name, const struct js *v);

#endif

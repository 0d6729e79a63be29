/* SPDX-License-Identifier: ISC */
/* Fetch a token ourselves from every address of its name, by the CA's rules, before the CA is asked. */
#ifndef DOVAD_PROVE_HTTP_LOOK_H
#define DOVAD_PROVE_HTTP_LOOK_H

#include "prove/http.h"

struct http_seek;
/* Asks every A and AAAA address of proof->name; follows redirects as the CA does, but only to ports 80 and 443 and to addresses that are public or
 * the name's own. The report never holds a body, only lengths and the place of the first difference; status is absent for an address that did not answer or
 * led astray. */
struct http_seek *http_look_start(const struct http_look *look, const struct method_proof *proof, method_done *done, void *arg);
void http_look_cancel(struct http_seek *s);

#endif

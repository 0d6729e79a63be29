/* SPDX-License-Identifier: ISC */
/* A scripted, hostile certification authority on loopback: an HTTPS server on the loop of this process. It answers from a list, writes down what it
 * was asked, and holds every request against the rules an ACME client has to keep. */
#ifndef DOVAD_TESTS_FAKECA_H
#define DOVAD_TESTS_FAKECA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"
#include "crypto/key.h"

enum {
	FAKECA_NO_NONCE = 1, /* leave Replay-Nonce out (headers may bring their own) */
	FAKECA_CUT = 2,	     /* announce one byte more than is sent, then close */
	FAKECA_HANG = 4,     /* take the request and never answer */
	FAKECA_CLOSE = 8,    /* take the request and close the connection */
	FAKECA_ENDLESS = 16, /* the body never ends (chunked) */
};

/* In texts "{CA}" stands for the server's base URL. Texts are copied. */
struct fakeca_answer {
	const char *method, *path;
	int status;
	const char *headers; /* whole lines, each ended by "\n"; NULL: none */
	const char *body;    /* NULL: empty */
	unsigned flags;
};

struct fakeca_request {
	char *method, *path;
	char *payload;	   /* of a POST: the JWS's, decoded */
	struct js *header; /* its protected header */
	char *head;	   /* request line and header lines, as they came */
};

struct fakeca;
/* account: the key whose signature is expected on every POST; borrowed. The defaults of fakeca_defaults are in place. NULL: no ACME, a plain HTTPS server
 * with a list of answers ("/?query" is part of a path). */
struct fakeca *fakeca_open(const struct key *account);
void fakeca_close(struct fakeca *ca);
/* "https://127.0.0.1:port" */
const char *fakeca_base(const struct fakeca *ca);
const char *fakeca_trust_file(const struct fakeca *ca);

/* An answer for one request, before the lasting one of the same method and path; several are used in order. */
void fakeca_once(struct fakeca *ca, const struct fakeca_answer *a);
/* The answer from now on; the newest counts. */
void fakeca_always(struct fakeca *ca, const struct fakeca_answer *a);

size_t fakeca_count(const struct fakeca *ca, const char *method, const char *path); /* NULL: any */
/* The i-th request (from 0) of this method and path, -1: the last; fails the test when there is none. */
const struct fakeca_request *fakeca_request(const struct fakeca *ca, const char *method, const char *path, int i);
size_t fakeca_connections(const struct fakeca *ca);
/* The first rule that a request broke (nonce used twice or never given, url not the request's, no User-Agent, wrong content type, bad signature,
 * jwk and kid together), NULL: none. */
const char *fakeca_fault(const struct fakeca *ca);

#endif

/* SPDX-License-Identifier: ISC */
/* What a name server answers to an update that we signed (one of the vectors of the unit test), and to one that we did not sign. */
#include <stdlib.h>
#include <string.h>

#include "prove/dns_rfc2136_wire.h"
#include "fuzz.h"
#include "tsig_vectors.h"

#define NOW INT64_C(1790000000)

static void sign_request(const struct vector *v, const struct tsig_key *key, struct tsig_state *state)
{
	struct buf b;

	buf_init(&b, 0);
	for (const char *hex = v->request; *hex; hex += 2) {
		char digits[3] = {hex[0], hex[1]}, byte = (char)strtol(digits, NULL, 16);

		check(buf_add(&b, &byte, 1));
	}
	check(tsig_sign(key, &b, NOW, state, NULL));
	buf_free(&b);
}

static void read_it(const struct update_signature *s, const uint8_t *data, size_t size, bool tcp)
{
	struct update_answer answer;
	struct err doubt = {0};
	enum dns_heard heard = update_read(s, data, size, tcp, &answer, &doubt);

	check((heard == DNS_HEARD_DOUBT) == (doubt.kind != ERR_NONE) || heard == DNS_HEARD_NOTHING);
	check(heard != DNS_HEARD_NOTHING || !tcp);
	check(heard == DNS_HEARD_ANSWER || answer.err.kind == ERR_NONE);
	check(heard != DNS_HEARD_ANSWER || answer.err.kind == ERR_NONE || answer.err.detail[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t secret[32];
	const struct vector *v = &vectors[4];
	struct tsig_key key = {v->key, v->algorithm, secret, sizeof secret};
	struct tsig_state state;
	struct update_signature s = {&key, &state, NOW}, none = {0};
	struct err err = {0};
	size_t stripped = 0;

	for (size_t i = 0; i < sizeof secret; i++)
		secret[i] = (uint8_t)(i + 1);
	sign_request(v, &key, &state);
	if (tsig_verify(&key, data, size, NOW, &state, &stripped, &err) == TSIG_GOOD)
		check(stripped >= 12 && stripped < size && err.kind == ERR_NONE);
	else
		check(err.kind == ERR_TEMP || err.kind == ERR_DENIED);
	for (int tcp = 0; tcp < 2; tcp++) {
		read_it(&s, data, size, tcp);
		read_it(&none, data, size, tcp);
	}
	(void)late;
	return 0;
}

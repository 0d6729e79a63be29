/* SPDX-License-Identifier: ISC */
/* Addresses from the configuration. What is taken must be the same address when it is written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/addr.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), out[ADDR_TEXT], ip[ADDR_TEXT];
	struct addr a, again;

	check(text != NULL);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (addr_parse(text, 53, &a)) {
		check(addr_port(&a) > 0 && a.len > 0 && strlen(addr_format(&a, out)) < sizeof(out));
		check(addr_parse(out, 1, &again) && addr_port(&again) == addr_port(&a) && addr_same_ip(&a, &again) && again.len == a.len);
		check(addr_parse_ip(addr_format_ip(&a, ip), 1, &again) && addr_same_ip(&a, &again) && addr_is_public(&a) == addr_is_public(&again));
	}
	free(text);
	return 0;
}

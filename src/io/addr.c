/* SPDX-License-Identifier: ISC */
#include "io/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* An address as 16 bytes, IPv4 mapped (::ffff:a.b.c.d): one form to compare and to look up. */
struct bytes {
	uint8_t b[16];
};

static const struct sockaddr_in *as_in(const struct addr *a)
{
	return (const void *)&a->ss;
}

static const struct sockaddr_in6 *as_in6(const struct addr *a)
{
	return (const void *)&a->ss;
}

static bool to_bytes(const struct addr *a, struct bytes *out)
{
	if (a->ss.ss_family == AF_INET6) {
		memcpy(out->b, &as_in6(a)->sin6_addr, sizeof(out->b));
		return true;
	}
	if (a->ss.ss_family != AF_INET)
		return false;
	memset(out->b, 0, 10);
	memset(out->b + 10, 0xff, 2);
	memcpy(out->b + 12, &as_in(a)->sin_addr, 4);
	return true;
}

bool addr_parse_ip(const char *ip, uint16_t port, struct addr *a)
{
	struct sockaddr_in *in = (void *)&a->ss;
	struct sockaddr_in6 *in6 = (void *)&a->ss;

	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, ip, &in->sin_addr) == 1) {
		a->ss.ss_family = AF_INET;
		a->len = sizeof(*in);
	} else if (inet_pton(AF_INET6, ip, &in6->sin6_addr) == 1) {
		a->ss.ss_family = AF_INET6;
		a->len = sizeof(*in6);
	} else {
		return false;
	}
	addr_set_port(a, port);
	return true;
}

static bool parse_port(const char *text, uint16_t *port)
{
	unsigned value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > UINT16_MAX)
			return false;
	}
	*port = (uint16_t)value;
	return value > 0;
}

bool addr_parse(const char *text, uint16_t default_port, struct addr *a)
{
	char ip[ADDR_TEXT];
	const char *end, *rest;
	uint16_t port = default_port;

	if (*text == '[') {
		end = strchr(++text, ']');
		if (!end || !memchr(text, ':', (size_t)(end - text)))
			return false;
		rest = end + 1;
	} else {
		end = strchr(text, ':');
		if (!end || strchr(end + 1, ':')) /* none: IPv4; several: IPv6 without a port */
			end = text + strlen(text);
		rest = end;
	}
	if (*rest && (*rest != ':' || !parse_port(rest + 1, &port)))
		return false;
	if ((size_t)(end - text) >= sizeof(ip))
		return false;
	memcpy(ip, text, (size_t)(end - text));
	ip[end - text] = '\0';
	return addr_parse_ip(ip, port, a);
}

char *addr_format_ip(const struct addr *a, char out[ADDR_TEXT])
{
	const void *ip = a->ss.ss_family == AF_INET6 ? (const void *)&as_in6(a)->sin6_addr : &as_in(a)->sin_addr;

	if (!inet_ntop(a->ss.ss_family, ip, out, ADDR_TEXT))
		memcpy(out, "?", 2);
	return out;
}

char *addr_format(const struct addr *a, char out[ADDR_TEXT])
{
	char ip[ADDR_TEXT];

	addr_format_ip(a, ip);
	snprintf(out, ADDR_TEXT, a->ss.ss_family == AF_INET6 ? "[%.45s]:%u" : "%.45s:%u", ip, addr_port(a));
	return out;
}

uint16_t addr_port(const struct addr *a)
{
	switch (a->ss.ss_family) {
	case AF_INET:
		return ntohs(as_in(a)->sin_port);
	case AF_INET6:
		return ntohs(as_in6(a)->sin6_port);
	default:
		return 0;
	}
}

void addr_set_port(struct addr *a, uint16_t port)
{
	if (a->ss.ss_family == AF_INET)
		((struct sockaddr_in *)(void *)&a->ss)->sin_port = htons(port);
	else if (a->ss.ss_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)&a->ss)->sin6_port = htons(port);
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
	struct bytes x, y;

	return to_bytes(a, &x) && to_bytes(b, &y) && memcmp(&x, &y, sizeof(x)) == 0;
}

/* IANA special-purpose registries (RFC 6890 and its updates) and what is outside unicast space. The first row that fits decides. */
static const struct {
	uint8_t prefix[16];
	uint8_t bits;
	enum { NO, YES, INNER_AT } verdict;
	uint8_t inner; /* INNER_AT: an IPv4 address starts at this byte and decides */
} ranges[] = {
#define V4(a, b, c, d) { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d }
	{ V4(0, 0, 0, 0), 96 + 8, NO, 0 },                 /* "this network" */
	{ V4(10, 0, 0, 0), 96 + 8, NO, 0 },                /* private */
	{ V4(100, 64, 0, 0), 96 + 10, NO, 0 },             /* shared (carrier-grade NAT) */
	{ V4(127, 0, 0, 0), 96 + 8, NO, 0 },               /* loopback */
	{ V4(169, 254, 0, 0), 96 + 16, NO, 0 },            /* link-local */
	{ V4(172, 16, 0, 0), 96 + 12, NO, 0 },             /* private */
	{ V4(192, 0, 0, 9), 128, YES, 0 },                 /* PCP anycast */
	{ V4(192, 0, 0, 10), 128, YES, 0 },                /* TURN anycast */
	{ V4(192, 0, 0, 0), 96 + 24, NO, 0 },              /* IETF protocol assignments */
	{ V4(192, 0, 2, 0), 96 + 24, NO, 0 },              /* documentation */
	{ V4(192, 88, 99, 0), 96 + 24, NO, 0 },            /* 6to4 relays, withdrawn */
	{ V4(192, 168, 0, 0), 96 + 16, NO, 0 },            /* private */
	{ V4(198, 18, 0, 0), 96 + 15, NO, 0 },             /* benchmarking */
	{ V4(198, 51, 100, 0), 96 + 24, NO, 0 },           /* documentation */
	{ V4(203, 0, 113, 0), 96 + 24, NO, 0 },            /* documentation */
	{ V4(224, 0, 0, 0), 96 + 3, NO, 0 },               /* multicast, reserved, broadcast */
	{ V4(0, 0, 0, 0), 96, YES, 0 },                    /* the rest of IPv4 */
#undef V4
	{ { 0, 0x64, 0xff, 0x9b }, 96, INNER_AT, 12 },     /* NAT64 */
	{ { 0x20, 0x02 }, 16, INNER_AT, 2 },               /* 6to4 */
	{ { 0x20, 1, 0, 1, [15] = 1 }, 128, YES, 0 },      /* PCP anycast */
	{ { 0x20, 1, 0, 1, [15] = 2 }, 128, YES, 0 },      /* TURN anycast */
	{ { 0x20, 1, 0, 3 }, 32, YES, 0 },                 /* AMT */
	{ { 0x20, 1, 0, 4, 1, 0x12 }, 48, YES, 0 },        /* AS112 */
	{ { 0x20, 1, 0, 0x20 }, 28, YES, 0 },              /* ORCHIDv2 */
	{ { 0x20, 1, 0, 0x30 }, 28, YES, 0 },              /* drone remote identification */
	{ { 0x20, 1 }, 23, NO, 0 },                        /* IETF protocol assignments, Teredo too */
	{ { 0x20, 1, 0x0d, 0xb8 }, 32, NO, 0 },            /* documentation */
	{ { 0x3f, 0xff }, 20, NO, 0 },                     /* documentation */
	{ { 0x20 }, 3, YES, 0 },                           /* global unicast */
	{ { 0 }, 0, NO, 0 },                               /* everything else */
};

static bool in_prefix(const struct bytes *a, const uint8_t *prefix, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a->b, prefix, whole) != 0)
		return false;
	return rest == 0 || (a->b[whole] ^ prefix[whole]) >> (8 - rest) == 0;
}

static bool is_public(const struct bytes *a)
{
	struct bytes inner = { .b = { [10] = 0xff, [11] = 0xff } };
	size_t i = 0;

	while (!in_prefix(a, ranges[i].prefix, ranges[i].bits)) /* the last row fits all */
		i++;
	if (ranges[i].verdict != INNER_AT)
		return ranges[i].verdict == YES;
	memcpy(inner.b + 12, a->b + ranges[i].inner, 4);
	return is_public(&inner);
}

bool addr_is_public(const struct addr *a)
{
	struct bytes b;

	return to_bytes(a, &b) && is_public(&b);
}

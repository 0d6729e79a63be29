/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/starttls.h"

struct bytes {
	const char *p;
	size_t n;
};
#define B(text) { text, sizeof(text) - 1 }

struct talk {
	enum starttls_kind kind;
	struct bytes says[4]; /* the server, one after the other, each once all before it was taken and ours is sent */
	const char *why;      /* NULL: TLS begins; "": more is awaited; else part of the reason */
};

static struct starttls *begun(enum starttls_kind kind, const char *name, const char *us)
{
	struct starttls *d = mem_alloc(sizeof(*d));
	struct addr a;

	assert_true(addr_parse_ip(us, 0, &a));
	starttls_begin(d, kind, name, &a);
	assert_int_equal(d->state, STARTTLS_TALKS);
	return d;
}

static struct starttls *begin(enum starttls_kind kind)
{
	return begun(kind, "www.test", "127.0.0.1");
}

static void take_in_pieces(struct starttls *d, struct bytes b, size_t piece)
{
	for (size_t at = 0; at < b.n; at += piece) {
		size_t len = b.n - at < piece ? b.n - at : piece;
		char *copy = malloc(len); /* of this very size, so that reading beyond is seen */

		memcpy(copy, b.p + at, len);
		starttls_take(d, copy, len);
		free(copy);
	}
}

static void check_end(const struct starttls *d, const char *why, size_t row)
{
	enum starttls_state wanted = !why ? STARTTLS_AGREED : *why ? STARTTLS_FAILED : STARTTLS_TALKS;

	if (d->state != wanted || (why && !strstr(d->why, why)))
		fail_msg("row %zu: state %d, \"%s\" instead of \"%s\"", row, d->state, d->why, why ? why : "TLS");
	assert_true((d->why[0] != '\0') == (d->state == STARTTLS_FAILED));
}

static void hold(const struct talk *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t piece = 1; piece < 4096; piece = piece * 3 + 4) {
			struct starttls *d = begin(rows[i].kind);

			for (size_t k = 0; k < 4 && rows[i].says[k].p; k++) {
				starttls_sent(d, d->nout);
				take_in_pieces(d, rows[i].says[k], piece);
			}
			check_end(d, rows[i].why, i);
			free(d);
		}
}

#define HOLD(rows) hold(rows, sizeof(rows) / sizeof(*(rows)))

static void smtp(void **state)
{
	static const struct talk rows[] = {
		{ STARTTLS_SMTP, { B("220 mx\r\n"), B("250-mx\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n"), B("220 2.0.0 Ready\r\n") }, NULL },
		{ STARTTLS_SMTP, { B("220-mx\r\n220-is\r\n220 here\r\n"), B("250 StartTLS\r\n"), B("220-go\r\n220\r\n") }, NULL },
		{ STARTTLS_SMTP, { B("220 mx\n"), B("250-mx\n250 STARTTLS \n"), B("220\n") }, NULL }, /* bare line feeds */
		{ STARTTLS_SMTP, { B("220-mx\r\n") }, "" },
		{ STARTTLS_SMTP, { B("220 mx\r\n"), B("250-mx\r\n250-STARTTLS\r\n") }, "" },
		{ STARTTLS_SMTP, { B("220 mx\r\n"), B("250 mx\r\n") }, "its answer to EHLO offers no STARTTLS" },
		{ STARTTLS_SMTP, { B("220 mx\r\n"), B("250-mx\r\n250 STARTTLSX\r\n") }, "offers no STARTTLS" },
		{ STARTTLS_SMTP, { B("220 mx\r\n"), B("250-mx STARTTLS\r\n250 X-STARTTLS\r\n") }, "offers no STARTTLS" },
		{ STARTTLS_SMTP, { B("220 STARTTLS\r\n"), B("250 mx\r\n") }, "offers no STARTTLS" },
		{ STARTTLS_SMTP, { B("554 no \x01service\r\n") }, "its greeting is \"554 no \\x01service\"" },
		{ STARTTLS_SMTP, { B("220 mx\r\n"), B("502 what?\r\n") }, "its answer to EHLO is \"502 what?\"" },
		{ STARTTLS_SMTP, { B("220 mx\r\n"), B("250-mx\r\n550 no\r\n") }, "its answer to EHLO is \"550 no\"" },
		{ STARTTLS_SMTP, { B("220 mx\r\n"), B("250 STARTTLS\r\n"), B("454 TLS not available\r\n") }, "its answer to STARTTLS is \"454 TLS" },
		{ STARTTLS_SMTP, { B("SSH-2.0-OpenSSH_9.2\r\n") }, "its greeting is \"SSH-2.0" },
		{ STARTTLS_SMTP, { B("2200 mx\r\n") }, "its greeting is" },
		{ STARTTLS_SMTP, { B("\r\n") }, "its greeting is \"\"" },
		{ STARTTLS_SMTP, { B("\x16\x03\x01\x00\x05") }, "its greeting is none: \"" },
		{ STARTTLS_SMTP, { B("220 mx\r\n250 STARTTLS\r\n") }, "its answer to EHLO came before it was asked" },
		{ STARTTLS_SMTP, { B("220 mx\r\n"), B("250 STARTTLS\r\n220 go\r\n") }, "came before it was asked" },
		{ STARTTLS_SMTP, { B("220 mx\r\n"), B("250 STARTTLS\r\n"), B("220 go\r\n250 injected\r\n") }, "in plain text behind it" },
	};

	(void)state;
	HOLD(rows);
}

static void imap(void **state)
{
	static const struct talk rows[] = {
		{ STARTTLS_IMAP, { B("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n"), B("a OK Begin TLS\r\n") }, NULL },
		{ STARTTLS_IMAP, { B("* OK hi\r\n"), B("* CAPABILITY IMAP4rev2\r\n* OK still here\r\nA ok\r\n") }, NULL },
		{ STARTTLS_IMAP, { B("* OK hi\r\n"), B("* NOTHING\r\n") }, "" },
		{ STARTTLS_IMAP, { B("* PREAUTH hi\r\n") }, "its greeting is \"* PREAUTH hi\"" }, /* RFC 9051 section 7.1.4 */
		{ STARTTLS_IMAP, { B("* BYE full\r\n") }, "its greeting is \"* BYE full\"" },
		{ STARTTLS_IMAP, { B("* OKAY\r\n") }, "its greeting is" },
		{ STARTTLS_IMAP, { B("* OK hi\r\n"), B("a BAD unknown command\r\n") }, "its answer to STARTTLS is \"a BAD unknown command\"" },
		{ STARTTLS_IMAP, { B("* OK hi\r\n"), B("a NO TLS is broken\r\n") }, "\"a NO TLS is broken\"" },
		{ STARTTLS_IMAP, { B("* OK hi\r\n"), B("b OK\r\n") }, "\"b OK\"" },
		{ STARTTLS_IMAP, { B("* OK hi\r\n"), B("+ go on\r\n") }, "\"+ go on\"" },
		{ STARTTLS_IMAP, { B("* OK hi\r\n"), B("* BYE too slow\r\n") }, "\"* BYE too slow\"" },
		{ STARTTLS_IMAP, { B("+OK POP3\r\n") }, "its greeting is \"+OK POP3\"" },
		{ STARTTLS_IMAP, { B("* OK hi\r\na OK\r\n") }, "came before it was asked" },
		{ STARTTLS_IMAP, { B("* OK hi\r\n"), B("a OK\r\n* OK injected\r\n") }, "bytes in plain text behind it" },
	};

	(void)state;
	HOLD(rows);
}

static void pop3(void **state)
{
	static const struct talk rows[] = {
		{ STARTTLS_POP3, { B("+OK ready <1@mx>\r\n"), B("+OK Begin TLS\r\n") }, NULL },
		{ STARTTLS_POP3, { B("+OK\r\n"), B("+OK\r\n") }, NULL },
		{ STARTTLS_POP3, { B("+OK\r\n"), B("+OK") }, "" },
		{ STARTTLS_POP3, { B("-ERR busy\r\n") }, "its greeting is \"-ERR busy\"" },
		{ STARTTLS_POP3, { B("+OK\r\n"), B("-ERR Unknown command\r\n") }, "its answer to STLS is \"-ERR Unknown command\"" },
		{ STARTTLS_POP3, { B("* OK IMAP\r\n") }, "its greeting is" },
		{ STARTTLS_POP3, { B("+OK\r\n+OK\r\n") }, "its answer to STLS came before it was asked" },
		{ STARTTLS_POP3, { B("+OK\r\n"), B("+OK\r\n\x16") }, "1 bytes in plain text" },
	};

	(void)state;
	HOLD(rows);
}

static void ldap(void **state)
{
	static const struct talk rows[] = {
		/* as OpenLDAP says it; with a name, as Active Directory says it, in long lengths */
		{ STARTTLS_LDAP, { B("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00") }, NULL },
		{ STARTTLS_LDAP, { B("\x30\x84\x00\x00\x00\x28\x02\x01\x01\x78\x84\x00\x00\x00\x1f\x0a\x01\x00\x04\x00\x04\x00\x8a\x16"
				     "1.3.6.1.4.1.1466.20037") }, NULL },
		{ STARTTLS_LDAP, { B("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04") }, "" },
		{ STARTTLS_LDAP, { B("\x30") }, "" },
		{ STARTTLS_LDAP, { B("\x30\x82\x01") }, "" },
		{ STARTTLS_LDAP, { B("\x30\x11\x02\x01\x01\x78\x0c\x0a\x01\x02\x04\x00\x04\x05no\x1b" "[m") }, "result code 2, \"no\\x1b[m\"" },
		{ STARTTLS_LDAP, { B("\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x34\x04\x00\x04\x00") }, "result code 52" }, /* notice of disconnection */
		{ STARTTLS_LDAP, { B("\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\x00\x04\x00\x04\x00") }, "result code 0" },  /* of another request */
		{ STARTTLS_LDAP, { B("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00") }, "is something else" }, /* BindResponse */
		{ STARTTLS_LDAP, { B("\x30\x0d\x02\x01\x01\x78\x08\x0a\x02\x00\x00\x04\x00\x04\x00") }, "is something else" },
		{ STARTTLS_LDAP, { B("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x01") }, "is something else" }, /* longer than what it is in */
		{ STARTTLS_LDAP, { B("\x30\x0c\x02\x01\x01\x78\x20\x0a\x01\x00\x04\x00\x04\x00") }, "is something else" },
		{ STARTTLS_LDAP, { B("\x30\x00") }, "is something else" },
		{ STARTTLS_LDAP, { B("\x30\x80") }, "is none" },
		{ STARTTLS_LDAP, { B("\x30\xff") }, "is none" },
		{ STARTTLS_LDAP, { B("\x30\x85\x00\x00\x00\x00\x0c") }, "is none" },
		{ STARTTLS_LDAP, { B("\x30\x84\xff\xff\xff\xff") }, "is none" },
		{ STARTTLS_LDAP, { B("\x30\x82\x10\x00") }, "is none" },
		{ STARTTLS_LDAP, { B("220 mx\r\n") }, "its answer to the request for TLS is none: \"2\"" },
		{ STARTTLS_LDAP, { B("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x30") }, "1 bytes in plain text" },
	};

	(void)state;
	HOLD(rows);
}

static void postgres(void **state)
{
	static const struct talk rows[] = {
		{ STARTTLS_POSTGRES, { B("S") }, NULL },
		{ STARTTLS_POSTGRES, { B("") }, "" },
		{ STARTTLS_POSTGRES, { B("N") }, "TLS is off there" },
		{ STARTTLS_POSTGRES, { B("E") }, "its answer to the request for TLS is \"E\"" },
		{ STARTTLS_POSTGRES, { B("\0") }, "is \"\\x00\"" },
		{ STARTTLS_POSTGRES, { B("SR") }, "1 bytes in plain text" },
	};

	(void)state;
	HOLD(rows);
}

#define HEADER "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' version='1.0' from='www.test' id='a>b' xmlns='jabber:client'>"
#define OFFER "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
#define TLS " xmlns='urn:ietf:params:xml:ns:xmpp-tls'"

static void xmpp(void **state)
{
	static const struct talk rows[] = {
		{ STARTTLS_XMPP, { B(HEADER "<stream:features>" OFFER "</stream:features>"), B("<proceed" TLS "/>") }, NULL },
		{ STARTTLS_XMPP, { B("\r\n" HEADER "\n<features><starttls" TLS "/><x:y a='>\"' b=\">'\"/></features>"), B("\n<proceed" TLS "></proceed>") }, NULL },
		{ STARTTLS_XMPP, { B(HEADER "<s:features><t:starttls/></s:features>"), B("<t:proceed />") }, NULL },
		{ STARTTLS_XMPP, { B(HEADER "<stream:features>" OFFER) }, "" },
		{ STARTTLS_XMPP, { B(HEADER "<stream:features>" OFFER "</stream:features>"), B("<proceed" TLS ">") }, "" },
		{ STARTTLS_XMPP, { B(HEADER "<stream:features/>") }, "its answer to the stream header offers no STARTTLS" },
		{ STARTTLS_XMPP, { B(HEADER "<stream:features><mechanisms/></stream:features>") }, "offers no STARTTLS" },
		{ STARTTLS_XMPP, { B(HEADER "<stream:features><a b='<starttls/>'/></stream:features>") }, "offers no STARTTLS" },
		{ STARTTLS_XMPP, { B(HEADER "<stream:error><host-unknown xmlns='x'/></stream:error></stream:stream>") },
			"its answer to the stream header is \"<host-unknown" },
		{ STARTTLS_XMPP, { B(HEADER "<stream:features>" OFFER "</stream:features>"), B("<failure" TLS "/></stream:stream>") },
			"its answer to <starttls/> is \"<failure" },
		{ STARTTLS_XMPP, { B(HEADER "</stream:stream>") }, "is \"</stream:stream>\"" },
		{ STARTTLS_XMPP, { B("HTTP/1.1 400 Bad Request\r\n") }, "its answer to the stream header is none: \"H\"" },
		{ STARTTLS_XMPP, { B("\0") }, "is none" },
		{ STARTTLS_XMPP, { B("<></><//>< /><:/>") }, "" },
		{ STARTTLS_XMPP, { B(HEADER "<stream:features>" OFFER "</stream:features><proceed" TLS "/>") }, "its answer to <starttls/> came before it was asked" },
		{ STARTTLS_XMPP, { B(HEADER "<stream:features>" OFFER "</stream:features>"), B("<proceed" TLS "/>\n") }, "1 bytes in plain text" },
	};

	(void)state;
	HOLD(rows);
}

/* What is said in any protocol's stead, forever: it ends by itself, soon. */
static void endless_peers_are_cut(void **state)
{
	static const struct {
		enum starttls_kind kind;
		const char *begins, *goes_on, *why;
	} rows[] = {
		{ STARTTLS_SMTP, "", "2", "more than 4096 bytes" },
		{ STARTTLS_SMTP, "", "220-and\r\n", "no end after 200 parts" },
		{ STARTTLS_IMAP, "* OK\r\n", "* OK go on\r\n", "no end after 200 parts" },
		{ STARTTLS_POP3, "+OK", " x", "more than 4096 bytes" },
		{ STARTTLS_XMPP, "<a>", " ", "no end after 65536 bytes" },
		{ STARTTLS_XMPP, "", "<a>", "no end after 200 parts" },
		{ STARTTLS_XMPP, "<a b='", ">", "more than 4096 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct starttls *d = begin(rows[i].kind);
		size_t fed = 0;

		starttls_take(d, rows[i].begins, strlen(rows[i].begins));
		while (d->state == STARTTLS_TALKS) {
			starttls_sent(d, d->nout);
			starttls_take(d, rows[i].goes_on, strlen(rows[i].goes_on));
			fed += strlen(rows[i].goes_on);
			assert_true(fed <= STARTTLS_BYTES + 16);
		}
		check_end(d, rows[i].why, i);
		free(d);
	}
}

static void assert_says(struct starttls *d, const char *text, size_t len)
{
	assert_int_equal(d->nout, len);
	assert_memory_equal(d->out, text, len);
	starttls_sent(d, len);
	assert_int_equal(d->nout, 0);
}

#define SAYS(d, text) assert_says(d, text, sizeof(text) - 1)
#define TAKE(d, text) starttls_take(d, text, sizeof(text) - 1)

static void what_is_said(void **state)
{
	struct starttls *d;

	(void)state;
	d = begun(STARTTLS_SMTP, "mx.test", "2001:db8::1");
	SAYS(d, "");
	TAKE(d, "220 mx\r\n");
	SAYS(d, "EHLO [IPv6:2001:db8::1]\r\n");
	TAKE(d, "250 STARTTLS\r\n");
	assert_int_equal(d->nout, 10);
	starttls_sent(d, 4); /* not all at once */
	SAYS(d, "TTLS\r\n");
	free(d);
	d = begin(STARTTLS_SMTP);
	TAKE(d, "220 mx\r\n");
	SAYS(d, "EHLO [127.0.0.1]\r\n");
	free(d);
	d = begin(STARTTLS_IMAP);
	TAKE(d, "* OK\r\n");
	SAYS(d, "a STARTTLS\r\n");
	free(d);
	d = begin(STARTTLS_POP3);
	TAKE(d, "+OK\r\n");
	SAYS(d, "STLS\r\n");
	free(d);
	d = begin(STARTTLS_LDAP);
	SAYS(d, "\x30\x1d\x02\x01\x01\x77\x18\x80\x16" "1.3.6.1.4.1.1466.20037");
	free(d);
	d = begin(STARTTLS_POSTGRES);
	SAYS(d, "\0\0\0\x08\x04\xd2\x16\x2f");
	free(d);
	d = begin(STARTTLS_XMPP);
	SAYS(d, "<?xml version='1.0'?><stream:stream to='www.test' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
	TAKE(d, HEADER "<stream:features>" OFFER "</stream:features>");
	SAYS(d, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
	free(d);
}

/* A name that is none does not get into what is said. */
static void odd_names(void **state)
{
	static const char *const names[] = { "", "a'/><b", "192.0.2.1 x", "-" };
	char longest[254];
	struct starttls *d;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		d = begun(STARTTLS_XMPP, names[i], "127.0.0.1");
		assert_memory_equal(d->out, "<?xml version='1.0'?><stream:stream to='' ", 42);
		free(d);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[63] = longest[127] = longest[191] = '.';
	longest[253] = '\0';
	d = begun(STARTTLS_XMPP, longest, "127.0.0.1");
	assert_non_null(memmem(d->out, d->nout, longest, 253));
	assert_memory_equal(d->out + d->nout - 10, "/streams'>", 10);
	free(d);
}

static void words_and_ports(void **state)
{
	static const struct {
		const char *word;
		int port;
	} rows[STARTTLS_KINDS] = { { "none", 0 }, { "smtp", 25 }, { "imap", 143 }, { "pop3", 110 }, { "ldap", 389 }, { "postgres", 5432 }, { "xmpp", 5222 } };

	(void)state;
	for (int i = 0; i < STARTTLS_KINDS; i++) {
		assert_string_equal(starttls_words[i], rows[i].word);
		assert_int_equal(starttls_port((enum starttls_kind)i), rows[i].port);
	}
	assert_null(starttls_words[STARTTLS_KINDS]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smtp), cmocka_unit_test(imap), cmocka_unit_test(pop3), cmocka_unit_test(ldap), cmocka_unit_test(postgres),
		cmocka_unit_test(xmpp), cmocka_unit_test(endless_peers_are_cut), cmocka_unit_test(what_is_said), cmocka_unit_test(odd_names),
		cmocka_unit_test(words_and_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

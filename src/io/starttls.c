/* SPDX-License-Identifier: ISC */
#include "io/starttls.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { SAID = 128 }; /* room for what the server said in a message */

/* Of one unit: more belong to this answer; the step is done; the dialog ends here. */
enum verdict { MORE, GOOD, BAD };
/* Of the bytes since the last unit: not a whole one yet; one; nothing that this protocol could begin with. */
enum frame { PART, WHOLE, ODD };

struct step {
	const char *say; /* NULL: the server speaks first */
	size_t len;
	enum { NOBODY, OURS, THEIRS } who; /* said behind it, and then `rest` */
	const char *rest;
	const char *awaits;
	enum verdict (*judge)(struct starttls *d, const struct step *s);
	const char *good;  /* what a good answer has */
	const char *offer; /* what must be among its units */
};

struct protocol {
	uint16_t port;
	enum frame (*frame)(struct starttls *d, char c); /* c: the last byte that came */
	struct step steps[4];                            /* behind the last: without judge */
};

const char *const starttls_words[STARTTLS_KINDS + 1] = {
	[STARTTLS_NONE] = "none",
	[STARTTLS_SMTP] = "smtp",
	[STARTTLS_IMAP] = "imap",
	[STARTTLS_POP3] = "pop3",
	[STARTTLS_LDAP] = "ldap",
	[STARTTLS_POSTGRES] = "postgres",
	[STARTTLS_XMPP] = "xmpp",
};

static enum verdict fail(struct starttls *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static enum verdict fail(struct starttls *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->why, sizeof(d->why), fmt, ap);
	va_end(ap);
	d->state = STARTTLS_FAILED;
	return BAD;
}

static enum verdict refused(struct starttls *d)
{
	char said[SAID];

	return fail(d, "%s is \"%s\"", starttls_awaits(d), text_escape(d->in, d->nin, said, sizeof(said)));
}

/* A step whose good answer came: was what must be offered among it? */
static enum verdict done(struct starttls *d, const struct step *s)
{
	return s->offer && !d->offered ? fail(d, "%s offers no STARTTLS", s->awaits) : GOOD;
}

/* --- lines --- */

static enum frame frame_line(struct starttls *d, char c)
{
	if (c != '\n')
		return c ? PART : ODD;
	while (d->nin && strchr("\r\n", d->in[d->nin - 1]))
		d->nin--;
	return WHOLE;
}

static bool is_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	return strncasecmp(text, word, len) == 0 && (text[len] == '\0' || text[len] == ' ');
}

/* RFC 5321 section 4.2: each line has the code, all but the last one a hyphen behind it; section 4.1.1.1: a keyword a line. */
static enum verdict judge_reply(struct starttls *d, const struct step *s)
{
	char mark = strncmp(d->in, s->good, 3) == 0 ? d->in[3] : 'x';

	if (mark != '-' && mark != ' ' && mark != '\0')
		return refused(d);
	d->offered = d->offered || (mark && s->offer && is_word(d->in + 4, s->offer));
	return mark == '-' ? MORE : done(d, s);
}

static enum verdict judge_word(struct starttls *d, const struct step *s)
{
	return is_word(d->in, s->good) ? GOOD : refused(d);
}

/* RFC 9051 section 2.2.2: untagged lines may come before the one with our tag. */
static enum verdict judge_tagged(struct starttls *d, const struct step *s)
{
	return strncmp(d->in, "* ", 2) == 0 && !is_word(d->in, "* BYE") ? MORE : judge_word(d, s);
}

/* --- LDAP: BER of definite length (RFC 4511 section 5.1) --- */

struct ber {
	const unsigned char *p;
	size_t n;
};

/* How many bytes tag and length take, and the length that follows; 0: they are not all there; -1: there is no such length. */
static int ber_head(struct ber b, size_t *len)
{
	size_t octets = b.n > 1 && b.p[1] & 0x80 ? b.p[1] & 0x7f : 0;

	if (b.n < 2)
		return 0;
	if (b.p[1] == 0x80 || octets > 4)
		return -1;
	if (b.n < 2 + octets)
		return 0;
	*len = octets ? 0 : b.p[1];
	for (size_t i = 0; i < octets; i++)
		*len = *len << 8 | b.p[2 + i];
	return (int)(2 + octets);
}

static bool ber_take(struct ber *from, unsigned char tag, struct ber *out)
{
	size_t len;
	int head = ber_head(*from, &len);

	if (head <= 0 || from->p[0] != tag || len > from->n - (size_t)head)
		return false;
	*out = (struct ber){from->p + head, len};
	from->p += (size_t)head + len;
	from->n -= (size_t)head + len;
	return true;
}

static enum frame frame_message(struct starttls *d, char c)
{
	struct ber b = {(const unsigned char *)d->in, d->nin};
	size_t len;
	int head = ber_head(b, &len);

	(void)c;
	if (b.p[0] != 0x30 || head < 0 || (head && len > (size_t)(STARTTLS_UNIT - head)))
		return ODD;
	return head && d->nin == (size_t)head + len ? WHOLE : PART;
}

/* RFC 4511 sections 4.1.1, 4.1.9 and 4.12: an ExtendedResponse, its result code, and its diagnostic message. */
static enum verdict judge_extended(struct starttls *d, const struct step *s)
{
	struct ber all = {(const unsigned char *)d->in, d->nin}, message, id, op, code, dn, text;
	char said[SAID];

	if (!ber_take(&all, 0x30, &message) || !ber_take(&message, 0x02, &id) || !ber_take(&message, 0x78, &op) || !ber_take(&op, 0x0a, &code) ||
		!ber_take(&op, 0x04, &dn) || !ber_take(&op, 0x04, &text) || code.n != 1)
		return fail(d, "%s is something else", s->awaits);
	if (code.p[0] == 0 && id.n == 1 && id.p[0] == 1)
		return GOOD;
	return fail(d, "%s has result code %d, \"%s\"", s->awaits, code.p[0], text_escape((const char *)text.p, text.n, said, sizeof(said)));
}

/* --- PostgreSQL: one byte --- */

static enum frame frame_byte(struct starttls *d, char c)
{
	(void)d;
	(void)c;
	return WHOLE;
}

static enum verdict judge_byte(struct starttls *d, const struct step *s)
{
	if (d->in[0] == 'N')
		return fail(d, "%s is \"N\": TLS is off there", s->awaits);
	return d->in[0] == s->good[0] ? GOOD : refused(d);
}

/* --- XMPP: tags; there are no comments and no CDATA (RFC 6120 section 11.1), and text between tags says nothing here --- */

static enum frame frame_tag(struct starttls *d, char c)
{
	if (!d->within) {
		d->nin = 0;
		if (c == '<')
			d->in[d->nin++] = d->within = c;
		return c == '<' || d->nunits || memchr(" \t\r\n", c, 4) ? PART : ODD;
	}
	if (d->within == '<' && c == '>')
		d->within = '\0';
	else if (d->within == '<' && (c == '"' || c == '\''))
		d->within = c;
	else if (d->within == c)
		d->within = '<';
	return d->within ? PART : WHOLE;
}

/* Is it a tag of this element, whatever its prefix? *end: its last one. */
static bool is_tag(const struct starttls *d, const char *element, bool *end)
{
	const char *name = d->in + 1 + (d->in[1] == '/'), *colon;
	size_t len = strcspn(name, " \t\r\n/>");

	*end = d->in[1] == '/' || d->in[d->nin - 2] == '/';
	colon = memchr(name, ':', len);
	if (colon) {
		len -= (size_t)(colon + 1 - name);
		name = colon + 1;
	}
	return len == strlen(element) && memcmp(name, element, len) == 0;
}

/* RFC 6120 sections 4.9 and 5.4.2: what is wrong stands in the tag behind <stream:error> or <failure>. */
static enum verdict judge_tag(struct starttls *d, const struct step *s)
{
	bool end;

	if (d->refusing || (is_tag(d, "stream", &end) && d->in[1] == '/'))
		return refused(d);
	if (is_tag(d, "error", &end) || is_tag(d, "failure", &end)) {
		d->refusing = true;
		return end ? refused(d) : MORE;
	}
	d->offered = d->offered || (s->offer && is_tag(d, s->offer, &end));
	return is_tag(d, s->good, &end) && end ? done(d, s) : MORE;
}

/* --- the table --- */

#define SAY(text) .say = (text), .len = sizeof(text) - 1

/* clang-format off */
static const struct protocol protocols[STARTTLS_KINDS] = {
	[STARTTLS_SMTP] = {.port = 25, .frame = frame_line, .steps = {
		{.awaits = "its greeting", .judge = judge_reply, .good = "220"},
		{SAY("EHLO "), .who = OURS, .rest = "\r\n", .awaits = "its answer to EHLO", .judge = judge_reply, .good = "250", .offer = "STARTTLS"},
		{SAY("STARTTLS\r\n"), .awaits = "its answer to STARTTLS", .judge = judge_reply, .good = "220"}}},
	[STARTTLS_IMAP] = {.port = 143, .frame = frame_line, .steps = {
		{.awaits = "its greeting", .judge = judge_word, .good = "* OK"},
		{SAY("a STARTTLS\r\n"), .awaits = "its answer to STARTTLS", .judge = judge_tagged, .good = "a OK"}}},
	[STARTTLS_POP3] = {.port = 110, .frame = frame_line, .steps = {
		{.awaits = "its greeting", .judge = judge_word, .good = "+OK"},
		{SAY("STLS\r\n"), .awaits = "its answer to STLS", .judge = judge_word, .good = "+OK"}}},
	[STARTTLS_LDAP] = {.port = 389, .frame = frame_message, .steps = { /* message 1, ExtendedRequest, requestName */
		{SAY("\x30\x1d\x02\x01\x01\x77\x18\x80\x16" "1.3.6.1.4.1.1466.20037"), .awaits = "its answer to the request for TLS", .judge = judge_extended}}},
	[STARTTLS_POSTGRES] = {.port = 5432, .frame = frame_byte, .steps = { /* length 8, 80877103 */
		{SAY("\x00\x00\x00\x08\x04\xd2\x16\x2f"), .awaits = "its answer to the request for TLS", .judge = judge_byte, .good = "S"}}},
	[STARTTLS_XMPP] = {.port = 5222, .frame = frame_tag, .steps = {
		{SAY("<?xml version='1.0'?><stream:stream to='"), .who = THEIRS,
		 .rest = "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
		 .awaits = "its answer to the stream header", .judge = judge_tag, .good = "features", .offer = "starttls"},
		{SAY("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"), .awaits = "its answer to <starttls/>", .judge = judge_tag, .good = "proceed"}}},
};
/* clang-format on */

uint16_t starttls_port(enum starttls_kind kind)
{
	return protocols[kind].port;
}

static const struct step *here(const struct starttls *d)
{
	return &protocols[d->kind].steps[d->step];
}

const char *starttls_awaits(const struct starttls *d)
{
	return here(d)->awaits;
}

static void say(struct starttls *d)
{
	const struct step *s = here(d);
	const char *who = s->who == OURS ? d->us : s->who == THEIRS ? d->name : "";

	if (!s->say)
		return;
	memcpy(d->out, s->say, s->len);
	d->nout = s->len + (size_t)snprintf(d->out + s->len, sizeof(d->out) - s->len, "%.255s%s", who, s->rest ? s->rest : "");
}

void starttls_begin(struct starttls *d, enum starttls_kind kind, const char *name, const struct addr *us)
{
	char ip[ADDR_TEXT];

	*d = (struct starttls){.kind = kind, .name = text_is_domain(name) ? name : ""};
	/* We have no name of our own that we knew of: RFC 5321 section 4.1.3. */
	snprintf(d->us, sizeof(d->us), "[%s%.50s]", us->ss.ss_family == AF_INET6 ? "IPv6:" : "", addr_format_ip(us, ip));
	say(d);
}

void starttls_sent(struct starttls *d, size_t n)
{
	d->nout -= n;
	memmove(d->out, d->out + n, d->nout);
}

static void take_unit(struct starttls *d)
{
	enum verdict v;

	d->in[d->nin] = '\0';
	d->nunits++;
	v = here(d)->judge(d, here(d));
	d->nin = 0;
	if (v == BAD)
		return;
	if (d->nunits == STARTTLS_UNITS)
		fail(d, "%s has no end after %d parts", starttls_awaits(d), STARTTLS_UNITS);
	else if (v == GOOD && d->nout)
		fail(d, "%s came before it was asked", starttls_awaits(d));
	else if (v == GOOD && !here(d)[1].judge)
		d->state = STARTTLS_AGREED;
	else if (v == GOOD) {
		d->step++;
		d->offered = false;
		say(d);
	}
}

static void take_byte(struct starttls *d, char c)
{
	enum frame f;
	char said[SAID];

	if (++d->nbytes > STARTTLS_BYTES) {
		fail(d, "%s has no end after %d bytes", starttls_awaits(d), STARTTLS_BYTES);
		return;
	}
	d->in[d->nin++] = c;
	f = protocols[d->kind].frame(d, c);
	if (f == WHOLE)
		take_unit(d);
	else if (f == ODD)
		fail(d, "%s is none: \"%s\"", starttls_awaits(d), text_escape(d->in, d->nin ? d->nin : 1, said, sizeof(said)));
	else if (d->nin == STARTTLS_UNIT)
		fail(d, "%s has a part of more than %d bytes", starttls_awaits(d), STARTTLS_UNIT);
}

void starttls_take(struct starttls *d, const char *data, size_t len)
{
	size_t i = 0;

	while (i < len && d->state == STARTTLS_TALKS)
		take_byte(d, data[i++]);
	if (i < len && d->state == STARTTLS_AGREED)
		fail(d, "%s has %zu bytes in plain text behind it: TLS was to begin there", starttls_awaits(d), len - i);
}

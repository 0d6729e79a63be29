/* SPDX-License-Identifier: ISC */
#include "dns01_bed.h"

#include "base/log.h"
#include "crypto/jose.h"
#include "simtime.h"

#define RR(in, of, kind, text) { .zone = in, .owner = of, .type = kind, .data = text }
#define AT(address, holds) { .ip = address, .zones = holds }

static const struct paper_rr world[] = {
	RR("org", "org", DNS_SOA, "1 900"), RR("org", "org", DNS_NS, "ns.org"), RR("org", "ns.org", DNS_A, "192.0.2.9"),
	RR("org", "example.org", DNS_NS, "ns1.example.org"), RR("org", "example.org", DNS_NS, "ns2.example.net"), RR("org", "ns1.example.org", DNS_A, "192.0.2.1"),
	RR("example.org", "example.org", DNS_SOA, "7 300"), RR("example.org", "example.org", DNS_NS, "ns1.example.org"),
	RR("example.org", "example.org", DNS_NS, "ns2.example.net"), RR("example.org", "ns1.example.org", DNS_A, "192.0.2.1"),
	RR("example.org", "www.example.org", DNS_A, "192.0.2.80"),
	RR("example.net", "example.net", DNS_SOA, "3 600"), RR("example.net", "example.net", DNS_NS, "ns2.example.net"),
	RR("example.net", "ns2.example.net", DNS_A, "192.0.2.2"),
	RR("example.com", "example.com", DNS_SOA, "5 600"), RR("example.com", "example.com", DNS_NS, "ns2.example.net"),
};
static const struct paper_server servers[] = { AT("192.0.2.53", "*"), AT("192.0.2.54", "*"), AT("192.0.2.9", "org"), AT("192.0.2.1", "example.org"),
	AT("192.0.2.2", "example.org example.net example.com"), { 0 } };
struct bed bed;
enum { WORLD = sizeof(world) / sizeof(*world) };

/* --- providers ------------------------------------------------------------------------------------------------------------------ */

struct dns_change {
	struct entry *entry;
	struct timer timer;
	dns_changed *done;
	void *arg;
};

const char *bed_token(const char *value)
{
	static const char *const tokens[] = { "t1", "t2", "t3" };
	const char *found = "?";

	for (size_t i = 0; i < 3; i++) {
		char *of = jose_dns_value(tokens[i], THUMBPRINT);

		if (strcmp(of, value) == 0)
			found = tokens[i];
		free(of);
	}
	return found;
}

static char *kept_texts[4 * BED_RRS];
static size_t nkept;

static const char *keep_text(const char *text)
{
	assert_true(nkept < 4 * BED_RRS);
	return kept_texts[nkept++] = mem_strdup(text);
}

static void write_record(struct entry *e, const struct dns_record *r)
{
	static const char *const at[] = { "192.0.2.1", "192.0.2.2", "192.0.2.53", "192.0.2.54" };
	struct paper_rr rr = { .zone = keep_text(r->zone), .owner = keep_text(r->name), .type = DNS_TXT, .data = keep_text(r->value) };

	for (size_t i = 0; i < 4 && !e->nowhere; i++) {
		assert_true(bed.nrr + 1 < BED_RRS);
		rr.server = at[i];
		rr.from = paper_now(&bed.paper) + e->lag + (i < 2 ? 0 : e->recursive_lag);
		bed.rr[bed.nrr++] = rr;
	}
}

static void take_record(const struct dns_record *r)
{
	for (size_t i = WORLD; i < bed.nrr; i++)
		if (strcmp(bed.rr[i].owner, r->name) == 0 && strcmp(bed.rr[i].data, r->value) == 0)
			bed.rr[i].from = INT64_MAX;
}

static void answer(void *arg)
{
	struct dns_change *c = arg;
	struct entry *e = c->entry;
	struct err err;

	e->under_way--;
	err_set(&err, ERR_TEMP, "provider", "%s says no", e->provider.name);
	c->done(c->arg, e->takes == TAKES ? NULL : &err);
	free(c);
}

static struct dns_change *change(struct dns_provider *p, const char *what, const struct dns_record *r, dns_changed *done, void *arg)
{
	struct entry *e = (struct entry *)p;
	struct dns_change *c = mem_alloc(sizeof(*c));
	size_t used = strlen(bed.log);

	assert_false(e->freed);
	assert_true(dns_name_is_in(r->name, r->zone));
	*c = (struct dns_change){ .entry = e, .done = done, .arg = arg };
	snprintf(bed.log + used, sizeof(bed.log) - used, "%s%s %s %s %s %s", used ? "; " : "", what, p->name, r->zone, r->name, bed_token(r->value));
	e->under_way++;
	if (e->takes != NEVER_ANSWERS)
		timer_arm(&c->timer, e->late, answer, c);
	if ((e->takes == TAKES || e->takes == LOSES) && *what == 'a')
		write_record(e, r);
	else if (*what == 'r' && (e->takes == TAKES || e->takes == LOSES))
		take_record(r);
	return c;
}

static struct dns_change *add(struct dns_provider *p, const struct dns_record *r, dns_changed *done, void *arg)
{
	return change(p, "add", r, done, arg);
}

static struct dns_change *take(struct dns_provider *p, const struct dns_record *r, dns_changed *done, void *arg)
{
	return change(p, "remove", r, done, arg);
}

static struct dns_change *probe(struct dns_provider *p, const struct dns_record *r, dns_changed *done, void *arg)
{
	return change(p, "probe", r, done, arg);
}

static void cancel_change(struct dns_change *c)
{
	assert_false(c->entry->freed);
	c->entry->under_way--;
	timer_disarm(&c->timer);
	free(c);
}

static void free_provider(struct dns_provider *p)
{
	assert_false(((struct entry *)p)->freed);
	((struct entry *)p)->freed = true;
}

struct entry *bed_entry(size_t i, const char *name, const char *zone)
{
	static const struct dns_provider_ops ops = { .add = add, .remove = take, .probe = probe, .cancel = cancel_change, .free = free_provider };
	struct entry *e = &bed.entry[i];

	*e = (struct entry){ .zones = { zone }, .provider = { .ops = &ops, .name = name, .nzones = zone != NULL } };
	e->provider.zones = e->zones;
	e->options.provider = &e->provider;
	e->options.timeout_ms = 900000;
	e->options.quorum.kind = QUORUM_ALL;
	return e;
}

void bed_configure(size_t i)
{
	bed.entry[i].made = true;
	bed.entry[i].method = dns01_new(bed.world, &bed.entry[i].options);
}

void bed_unconfigure(size_t i)
{
	bed_ops(i)->free(bed.entry[i].method);
	bed.entry[i].method = NULL;
}

const struct method_ops *bed_ops(size_t i)
{
	return bed.entry[i].method->ops;
}

void bed_clear(void)
{
	bed.nrr = WORLD;
	memset(&bed.rr[WORLD], 0, sizeof(bed.rr) - WORLD * sizeof(*bed.rr));
}

/* --- what a call told ------------------------------------------------------------------------------------------------------------- */

void told_done(void *arg, const struct js *report, const struct err *err)
{
	struct told *t = arg;

	assert_int_equal(++t->calls, 1);
	if (report)
		t->report = js_ref((struct js *)report);
	if (err)
		t->err = *err;
}

void told_wait(const struct told *t)
{
	while (!t->calls)
		loop_turn(true);
}

void told_clear(struct told *t)
{
	js_free(t->report);
	memset(t, 0, sizeof(*t));
}

/* --- the bed -------------------------------------------------------------------------------------------------------------------- */

static struct dns_lookup *addresses(struct dns *dns, const char *name, uint16_t port, dns_done *done, void *arg)
{
	assert_ptr_equal(dns, bed.dns);
	return paper_addresses((struct dns *)&bed.paper, name, port, done, arg);
}

static struct js *load(void *arg, const char *name)
{
	struct js *record = js_obj(arg, name);
	char *text = record ? js_dump(record) : NULL;
	struct err err;

	record = text ? js_parse(text, strlen(text), &err) : NULL;
	free(text);
	return record;
}

static void save(void *arg, const char *name, const struct js *record)
{
	js_put(arg, name, js_ref((struct js *)record));
}

struct dns_memory bed_memory(void)
{
	return (struct dns_memory){ load, save, bed.memory };
}

static void note_line(void *arg, enum log_level level, const char *line)
{
	size_t used = strlen(bed.lines);

	(void)arg;
	if (level <= LOG_LEVEL_WARNING)
		snprintf(bed.lines + used, sizeof(bed.lines) - used, "%s\n", line);
}

void bed_open_world(void)
{
	bed.world = dns01_world_new(&(struct dns01_world_options){ .asker = &bed.paper.asker, .dns = bed.dns, .port = 53, .addresses = addresses,
		.addresses_cancel = paper_addresses_cancel, .memory = bed_memory() });
}

int bed_open(void **state)
{
	static const char *const recursive[] = { "192.0.2.53", "192.0.2.54" };
	struct err err;

	(void)state;
	memset(&bed, 0, sizeof(bed));
	simtime_start(1800000000);
	assert_true(loop_open(&err));
	log_set_sink(note_line, NULL);
	bed.dns = dns_open(recursive, 2, &err);
	memcpy(bed.rr, world, sizeof(world));
	bed.nrr = WORLD;
	paper_begin(&bed.paper, bed.rr, servers);
	bed.memory = js_object();
	bed.proof = (struct method_proof){ .ca = "le", .name = "www.example.org", .token = "t1", .thumbprint = THUMBPRINT };
	bed_open_world();
	bed_entry(0, "main", "example.org");
	return bed.dns ? 0 : -1;
}

void bed_close_world(void)
{
	for (size_t i = 0; i < BED_ENTRIES; i++)
		if (bed.entry[i].method)
			bed_unconfigure(i);
	dns01_world_free(bed.world);
	bed.world = NULL;
	for (size_t i = 0; i < BED_ENTRIES; i++) {
		assert_int_equal(bed.entry[i].under_way, 0);
		assert_int_equal(bed.entry[i].freed, bed.entry[i].made);
	}
}

int bed_close(void **state)
{
	(void)state;
	if (bed.world)
		bed_close_world();
	told_clear(&bed.told);
	js_free(bed.place);
	js_free(bed.memory);
	paper_end(&bed.paper);
	dns_close(bed.dns);
	while (nkept)
		free(kept_texts[--nkept]);
	log_set_sink(NULL, NULL);
	loop_close();
	simtime_stop();
	return 0;
}

struct method_call *bed_begin(size_t i, enum op op, struct told *told)
{
	struct method *m = bed.entry[i].method;

	if (!m) {
		bed_configure(i);
		m = bed.entry[i].method;
	}
	switch (op) {
	case PUBLISH:
		return m->ops->publish(m, &bed.proof, told_done, told);
	case SEE:
		return m->ops->see(m, &bed.proof, told_done, told);
	case WITHDRAW:
		return m->ops->withdraw(m, &bed.proof, told_done, told);
	case REVIEW:
		return m->ops->review(m, &bed.proof, told_done, told);
	case CHECK:
		return m->ops->check(m, &(struct method_proof){ .ca = "le", .name = bed.proof.name, .wildcard = bed.proof.wildcard }, told_done, told);
	}
	return NULL;
}

/* To its end; publish leaves its place for what comes after, as the core does. */
void bed_run(size_t i, enum op op)
{
	told_clear(&bed.told);
	bed.began = clock_mono_ms();
	bed_begin(i, op, &bed.told);
	assert_int_equal(bed.told.calls, 0);
	told_wait(&bed.told);
	bed.took = clock_mono_ms() - bed.began;
	for (int k = 0; k < 3; k++)
		loop_turn(false);
	if (op == WITHDRAW)
		assert_null(bed.told.report);
	if (op == PUBLISH && bed.told.report) {
		js_free(bed.place);
		bed.proof.place = bed.place = js_ref(bed.told.report);
		bed.paper.published = true;
	}
}

static void wake(void *arg)
{
	*(bool *)arg = true;
}

void bed_until(int64_t ms)
{
	struct timer t = { 0 };
	bool over = false;

	timer_arm(&t, ms, wake, &over);
	while (!over)
		loop_turn(true);
}

void assert_well(void)
{
	if (bed.told.err.kind != ERR_NONE)
		fail_msg("%s: %s", bed.told.err.type, bed.told.err.detail);
}

void assert_fails(enum err_kind kind, const char *type, const char *part)
{
	assert_int_equal(bed.told.err.kind, kind);
	assert_string_equal(bed.told.err.type, type);
	if (!strstr(bed.told.err.detail, part))
		fail_msg("%s", bed.told.err.detail);
}

void assert_written(const char *log)
{
	assert_string_equal(bed.log, log);
	*bed.log = '\0';
}

void assert_place(const char *zone, const char *owner, const char *by)
{
	assert_string_equal(js_str(bed.told.report, "zone"), zone);
	assert_string_equal(js_str(bed.told.report, "owner"), owner);
	assert_string_equal(js_str(bed.told.report, "by"), by);
}

/* The challenge name is an alias from now on. */
struct paper_rr *bed_alias(const char *to)
{
	bed.rr[bed.nrr] = (struct paper_rr)RR("example.org", WWW, DNS_CNAME, to);
	return &bed.rr[bed.nrr++];
}

int64_t bed_judged(size_t i, const char *type)
{
	struct method *m = bed.entry[i].method;
	struct err err;

	err_set(&err, ERR_TEMP, type ? type : "x", "the CA says so");
	return m->ops->judged(m, &bed.proof, type ? &err : NULL);
}


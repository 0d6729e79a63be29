/* SPDX-License-Identifier: ISC */
/* Whatever happens in whatever order, a certificate is not forgotten: operators ask for this and that, the configuration changes, the world fails, we are
 * killed; once all is well again it is renewed and served. The same few walks each time; $DOVAD_WALKS tries so many others, and the last line names the one
 * that went wrong: $DOVAD_WALK takes that one alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "script.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define CAS "ca = ( { name = \"le\"; type = \"acme\"; directory = \"https://le.test/dir\"; }, " \
	"{ name = \"zero\"; type = \"acme\"; directory = \"https://zero.test/dir\"; } );\n" \
	"http = ( { name = \"www\"; type = \"webroot\"; path = \"/srv/www\"; }, { name = \"more\"; type = \"webroot\"; path = \"/srv/more\"; } );\n"
#define SERVICES SCRIPT_SERVICE
#define A(names, more) CAS SERVICES "certificate = ( { name = \"a\"; names = [ " names " ]; service = [ \"web\" ]; " more " } );\n"

static const char *const confs[] = {
	A("\"a.test\"", ""), A("\"a.test\", \"b.test\"", ""), A("\"a.test\"", "ca = \"zero\";"), A("\"a.test\"", "prove = [ \"http:more\" ];"),
	A("\"a.test\"", "enabled = false;"), CAS SERVICES "certificate = ( { name = \"a\"; names = [ \"a.test\" ]; } );\n",
};

static uint64_t chance;

static unsigned choose(unsigned n) /* splitmix64 */
{
	uint64_t z = chance += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (unsigned)((z ^ z >> 31) % n);
}

static void hear(void *arg, const struct err *err)
{
	(void)arg, (void)err;
}

static void renew(struct script *s)
{
	struct err err;

	if (!registry_renew(s->registry, script_cert(s, "a"), choose(2), &err))
		assert_int_not_equal(err.kind, ERR_NONE);
}

static void go_back(struct script *s)
{
	registry_back(s->registry, script_cert(s, "a"), hear, NULL);
}

static void configure(struct script *s)
{
	script_conf(s, confs[choose(sizeof(confs) / sizeof(confs[0]))]);
}

static void spoil(struct script *s)
{
	static const enum err_kind kinds[] = { ERR_TEMP, ERR_LIMIT, ERR_DENIED, ERR_LOCAL };
	static const enum script_what whats[] = { FAIL, FAIL, LOSE, SILENT, PASS };
	enum script_what what = whats[choose(5)];
	struct script_rule *rule = script_rule(s, (enum script_op)choose(OP_VERIFY), what);

	rule->times = 1 + choose(3);
	rule->skip = choose(2);
	rule->err.kind = kinds[choose(4)];
	rule->delay_ms = what == PASS ? 5000 : 0;
}

static void crash(struct script *s)
{
	script_crash(s);
}

static void revoke(struct script *s)
{
	registry_revoke(s->registry, script_cert(s, "a"), 4, hear, NULL);
}

static void restart(struct script *s)
{
	script_stop(s);
	script_conf(s, NULL);
}

static void deafen(struct script *s)
{
	s->deaf = !s->deaf;
}

static void cut(struct script *s)
{
	script_keeper_gone(s);
}

static void walk(uint64_t seed)
{
	static void (*const steps[])(struct script *s) = {
		renew, renew, go_back, revoke, configure, configure, spoil, spoil, spoil, crash, restart, deafen, cut,
	};
	static const int64_t pauses[] = { 0, 1, 1000, 20000, MINUTE_MS, HOUR_MS, DAY_MS, 40 * (int64_t)DAY_MS };
	struct script *s;
	struct err err;
	void *state;

	chance = seed;
	print_message("walk %llu\n", (unsigned long long)seed);
	assert_int_equal(script_setup(&state), 0);
	s = state;
	script_conf(s, confs[0]);
	for (int i = 0; i < 25; i++) {
		steps[choose(sizeof(steps) / sizeof(steps[0]))](s);
		script_run(s, pauses[choose(sizeof(pauses) / sizeof(pauses[0]))]);
	}
	script_forget_rules(s);
	s->deaf = false;
	script_conf(s, confs[1]);
	script_run(s, 2 * (int64_t)DAY_MS); /* silence ends, limits pass */
	assert_true(registry_renew(s->registry, script_cert(s, "a"), true, &err));
	script_run(s, HOUR_MS);
	script_until_served(s, "a");
	assert_false(script_cert(s, "a")->forced);
	assert_null(script_cert(s, "a")->last_error);
	assert_in_range(clock_now() - script_cert(s, "a")->not_before, 0, 3 * 3600);
	script_run(s, 2 * (int64_t)DAY_MS);
	assert_int_equal(script_teardown(&state), 0);
}

static void walks(void **state)
{
	enum { FEW = 40 };
	const char *more = getenv("DOVAD_WALKS"), *one = getenv("DOVAD_WALK");
	uint64_t first = one ? strtoull(one, NULL, 10) : more ? (uint64_t)clock_now_us() : 0, n = one ? 1 : more ? strtoull(more, NULL, 10) : FEW;

	(void)state;
	for (uint64_t i = 0; i < n; i++)
		walk(first + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(walks) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ctl/manager.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "stub_registry.h"

static int manager_fd;
static struct manager manager;

static int setup(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char name[64];

	(void)state;
	clock_freeze(1800000000);
	snprintf(name, sizeof(name), "@dovad-manager-%ld", (long)getpid());
	memcpy(sun.sun_path + 1, name + 1, strlen(name) - 1);
	manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(manager_fd, (struct sockaddr *)&sun, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	manager = (struct manager){ 0 };
	stub_open(3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stub_close();
	close(manager_fd);
	clock_thaw();
	return 0;
}

/* What the manager was told since, "" for nothing. */
static const char *told(void)
{
	static char text[1024];
	ssize_t n = recv(manager_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static struct js *problem(bool warning)
{
	struct js *v = js_object();

	js_put_bool(v, "warning", warning);
	return v;
}

static struct js *report(size_t errors, size_t warnings, size_t set_aside)
{
	struct js *v = js_object(), *problems = js_array(), *paths = js_array();

	for (size_t i = 0; i < errors + warnings; i++)
		js_add(problems, problem(i >= errors));
	for (size_t i = 0; i < set_aside; i++)
		js_add_str(paths, "/etc/dovad/conf.d/x.conf");
	js_put(v, "problems", problems);
	js_put(v, "quarantined", paths);
	return v;
}

static void take_report(size_t errors, size_t warnings, size_t set_aside)
{
	struct js *v = report(errors, warnings, set_aside);

	manager_report(&manager, &stub, v);
	js_free(v);
}

static void the_line_tells_how_it_stands(void **state)
{
	(void)state;
	stub_cert(1)->state = CERT_HELD;
	manager_tick(&manager, &stub);
	assert_string_equal(told(), "WATCHDOG=1\nSTATUS=3 certificates, 1 failing, 0 stale, 0 under way; next: c00000 in 1d");
}

static void files_set_aside_are_told_at_once(void **state)
{
	(void)state;
	manager_tick(&manager, &stub);
	assert_string_not_equal(told(), "");
	take_report(2, 1, 1);
	assert_non_null(strstr(told(), "STATUS=configuration: 2 errors, 1 files set aside; 3 certificates"));
	clock_advance(60000);
	manager_tick(&manager, &stub);
	assert_non_null(strstr(told(), "STATUS=configuration: 2 errors"));
	take_report(0, 1, 0);
	assert_non_null(strstr(told(), "STATUS=3 certificates"));
}

static void many_ticks_count_once(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) { /* an order ends each 10 ms */
		manager_tick(&manager, &stub);
		clock_advance(10);
	}
	assert_string_not_equal(told(), "");
	assert_string_equal(told(), "");
	assert_int_equal(stub.summaries, 1);
	clock_advance(50000); /* the minute is never missed */
	manager_tick(&manager, &stub);
	assert_string_not_equal(told(), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(the_line_tells_how_it_stands),
		TEST(files_set_aside_are_told_at_once),
		TEST(many_ticks_count_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

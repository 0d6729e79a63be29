/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/alive.h"
#include "io/loop.h"

static int manager = -1;

static int setup(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sun);
	char name[sizeof(sun.sun_path) + 1] = "@";
	struct err err;

	(void)state;
	assert_true(loop_open(&err));
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&sun, sizeof(sun.sun_family)), 0); /* a name of the kernel's choice */
	assert_int_equal(getsockname(manager, (struct sockaddr *)&sun, &len), 0);
	memcpy(name + 1, sun.sun_path + 1, len - sizeof(sun.sun_family) - 1);
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "20000", 1);
	unsetenv("WATCHDOG_PID");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	alive_stop();
	loop_close();
	close(manager);
	return 0;
}

static unsigned signs(void)
{
	char text[64];
	unsigned n = 0;

	for (ssize_t len; (len = recv(manager, text, sizeof(text), 0)) >= 0; n++) {
		assert_int_equal(len, strlen("WATCHDOG=1"));
		assert_memory_equal(text, "WATCHDOG=1", (size_t)len);
	}
	return n;
}

static void it_is_given_again_and_again_until_the_end(void **state)
{
	unsigned n = 0;

	(void)state;
	alive_start(0);
	assert_int_equal(signs(), 1);
	while (n < 5) {
		loop_turn(true);
		n += signs();
	}
	alive_stop();
	loop_turn(false);
	assert_int_equal(signs(), 0);
}

static void others_may_do(void **state)
{
	(void)state;
	alive_start(10);
	assert_int_equal(signs(), 0);
	alive_start(11);
	assert_int_equal(signs(), 1);
}

static void nobody_asked(void **state)
{
	(void)state;
	unsetenv("WATCHDOG_USEC");
	alive_start(0);
	assert_int_equal(signs(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(it_is_given_again_and_again_until_the_end),
		TEST(others_may_do),
		TEST(nobody_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* For the tests of the prove folder: what a call of a method told, and the loop around each test. */
#ifndef DOVAD_TESTS_METHOD_SEEN_H
#define DOVAD_TESTS_METHOD_SEEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/dns.h"
#include "io/loop.h"
#include "prove/method.h"
#include "testserver.h"

#define THUMBPRINT "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"

struct seen {
	int calls;
	struct js *report; /* NULL: none */
	struct err err;    /* kind ERR_NONE: none */
	bool within;       /* set by the test around its call: nothing may be told from inside */
};

static inline void seen_done(void *arg, const struct js *report, const struct err *err)
{
	struct seen *s = arg;

	assert_false(s->within);
	assert_int_equal(++s->calls, 1);
	if (report)
		s->report = js_ref((struct js *)report);
	if (err)
		s->err = *err;
}

static inline void seen_wait(const struct seen *s)
{
	while (!s->calls)
		loop_turn(true);
}

static inline void seen_clear(struct seen *s)
{
	js_free(s->report);
	memset(s, 0, sizeof(*s));
}

/* The one operation that is started by `start`, to its end. */
#define seen_of(s, start) ((s)->within = true, (void)(start), (s)->within = false, seen_wait(s))

static inline unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* A port of this address that was free just now. */
static inline uint16_t free_port(const char *ip)
{
	struct addr a;
	int fd;

	assert_true(addr_parse_ip(ip, 0, &a));
	fd = socket(a.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a.ss, a.len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a.ss, &a.len), 0);
	close(fd);
	return addr_port(&a);
}

#endif

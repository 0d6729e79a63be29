/* SPDX-License-Identifier: ISC */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

enum {
	LINE = 4096,    /* PIPE_BUF: a pipe that polls writable takes this much without blocking */
	VALUE = 768,    /* bytes of one value before escaping; the longest log_err fits */
	SCRATCH = 768,
	SCRATCHES = 16,
	PATIENCE = 20,  /* ms for a full reader, once; while lines are being lost, none */
};

enum form { FORM_TERMINAL, FORM_JOURNAL, FORM_SYSLOG };

static struct {
	char program[32];
	enum log_level level;
	enum form form;
	int fd;
	unsigned long lost;
	void (*sink)(void *arg, enum log_level level, const char *line);
	void *sink_arg;
} logger = { .program = "dovad", .level = LOG_LEVEL_INFO, .fd = STDERR_FILENO };

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info",   [LOG_LEVEL_DEBUG] = "debug",
};

/* A file opened later must never become descriptor 2 and receive our lines. */
static void ensure_stderr(void)
{
	int fd;

	if (fcntl(STDERR_FILENO, F_GETFD) >= 0)
		return;
	do
		fd = open("/dev/null", O_RDWR); /* stays open, in the lowest free place */
	while (fd >= 0 && fd < STDERR_FILENO);
}

/* $JOURNAL_STREAM is "device:inode" of the socket the manager gave us; stderr may have been redirected since. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(ours, sizeof ours, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, ours) == 0;
}

void log_open(const char *program, enum log_level level)
{
	snprintf(logger.program, sizeof logger.program, "%s", program);
	ensure_stderr();
	if (logger.form == FORM_SYSLOG && logger.fd >= 0)
		close(logger.fd);
	logger.form = stderr_is_journal() ? FORM_JOURNAL : FORM_TERMINAL;
	logger.fd = STDERR_FILENO;
	logger.level = level;
}

void log_set_level(enum log_level level)
{
	logger.level = level;
}

void log_set_sink(void (*sink)(void *arg, enum log_level level, const char *line), void *arg)
{
	logger.sink = sink;
	logger.sink_arg = arg;
}

/* A text that grows to the end of its room and no further. */
struct line {
	char text[LINE];
	size_t len;
};

static void line_add(struct line *l, const char *s)
{
	size_t n = strnlen(s, sizeof l->text - 2 - l->len); /* keeps a place for the newline and the NUL */

	memcpy(l->text + l->len, s, n);
	l->len += n;
	l->text[l->len] = '\0';
}

/* Quotes and backslashes are doubled before control characters become \xHH, so a value reads back in one way only. */
static void line_add_value(struct line *l, const char *value)
{
	char doubled[2 * VALUE + 1] = "";
	char safe[2 * VALUE + 1];
	size_t n = 0;
	bool quote = value[0] == '\0';

	for (const char *s = value; *s && n < 2 * VALUE - 1; s++) {
		if (*s == '"' || *s == '\\')
			doubled[n++] = '\\';
		quote |= *s == '"' || *s == '\\' || *s == ' ' || *s == '=';
		doubled[n++] = *s;
	}
	text_escape(doubled, n, safe, sizeof safe);
	line_add(l, quote ? "\"" : "");
	line_add(l, safe);
	line_add(l, quote ? "\"" : "");
}

/* A pair that does not fit is left out whole: half a character would make the line binary for the journal. */
static void line_add_pair(struct line *l, const char *key, const char *value)
{
	size_t before = l->len;

	line_add(l, " ");
	line_add(l, key);
	line_add(l, "=");
	line_add_value(l, value);
	if (l->len == sizeof l->text - 2)
		l->text[l->len = before] = '\0';
}

static void line_add_prefix(struct line *l, enum log_level level)
{
	char stamp[TEXT_TIME], head[32];
	time_t now = (time_t)clock_now();

	if (logger.sink)
		return;
	switch (logger.form) {
	case FORM_JOURNAL:
		snprintf(head, sizeof head, "<%d>", (int)level); /* our levels are syslog's */
		line_add(l, head);
		return;
	case FORM_SYSLOG: /* as syslog(3) writes it: its host adds the rest */
		snprintf(head, sizeof head, "<%d>", LOG_DAEMON | (int)level);
		line_add(l, head);
		strftime(head, sizeof head, "%b %e %T ", localtime(&now));
		line_add(l, head);
		line_add(l, logger.program);
		snprintf(head, sizeof head, "[%d]: ", (int)getpid());
		line_add(l, head);
		return;
	case FORM_TERMINAL:
		line_add(l, text_time_format(clock_now(), stamp));
		line_add(l, " ");
		line_add(l, logger.program);
		line_add(l, " ");
		line_add(l, level_names[level]);
		line_add(l, " ");
	}
}

/* A hung-up reader shows as POLLERR or POLLHUP before a write could raise SIGPIPE. */
static short log_ready(int patience)
{
	struct pollfd pfd = { .fd = logger.fd, .events = POLLOUT };

	return poll(&pfd, 1, patience) == 1 ? pfd.revents : 0;
}

/* Not syslog(3): that one waits for as long as it takes. */
static void syslog_connect(void)
{
	static const struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = _PATH_LOG };

	if (logger.form == FORM_SYSLOG && logger.fd >= 0)
		close(logger.fd);
	logger.form = FORM_SYSLOG;
	logger.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (logger.fd >= 0 && connect(logger.fd, (const struct sockaddr *)&sun, sizeof sun) < 0) {
		close(logger.fd);
		logger.fd = -1;
	}
}

static bool syslog_send(const struct line *l)
{
	return logger.fd >= 0 && send(logger.fd, l->text, l->len, MSG_NOSIGNAL) == (ssize_t)l->len;
}

static bool syslog_write(const struct line *l)
{
	if (syslog_send(l))
		return true;
	if (logger.fd >= 0 && errno == EAGAIN)
		log_ready(logger.lost ? 0 : PATIENCE);
	else
		syslog_connect(); /* it was started anew */
	return syslog_send(l);
}

/* ready: of log_ready() a moment ago. */
static bool line_write(struct line *l, short ready)
{
	if (logger.form == FORM_SYSLOG)
		return syslog_write(l);
	if (!ready && !logger.lost)
		ready = log_ready(PATIENCE);
	l->text[l->len++] = '\n';
	return ready == POLLOUT && write(logger.fd, l->text, l->len) == (ssize_t)l->len;
}

static void emit(enum log_level level, const char *message, va_list ap)
{
	struct line l;
	const char *key, *value;
	short ready = 0;

	if (level > logger.level)
		return;
	if (!logger.sink && logger.form != FORM_SYSLOG)
		ready = log_ready(0);
	if (ready & (POLLERR | POLLHUP))
		syslog_connect();
	l.len = 0;
	line_add_prefix(&l, level);
	line_add(&l, message);
	while ((key = va_arg(ap, const char *))) {
		value = va_arg(ap, const char *);
		if (value)
			line_add_pair(&l, key, value);
	}
	if (logger.sink) {
		logger.sink(logger.sink_arg, level, l.text);
		return;
	}
	if (logger.lost)
		line_add_pair(&l, "lines_lost", log_num((int64_t)logger.lost));
	logger.lost = line_write(&l, ready) ? 0 : logger.lost + 1;
}

#define LOG_AT(name, level)                          \
	void name(const char *message, ...)          \
	{                                            \
		va_list ap;                          \
                                                     \
		va_start(ap, message);               \
		emit(level, message, ap);            \
		va_end(ap);                          \
	}

LOG_AT(log_error, LOG_LEVEL_ERROR)
LOG_AT(log_warning, LOG_LEVEL_WARNING)
LOG_AT(log_notice, LOG_LEVEL_NOTICE)
LOG_AT(log_info, LOG_LEVEL_INFO)
LOG_AT(log_debug, LOG_LEVEL_DEBUG)

static char *scratch(void)
{
	static char ring[SCRATCHES][SCRATCH];
	static unsigned next;

	return ring[next++ % SCRATCHES];
}

const char *log_num(int64_t n)
{
	char *s = scratch();

	snprintf(s, SCRATCH, "%" PRId64, n);
	return s;
}

const char *log_time(int64_t unix_seconds)
{
	return text_time_format(unix_seconds, scratch());
}

const char *log_err(const struct err *err)
{
	char *s = scratch();
	char status[24] = "";

	if (err->http_status)
		snprintf(status, sizeof status, "HTTP %d", err->http_status);
	snprintf(s, SCRATCH, "%s%s%s%s%s%s%s%s", err->during, err->during[0] ? ": " : "", err->detail,
		 err->type[0] || status[0] ? " (" : "", err->type, err->type[0] && status[0] ? ", " : "", status,
		 err->type[0] || status[0] ? ")" : "");
	return s;
}

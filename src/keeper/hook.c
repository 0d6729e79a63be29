/* SPDX-License-Identifier: ISC */
#include "keeper/hook.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "keeper/credential.h"
#include "keeper/vault.h"

enum { ARGUMENTS = 4, VARIABLES = 4 /* beside the secrets */ };

/* --- what may be asked --- */

static bool refuse(const struct conf_dns *dns, const char *why, struct err *err)
{
	return err_set(err, ERR_INPUT, "call", "dns:%s: %s", dns->name, why);
}

/* Printable, and nothing that a zone file or a careless script would take for the end of it. */
static bool is_value(const char *s)
{
	size_t len = strnlen(s, HOOK_VALUE_MAX + 1);

	for (size_t i = 0; i < len; i++)
		if (s[i] < ' ' || s[i] > '~' || strchr("\"'\\`", s[i]))
			return false;
	return len > 0 && len <= HOOK_VALUE_MAX;
}

bool hook_read(const struct conf_dns *dns, const struct js *request, struct hook_call *out, struct err *err)
{
	*out = (struct hook_call){ js_str(request, "action"), js_str(request, "zone"), js_str(request, "record"), js_str(request, "value") };
	if (dns->type != CONF_DNS_EXEC)
		return refuse(dns, "has no command", err);
	if (!out->action || (strcmp(out->action, "add") != 0 && strcmp(out->action, "remove") != 0))
		return refuse(dns, "the action is add or remove", err);
	if (!out->zone || !text_is_domain(out->zone) || !out->record || !text_is_domain(out->record))
		return refuse(dns, "zone and record are domain names, without a dot at the end", err);
	if (!text_is_below(out->record, out->zone))
		return refuse(dns, "the record is not in the zone", err);
	if (!out->value || !is_value(out->value))
		return refuse(dns, "the value is up to 4096 printable characters without quotes and backslashes", err);
	return conf_dns_holds(dns, out->record) ||
		err_set(err, ERR_DENIED, "policy", "dns:%s: %s is not below its zones", dns->name, out->record);
}

struct js *hook_to_js(const struct hook_call *call)
{
	struct js *v = js_object();

	js_put_str(v, "action", call->action);
	js_put_str(v, "zone", call->zone);
	js_put_str(v, "record", call->record);
	js_put_str(v, "value", call->value);
	return v;
}

/* --- what the command gets --- */

/* A file without a name, which nobody can change any more. A line, so that a shell's `read` is content. */
static int secret_open(const struct buf *secret, struct err *err)
{
	int fd = memfd_create("secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && write(fd, secret->data, secret->len) == (ssize_t)secret->len && lseek(fd, 0, SEEK_SET) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
		return fd;
	err_errno(err, "cannot hand over a secret");
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool add_secret(struct hook *h, const char *folder, const char *name, struct err *err)
{
	char variable[CONF_VARIABLE];
	struct buf secret;
	int fd = -1;

	buf_init(&secret, 0);
	if (credential_read(folder, name, &secret, err) && buf_puts(&secret, "\n"))
		fd = secret_open(&secret, err);
	buf_wipe(&secret);
	if (fd < 0)
		return false;
	h->env[h->nenv++] = mem_printf("%s=%zu", conf_secret_variable(name, variable), 3 + h->nsecrets);
	h->secrets[h->nsecrets++] = fd;
	return true;
}

bool hook_prepare(struct hook *h, const struct conf *conf, const struct conf_dns *dns, const struct hook_call *call, struct err *err)
{
	const char *arguments[ARGUMENTS] = { call->action, call->record, call->value, call->zone };
	bool ok = true;

	*h = (struct hook){ .argv = mem_array(dns->command.n + ARGUMENTS + 1, sizeof(*h->argv)),
		.env = mem_array(VARIABLES + dns->secrets.n + 1, sizeof(*h->env)) };
	memcpy(h->argv, dns->command.v, dns->command.n * sizeof(*h->argv));
	memcpy(h->argv + dns->command.n, arguments, sizeof(arguments));
	for (; child_env[h->nenv]; h->nenv++)
		h->env[h->nenv] = mem_strdup(child_env[h->nenv]);
	h->env[h->nenv++] = mem_printf("DOVAD_DNS=%s", dns->name);
	h->env[h->nenv++] = mem_printf("DOVAD_TTL=%d", dns->ttl);
	for (size_t i = 0; i < dns->secrets.n && ok; i++)
		ok = add_secret(h, conf->settings.credentials, dns->secrets.v[i], err);
	return ok;
}

void hook_free(struct hook *h)
{
	for (size_t i = 0; i < h->nsecrets; i++)
		close(h->secrets[i]);
	for (size_t i = 0; i < h->nenv; i++)
		free(h->env[i]);
	free(h->env);
	free(h->argv);
	*h = (struct hook){ 0 };
}

/* --- how it went --- */

bool hook_judge(const struct child_end *end, const struct conf_dns *dns, struct err *err)
{
	bool soon = end->timed_out || !WIFEXITED(end->status) || WEXITSTATUS(end->status) == HOOK_TEMPORARY;
	char what[80];

	snprintf(what, sizeof(what), "the command of dns:%s", dns->name);
	if (child_judge(end, "hook", what, err))
		return true;
	if (err)
		err->kind = soon ? ERR_TEMP : ERR_DENIED;
	return false;
}

/* SPDX-License-Identifier: ISC */
#include "network.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/confine.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "ca/acme.h"
#include "ca/cas.h"
#include "config.h"
#include "core/conf_follow.h"
#include "core/registry.h"
#include "core/schedule.h"
#include "core/schema.h"
#include "ctl/agent.h"
#include "ctl/manager.h"
#include "exits.h"
#include "io/alive.h"
#include "io/http.h"
#include "io/loop.h"
#include "io/msg.h"
#include "io/systemd.h"
#include "io/tls.h"
#include "io/web.h"
#include "prove/dns01.h"
#include "prove/http.h"

enum { UPDATE_MS = 30000, CHANNELS = 256, RECURSIVE_MAX = 4 };

/* Where the host tells of itself (users, resolvers, CAs, libraries); what else everybody may read, sites and homes with their passwords, is not for us. */
static const char *const host_folders[] = {"/etc", "/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store", "/proc", "/sys", "/dev", "/run", "/var/run",
	"/var/lib/sss", "/var/lib/extrausers"};
enum { HOST_FOLDERS = sizeof(host_folders) / sizeof(host_folders[0]) };

struct network {
	const struct network_options *options;
	int keeper_fd;      /* not used yet; -1: none or spent */
	pid_t keeper_pid;   /* our own child, 0: none */
	struct rpc *keeper;
	struct conf_follow *follow;
	struct store *store;
	struct dns *dns;
	struct asker *asker;
	struct http *resolvers;      /* of those that are asked by HTTPS */
	struct http *looks;          /* the self-check's */
	struct dns01_world *proofs;
	struct registry *registry;
	struct agent *agent;
	struct manager manager;
	char **readable;             /* folders, for good; NULL: everything */
	int exit_code;
};

/* --- the keeper ----------------------------------------------------------------------------------------------------------------- */

static void keeper_exec(const struct network_options *o, int fd)
{
	static const char program[] = LIBEXECDIR "/dovad-keeper";

	if (fd == 3 ? fcntl(3, F_SETFD, 0) < 0 : dup2(fd, 3) < 0)
		_exit(127);
	execl(program, program, "-c", o->main_file, "--peer-fd", "3", o->verbose ? "-v" : NULL, (char *)NULL);
	_exit(127);
}

/* Our own keeper ended: is there any use in starting another one? */
static bool keeper_may_return(struct network *n, struct err *err)
{
	int status, code;

	if (n->keeper_pid <= 0 || waitpid(n->keeper_pid, &status, 0) != n->keeper_pid || !WIFEXITED(status))
		return true;
	n->keeper_pid = 0;
	code = WEXITSTATUS(status);
	if (code == 127)
		err_set(err, ERR_LOCAL, "keeper", "cannot start %s/dovad-keeper: is dovad installed completely?", LIBEXECDIR);
	else if (code != 0 && !n->registry)
		err_set(err, ERR_LOCAL, "keeper", "the keeper ended with %d; its own message stands above", code);
	else
		return true;
	n->exit_code = exits_are_final(code) ? code : EXIT_FAILED;
	loop_stop();
	return false;
}

/* Started by an ordinary user: the keeper is our child, and ends when our end of the pair closes. */
static int keeper_spawn(struct network *n, struct err *err)
{
	int pair[2];

	if (!keeper_may_return(n, err))
		return -1;
	n->keeper_pid = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		err_errno(err, "cannot make a socket pair for the keeper");
		return -1;
	}
	n->keeper_pid = fork();
	if (n->keeper_pid == 0)
		keeper_exec(n->options, pair[1]);
	close(pair[1]);
	if (n->keeper_pid > 0)
		return pair[0];
	err_errno(err, "cannot start the keeper");
	close(pair[0]);
	n->keeper_pid = 0;
	return -1;
}

static int keeper_connect(void *arg, struct err *err)
{
	struct network *n = arg;
	int fd = n->keeper_fd;

	n->keeper_fd = -1;
	if (fd >= 0)
		return fd;
	if (n->options->keeper_socket)
		return msg_dial(n->options->keeper_socket, err);
	if (n->options->keeper_fd < 0)
		return keeper_spawn(n, err);
	err_set(err, ERR_LOCAL, "keeper", "the keeper is gone; the supervisor starts both halves again");
	n->exit_code = EXIT_FAILED;
	loop_stop();
	return -1;
}

static void keeper_event(void *arg, const struct js *event)
{
	struct network *n = arg;

	if (js_str(event, "event") && strcmp(js_str(event, "event"), "conf") == 0)
		conf_follow_changed(n->follow);
}

static void keeper_state(void *arg, bool up, const struct err *err)
{
	struct network *n = arg;

	if (up)
		log_debug("keeper connected", NULL);
	else
		log_warning("the keeper is not reachable; calls are sent again when it is", "error", err ? log_err(err) : NULL, NULL);
	if (up && n->registry)
		conf_follow_changed(n->follow); /* it may have changed while nobody listened */
}

/* --- parts --------------------------------------------------------------------------------------------------------------------------- */

static struct js *memory_load(void *arg, const char *ca)
{
	return store_get(((struct network *)arg)->store, "ca", ca);
}

static void memory_save(void *arg, const char *ca, const struct js *memory)
{
	store_put(((struct network *)arg)->store, "ca", ca, memory);
}

static struct issuer *make_issuer(void *arg, const struct conf_ca *ca, struct err *err)
{
	struct network *n = arg;
	struct acme_options options = {.name = ca->name, .directory = ca->directory, .contact = ca->contact.v, .ncontact = ca->contact.n,
		.agree_tos = ca->agree_tos, .eab = ca->eab.key_id != NULL, .ca_file = ca->ca_file, .allow_private = ca->allow_private,
		.preferred_chain = ca->preferred_chain, .dns = n->dns, .keeper = n->keeper,
		.memory = {.load = memory_load, .save = memory_save, .arg = n}};

	struct cas_options cas = {.name = ca->name, .address = conf_ca_address(ca), .access_key = ca->access_key_id, .ca_file = ca->ca_file,
		.allow_private = ca->allow_private, .dns = n->dns, .keeper = n->keeper};

	return ca->type == CONF_CA_ACME ? acme_new(&options, err) : cas_new(&cas, err);
}

static struct js *experience_load(void *arg, const char *name)
{
	return store_get(((struct network *)arg)->store, "dns", name);
}

static void experience_save(void *arg, const char *name, const struct js *record)
{
	store_put(((struct network *)arg)->store, "dns", name, record);
}

static struct dns_provider *make_provider(struct network *n, const struct conf_dns *dns, struct err *err)
{
	struct dns_rfc2136_options update = {.name = dns->name, .zones = dns->zones.v, .nzones = dns->zones.n, .server = dns->server,
		.key_name = dns->key_name, .key_algorithm = dns->key_algorithm, .ttl = (uint32_t)dns->ttl, .timeout_ms = UPDATE_MS, .dns = n->dns,
		.keeper = n->keeper};
	struct dns_exec_options exec = {.name = dns->name, .zones = dns->zones.v, .nzones = dns->zones.n,
		.timeout_ms = (dns->command_timeout + 10) * 1000, .keeper = n->keeper};

	return dns->type == CONF_DNS_EXEC ? dns_exec_new(&exec, err) : dns_rfc2136_new(&update, err);
}

static struct method *make_dns(struct network *n, const struct conf_dns *dns, struct err *err)
{
	struct dns01_options options = {.provider = make_provider(n, dns, err), .check = (enum dns01_check)dns->check, .servers = dns->servers.v,
		.nservers = dns->servers.n, .opinions = dns->opinions.v, .nopinions = dns->opinions.n, .confirm = (unsigned)dns->confirm,
		.timeout_ms = dns->timeout * 1000, .settle_ms = dns->settle * 1000};

	if (!options.provider)
		return NULL;
	if (quorum_parse(dns->quorum, &options.quorum))
		return dns01_new(n->proofs, &options);
	options.provider->ops->free(options.provider);
	err_set(err, ERR_INPUT, "quorum", "dns:%s: quorum \"%s\" is none", dns->name, dns->quorum);
	return NULL;
}

static struct method *make_http(struct network *n, const struct conf_http *http, struct err *err)
{
	const struct conf *conf = registry_conf(n->registry);
	struct http_look look = {.dns = n->dns, .http = n->looks, .port = (uint16_t)conf->settings.http_port};

	if (http->type == CONF_HTTP_WEBROOT)
		return http_webroot_new(http->name, n->keeper, &look, err);
	return http_listener_new(http->name, http->listen.v, http->listen.n, &look, err);
}

static struct method *make_method(void *arg, const struct conf_method *method, struct err *err)
{
	return method->dns ? make_dns(arg, method->dns, err) : make_http(arg, method->http, err);
}

static struct dns_lookup *find_addresses(void *arg, const char *name, dns_done *done, void *done_arg)
{
	const struct network *n = arg;

	return dns_addresses(n->dns, name, 0, done, done_arg);
}

static struct caa_look *look_at_caa(void *arg, const char *name, caa_looked *done, void *done_arg)
{
	struct network *n = arg;
	struct addr recursive[RECURSIVE_MAX];
	struct caa_world world = {n->asker, recursive, dns_recursive(n->dns, recursive, RECURSIVE_MAX)};

	return caa_look_start(&world, name, done, done_arg);
}

static void network_tick(void *arg)
{
	struct network *n = arg;

	manager_tick(&n->manager, n->registry);
}

/* --- confinement ------------------------------------------------------------------------------------------------------------------------ */

/* Of the file itself, where links lead to it. */
static char *folder_of(const char *path)
{
	char *end = realpath(path, NULL), *folder = end ? end : mem_strdup(path), *slash = strrchr(folder, '/');

	slash[slash == folder] = '\0';
	return folder;
}

static char **network_readable(const struct conf *conf)
{
	char **v = mem_array(HOST_FOLDERS + conf->ca.n + 2, sizeof(*v));
	size_t n = 0;

	for (; n < HOST_FOLDERS; n++)
		v[n] = mem_strdup(host_folders[n]);
	for (size_t i = 0; i < conf->ca.n; i++)
		if (conf->ca.v[i].ca_file)
			v[n++] = folder_of(conf->ca.v[i].ca_file); /* the file itself may be another one tomorrow */
	v[n] = mem_strdup(SBINDIR); /* a crash is told with names */
	return v;
}

/* Whoever starts the keeper itself, as an ordinary user, would confine that, too. */
static void network_confine(struct network *n, const struct conf *conf)
{
	const struct network_options *o = n->options;
	const char *const write[] = {conf->settings.state, conf->settings.runtime, NULL};

	if (!o->keeper_socket && o->keeper_fd < 0) {
		log_info("not confined: this half starts the other one", NULL);
		return;
	}
	n->readable = network_readable(conf);
	confine(&(struct confine_wish){.read = (const char *const *)n->readable, .write = write, .network = true});
}

static void network_warn_of_bundles(const struct network *n, const struct conf *conf)
{
	for (size_t i = 0; n->readable && i < conf->ca.n; i++) {
		char *folder = conf->ca.v[i].ca_file ? folder_of(conf->ca.v[i].ca_file) : NULL;

		if (folder && !confine_covers((const char *const *)n->readable, folder))
			log_warning("a ca_file in a folder that can be read from the next start on only", "ca", conf->ca.v[i].name, "folder", folder, NULL);
		free(folder);
	}
}

/* --- configuration -------------------------------------------------------------------------------------------------------------------- */

static void network_reload(void *arg, agent_reloaded *done, void *done_arg)
{
	struct network *n = arg;

	conf_follow_reload(n->follow, done, done_arg);
}

static void network_reloading(void *arg, bool busy)
{
	char *text = busy ? mem_printf("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_ms() * 1000) : mem_strdup("READY=1");

	(void)arg;
	systemd_notify(text);
	free(text);
}

static void network_take_report(struct network *n, const struct js *report)
{
	agent_set_report(n->agent, report);
	manager_report(&n->manager, n->registry, report);
}

static struct asker_limits network_limits(const struct conf *conf)
{
	return (struct asker_limits){.per_name = (unsigned)conf->settings.dns_rate_name, .per_address = (unsigned)conf->settings.dns_rate,
		.channels = CHANNELS};
}

static bool network_open_proofs(struct network *n, const struct conf *conf, struct err *err)
{
	struct asker_limits limits = network_limits(conf);
	struct http_options https = {.dns = n->dns, .https_only = true, .verify = true, .allow_private = true, .user_agent = PACKAGE_NAME "/" PACKAGE_VERSION,
		.one_connection = true};
	struct dns01_world_options world = {.dns = n->dns, .port = (uint16_t)conf->settings.dns_port, .memory = {experience_load, experience_save, n}};

	n->asker = asker_open(&limits, err);
	if (!n->asker)
		return false;
	n->looks = http_look_client(n->dns, err);
	if (!n->looks)
		return false;
	n->resolvers = http_new(&https, err);
	if (!n->resolvers)
		log_warning("recursive servers cannot be asked by HTTPS", "error", log_err(err), NULL);
	world.asker = n->asker;
	world.http = n->resolvers;
	n->proofs = dns01_world_new(&world);
	return true;
}

static bool network_open_modules(struct network *n, const struct conf *conf, struct err *err)
{
	const struct conf_settings *s = &conf->settings;
	struct registry_parts parts = {.issuer = make_issuer, .method = make_method, .tick = network_tick, .look = tls_look, .caa = look_at_caa,
		.addresses = find_addresses, .caa_cancel = caa_look_cancel, .arg = n};
	bool fresh;
	int fd;

	n->store = store_open(s->state, &fresh, err);
	if (!n->store)
		return false;
	n->dns = dns_open(s->resolvers.v, s->resolvers.n, err);
	if (!n->dns)
		return false;
	if (!network_open_proofs(n, conf, err))
		return false;
	n->registry = registry_new(n->store, n->keeper, &parts);
	fd = file_make_dirs(s->runtime, 0755, err);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static bool network_open_agent(struct network *n, const struct conf *conf, struct err *err)
{
	char *path = mem_printf("%s/dovad.sock", conf->settings.runtime);
	struct agent_options options = {.path = path, .registry = n->registry, .store = n->store, .version = PACKAGE_VERSION, .read_group = "dovad",
		.admin_group = "dovad-admin", .reload = network_reload, .arg = n};

	n->agent = agent_open(&options, err);
	free(path);
	return n->agent != NULL;
}

static void network_start(struct network *n, struct conf *conf, const struct js *report)
{
	struct err err;

	if (!network_open_modules(n, conf, &err)) {
		log_error("cannot start", "error", log_err(&err), NULL);
		n->exit_code = exits_of(&err);
		loop_stop();
		return;
	}
	network_confine(n, conf);
	registry_apply(n->registry, conf);
	if (!network_open_agent(n, conf, &err)) {
		log_error("cannot open the status socket", "error", log_err(&err), NULL);
		n->exit_code = exits_of(&err);
		loop_stop();
		return;
	}
	network_take_report(n, report);
	log_notice("dovad is ready", "version", PACKAGE_VERSION, "certificates", log_num((int64_t)conf->cert.n), NULL);
	systemd_notify("READY=1");
	alive_start(SCHEDULE_TICK * 1000); /* the registry's tick gives one, too */
	if (n->options->ready)
		n->options->ready();
}

/* The old one stays until then: who changed it is told. */
static void network_warn_of_start(const struct conf_settings *old, const struct conf_settings *new)
{
	for (const struct schema_option *o = schema_settings.options; o->name; o++) {
		const char *was = o->at_start ? *(const char *const *)((const char *)old + o->offset) : "";
		const char *is = o->at_start ? *(const char *const *)((const char *)new + o->offset) : "";

		if (strcmp(was, is) != 0)
			log_warning("a setting that was changed takes effect at the next start", "setting", o->name, "is", was, "will_be", is, NULL);
	}
}

static void network_apply(struct network *n, struct conf *conf, const struct js *report)
{
	const struct conf_settings *s = &conf->settings;
	struct asker_limits limits;
	struct err err;

	network_warn_of_start(&registry_conf(n->registry)->settings, s);
	network_warn_of_bundles(n, conf);
	if (!dns_set_servers(n->dns, s->resolvers.v, s->resolvers.n, &err))
		log_error("the new resolvers cannot be used, the old ones stay", "error", log_err(&err), NULL);
	limits = network_limits(conf);
	asker_set_limits(n->asker, &limits);
	dns01_world_set_port(n->proofs, (uint16_t)s->dns_port);
	registry_apply(n->registry, conf);
	network_take_report(n, report);
}

static void network_fetched(void *arg, struct conf *conf, const struct js *report, const struct err *err)
{
	struct network *n = arg;

	if (err) {
		log_error(n->registry ? "the configuration could not be fetched; the running one stays" : "no configuration", "error", log_err(err), NULL);
		if (!n->registry) {
			n->exit_code = exits_of(err);
			loop_stop();
		}
	} else if (!n->registry) {
		network_start(n, conf, report);
	} else if (strcmp(registry_conf(n->registry)->digest, conf->digest) != 0) {
		network_apply(n, conf, report);
	} else {
		network_take_report(n, report);
	}
	conf_free(conf);
}

/* --- life -------------------------------------------------------------------------------------------------------------------------------- */

static void on_stop(void *arg)
{
	(void)arg;
	systemd_notify("STOPPING=1");
	loop_stop();
}

static void on_hangup(void *arg)
{
	struct network *n = arg;

	if (n->registry)
		conf_follow_reload(n->follow, NULL, NULL);
}

static bool network_harden(struct err *err)
{
	struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_errno(err, "cannot switch off core dumps");
	return true;
}

static void network_close(struct network *n)
{
	int status;

	alive_stop();
	agent_close(n->agent);
	conf_follow_free(n->follow);
	registry_free(n->registry);
	dns01_world_free(n->proofs);
	http_free(n->resolvers);
	http_free(n->looks);
	if (n->asker)
		asker_close(n->asker);
	if (n->dns)
		dns_close(n->dns);
	if (n->keeper)
		rpc_free(n->keeper);
	store_close(n->store);
	loop_close();
	for (char **folder = n->readable; folder && *folder; folder++)
		free(*folder);
	free(n->readable);
	if (n->keeper_pid > 0)
		waitpid(n->keeper_pid, &status, 0);
}

int network_run(const struct network_options *options)
{
	static const struct rpc_ops ops = {keeper_connect, keeper_event, keeper_state};
	static const struct conf_follow_ops follow = {network_fetched, network_reloading};
	struct network n = {.options = options, .keeper_fd = options->keeper_fd};
	struct err err;

	/* What the loop puts back when it closes: a second request to end must not cut the end short. */
	for (const int *s = (int[]){SIGTERM, SIGINT, SIGHUP, 0}; *s; s++)
		signal(*s, SIG_IGN);
	if (!network_harden(&err) || !loop_open(&err) || !loop_signal(SIGTERM, on_stop, &n, &err) || !loop_signal(SIGINT, on_stop, &n, &err) ||
	    !loop_signal(SIGHUP, on_hangup, &n, &err)) {
		log_error("cannot start", "error", log_err(&err), NULL);
		return EXIT_FAILED;
	}
	n.keeper = rpc_new(&ops, &n);
	n.follow = conf_follow_new(n.keeper, &follow, &n);
	loop_run();
	network_close(&n);
	return n.exit_code;
}

const char *const *network_libraries(void)
{
	static const char *v[8];
	const char *const now[] = {loop_library(), dns_library(), dns_rfc2136_library(), tls_library(), http_library(), web_library(), store_library()};

	_Static_assert(sizeof(now) < sizeof(v), "room for the NULL");
	memcpy(v, now, sizeof(now));
	return v;
}

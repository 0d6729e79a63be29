/* SPDX-License-Identifier: ISC */
#include "base/confine.h"

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef HAVE_LIBSECCOMP
#include <seccomp.h>
#endif

#include "base/log.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* --- Landlock --- */

/* Of the kernel's interface, whose headers may be older than the kernel we run on: a right is asked for from the version on that knows it. */
enum { ABI_LEAST = 2, ABI_TRUNCATE = 3, ABI_NET = 4, ABI_IOCTL = 5, ABI_SCOPE = 6 }; /* 1 forbids every rename from one folder into another */
enum {
	EXECUTE = 1 << 0, WRITE_FILE = 1 << 1, READ_FILE = 1 << 2, READ_DIR = 1 << 3, REMOVE_DIR = 1 << 4, REMOVE_FILE = 1 << 5, MAKE_CHAR = 1 << 6,
	MAKE_DIR = 1 << 7, MAKE_REG = 1 << 8, MAKE_SOCK = 1 << 9, MAKE_FIFO = 1 << 10, MAKE_BLOCK = 1 << 11, MAKE_SYM = 1 << 12, REFER = 1 << 13,
	TRUNCATE = 1 << 14, IOCTL_DEV = 1 << 15,
};
enum {
	READING = READ_FILE | READ_DIR,
	WRITING = READING | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE,
	OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV, /* the others are for folders only */
	ALL = WRITING | EXECUTE | MAKE_CHAR | MAKE_SOCK | MAKE_FIFO | MAKE_BLOCK | IOCTL_DEV,
};
enum { BIND_TCP = 1 << 0, CONNECT_TCP = 1 << 1 };
enum { ABSTRACT_SOCKETS = 1 << 0, SIGNALS = 1 << 1 };

struct rules {
	uint64_t files, net, scoped;
};

#ifdef SYS_landlock_create_ruleset
enum { LANDLOCK = 1 };

static long landlock_abi(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* tell the version */);
}

static int landlock_create(const struct rules *rules)
{
	return (int)syscall(SYS_landlock_create_ruleset, rules, sizeof(*rules), 0); /* zeros beyond what the kernel knows do not matter to it */
}

static bool landlock_allow(int ruleset, const char *path, uint64_t rights)
{
	struct { uint64_t rights; int32_t fd; } __attribute__((packed)) rule = { .fd = open(path, O_PATH | O_CLOEXEC) };
	struct stat st;
	bool ok = false;

	if (rule.fd < 0)
		return true; /* whatever is made there later is not ours */
	if (fstat(rule.fd, &st) == 0) {
		rule.rights = rights & (S_ISDIR(st.st_mode) ? ALL : OF_FILES);
		ok = syscall(SYS_landlock_add_rule, ruleset, 1 /* beneath a path */, &rule, 0) == 0;
	}
	close(rule.fd);
	return ok;
}

static bool landlock_begin(int ruleset)
{
	return syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}
#else
enum { LANDLOCK = 0 };

static long landlock_abi(void)
{
	errno = ENOSYS;
	return -1;
}

static int landlock_create(const struct rules *rules)
{
	(void)rules;
	return -1;
}

static bool landlock_allow(int ruleset, const char *path, uint64_t rights)
{
	(void)ruleset, (void)path, (void)rights;
	return false;
}

static bool landlock_begin(int ruleset)
{
	(void)ruleset;
	return false;
}
#endif

static struct rules rules_for(const struct confine_wish *w, long abi)
{
	const char *manager = getenv("NOTIFY_SOCKET"); /* may be an abstract one, in a container */
	struct rules r = { .files = ALL };

	if (abi < ABI_TRUNCATE)
		r.files &= ~(uint64_t)TRUNCATE;
	if (abi < ABI_IOCTL)
		r.files &= ~(uint64_t)IOCTL_DEV;
	if (abi >= ABI_NET && !w->network)
		r.net = BIND_TCP | CONNECT_TCP;
	if (abi >= ABI_SCOPE)
		r.scoped = SIGNALS | (manager && *manager == '@' ? 0 : ABSTRACT_SOCKETS);
	return r;
}

/* What is in force; a text of ours. */
static const char *confine_reach(const struct confine_wish *w)
{
	static char text[64];
	long abi = landlock_abi();
	struct rules rules = rules_for(w, abi);
	uint64_t write = (WRITING | (w->network ? MAKE_SOCK : 0)) & rules.files;
	int ruleset = abi < ABI_LEAST ? -1 : landlock_create(&rules);
	bool ok = ruleset >= 0;

	for (const char *const *path = w->read; ok && *path; path++)
		ok = landlock_allow(ruleset, *path, READING);
	for (const char *const *path = w->write; ok && *path; path++)
		ok = landlock_allow(ruleset, *path, write);
	ok = ok && landlock_begin(ruleset);
	if (ok)
		snprintf(text, sizeof(text), "version %ld", abi);
	else
		snprintf(text, sizeof(text), "no: %s", abi >= 0 && abi < ABI_LEAST ? "too old" : strerror(errno));
	if (ruleset >= 0)
		close(ruleset);
	return text;
}

/* --- system calls --- */

#ifdef HAVE_LIBSECCOMP
/* By name: what the library does not know is not there. */
static const char *const never[] = {
	"execve", "execveat",                                                                             /* no other program */
	"process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd",                /* no other process */
	"mount", "umount", "umount2", "mount_setattr", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig", "fsmount", "fspick",
	"pivot_root", "chroot", "unshare", "setns",                                                       /* no other view of the host */
	"mknod", "mknodat", "open_by_handle_at", "quotactl", "quotactl_fd", "swapon", "swapoff", "acct",
	"bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", /* where the kernel was often broken */
	"keyctl", "add_key", "request_key", "personality", "modify_ldt", "fanotify_init", "lookup_dcookie", "vhangup", "syslog",
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "iopl", "ioperm",
	"settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime", "sethostname", "setdomainname",
	SANITIZED ? NULL : "ptrace",                                                                      /* by which it looks for leaks */
};
#ifdef __s390__
enum { CLONE_FLAGS = 1 }; /* the number of that argument */
#else
enum { CLONE_FLAGS = 0 };
#endif
static const unsigned long namespaces[] = { CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET };

/* Answers a call; best effort, so that one rule too many does not cost the others. */
static void answer(scmp_filter_ctx filter, const char *call, uint32_t errnum, unsigned n, struct scmp_arg_cmp arg)
{
	int number = call ? seccomp_syscall_resolve_name(call) : __NR_SCMP_ERROR;

	if (number != __NR_SCMP_ERROR)
		(void)seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(errnum), number, n, &arg);
}

static void refuse_families(scmp_filter_ctx filter, bool network)
{
	const uint64_t most = network ? AF_INET6 : AF_UNIX;

	for (uint64_t family = 0; family <= most; family++)
		if (family != AF_UNIX && (!network || (family != AF_INET && family != AF_INET6)))
			answer(filter, "socket", EAFNOSUPPORT, 1, (struct scmp_arg_cmp){ .op = SCMP_CMP_EQ, .datum_a = family });
	answer(filter, "socket", EAFNOSUPPORT, 1, (struct scmp_arg_cmp){ .op = SCMP_CMP_GT, .datum_a = most });
}

static void refuse_namespaces(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		answer(filter, "clone", EPERM, 1, (struct scmp_arg_cmp){ .arg = CLONE_FLAGS, .op = SCMP_CMP_MASKED_EQ, .datum_a = namespaces[i],
			.datum_b = namespaces[i] });
	answer(filter, "clone3", ENOSYS, 0, (struct scmp_arg_cmp){ .arg = 0 }); /* its flags are in memory: libc takes clone then */
}

static const char *confine_calls(const struct confine_wish *w)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int failed;

	if (!filter)
		return "no: no memory";
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree */
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		answer(filter, never[i], EPERM, 0, (struct scmp_arg_cmp){ .arg = 0 });
	refuse_families(filter, w->network);
	refuse_namespaces(filter);
	failed = seccomp_load(filter);
	seccomp_release(filter);
	return failed ? strerror(-failed) : "yes";
}

const char *confine_library(void)
{
	static char text[40];
	const struct scmp_version *v = seccomp_version();

	snprintf(text, sizeof(text), "libseccomp %u.%u.%u", v->major, v->minor, v->micro);
	return text;
}

const char *confine_features(void)
{
	return LANDLOCK ? " landlock seccomp" : " seccomp";
}
#else
static const char *confine_calls(const struct confine_wish *w)
{
	(void)w;
	return "no: built without libseccomp";
}

const char *confine_library(void)
{
	return NULL;
}

const char *confine_features(void)
{
	return LANDLOCK ? " landlock" : "";
}
#endif

/* --- both --- */

void confine(const struct confine_wish *w)
{
	const char *reach, *calls;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		log_warning("this process cannot be confined", "error", strerror(errno), NULL);
		return;
	}
	reach = confine_reach(w);
	calls = confine_calls(w); /* last: it needs no more calls than these */
	log_info("confined for good", "landlock", reach, "seccomp", calls, NULL);
}

bool confine_covers(const char *const *read, const char *path)
{
	for (; *read; read++) {
		size_t len = strlen(*read);

		if (strncmp(path, *read, len) == 0 && (path[len] == '/' || path[len] == '\0' || (len && path[len - 1] == '/')))
			return true;
	}
	return false;
}

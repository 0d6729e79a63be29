/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/log.h"
#include "config.h"

/* Every case is a child's, since there is no way back. A folder with one that may be read, one that may be changed and one that is nobody's business. */
static char top[] = "/tmp/dovad-confine.XXXXXX";

static const char *at(const char *name)
{
	static char path[4][64];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", top, name);
	return path[i];
}

static int make_top(void **state)
{
	(void)state;
	if (!mkdtemp(top) || mkdir(at("read"), 0755) || mkdir(at("write"), 0755) || mkdir(at("write/sub"), 0755) || mkdir(at("other"), 0755))
		return -1;
	close(open(at("read/file"), O_CREAT | O_WRONLY, 0644));
	close(open(at("other/file"), O_CREAT | O_WRONLY, 0644));
	return 0;
}

static int remove_top(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", top);
	return system(command);
}

static bool has_landlock(void)
{
#ifdef SYS_landlock_create_ruleset
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 2;
#else
	return false;
#endif
}

/* --- what a child finds: 0, or the errno of what it was refused --- */

static void run_confined(bool network, const char *const *read, void (*look)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		const char *const write[] = { at("write"), at("not-there"), NULL }, *const reads[] = { at("read"), NULL };

		confine(&(struct confine_wish){ .read = read ? read : reads, .write = write, .network = network });
		look();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status) || WEXITSTATUS(status))
		fail_msg("the child found something else: status %x", (unsigned)status);
}

/* assert_ of a child: it has no way back into cmocka. */
static void expect(const char *what, long result, int wanted)
{
	int found = result < 0 ? errno : 0;

	if (found == wanted)
		return;
	fprintf(stderr, "%s: %s, not %s\n", what, strerror(found), strerror(wanted));
	_exit(1);
}

static long touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd;
}

static long look_at(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd;
}

static long make_socket(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	strcpy(sun.sun_path, path);
	return bind(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&sun, sizeof(sun));
}

static void look_at_files(void)
{
	expect("read what may be read", look_at(at("read/file")), 0);
	expect("list it", look_at(at("read")), 0);
	expect("write what may be read", touch(at("read/file")), EACCES);
	expect("make a file there", touch(at("read/new")), EACCES);
	expect("read something else", look_at(at("other/file")), EACCES);
	expect("list something else", look_at(at("other")), EACCES);
	expect("write something else", touch(at("other/file")), EACCES);
	expect("make a file where we may", touch(at("write/new")), 0);
	expect("again, shorter", touch(at("write/new")), 0);
	expect("a folder", mkdir(at("write/folder"), 0700), 0);
	expect("a link", symlink("folder", at("write/link")), 0);
	expect("over to another folder", rename(at("write/new"), at("write/sub/new")), 0);
	expect("out of ours", rename(at("write/sub/new"), at("other/new")), EACCES);
	expect("remove", unlink(at("write/sub/new")), 0);
	expect("remove the folder", rmdir(at("write/folder")), 0);
	expect("a pipe", mkfifo(at("write/fifo"), 0600), confine_library() ? EPERM : EACCES);
	expect("a socket", make_socket(at("write/socket")), 0);
}

static void files(void **state)
{
	(void)state;
	if (!has_landlock())
		skip();
	run_confined(true, NULL, look_at_files);
}

static void look_everywhere(void)
{
	expect("read", look_at(at("other/file")), 0);
	expect("write where we may", touch(at("write/all")), 0);
	expect("write elsewhere", touch(at("other/file")), EACCES);
	expect("a socket", make_socket(at("write/no-socket")), EACCES);
}

static void readable_everywhere(void **state)
{
	static const char *const all[] = { "/", NULL };

	(void)state;
	if (!has_landlock())
		skip();
	run_confined(false, all, look_everywhere);
}

static void look_for_a_program(void)
{
	static char *const argv[] = { (char *)"/bin/true", NULL }, *const env[] = { NULL };

	expect("run a program", execve(argv[0], argv, env), confine_library() ? EPERM : EACCES);
	expect("gain privileges by one", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : (errno = ENOTSUP, -1), 0);
}

static void no_program(void **state)
{
	static const char *const all[] = { "/", NULL };

	(void)state;
	if (!has_landlock() && !confine_library())
		skip();
	run_confined(true, all, look_for_a_program);
}

static void look_for_calls(void)
{
	char byte;

	expect("unshare", unshare(CLONE_NEWUSER), EPERM);
	expect("a process of its own namespace", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL), EPERM);
	expect("clone3", syscall(SYS_clone3, NULL, 0), ENOSYS);
	expect("bpf", syscall(SYS_bpf, 0, NULL, 0), EPERM);
	expect("io_uring", syscall(SYS_io_uring_setup, 1, NULL), EPERM);
	expect("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
	expect("another's memory", syscall(SYS_process_vm_readv, getppid(), &(struct { void *at; size_t n; }){ &byte, 1 }, 1, NULL, 0, 0), EPERM);
	expect("a number of mount's", syscall(SYS_mount, NULL, NULL, NULL, 0, NULL), EPERM);
	expect("a socket for packets", socket(AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT);
	expect("a socket for netlink", socket(AF_NETLINK, SOCK_RAW, 0), EAFNOSUPPORT);
	expect("a socket of this host", socket(AF_UNIX, SOCK_STREAM, 0), 0);
	expect("a thread of ours", syscall(SYS_getpid), 0);
}

static void look_for_internet(void)
{
	look_for_calls();
	expect("a socket of the internet", socket(AF_INET, SOCK_STREAM, 0), 0);
	expect("... of its newer half", socket(AF_INET6, SOCK_DGRAM, 0), 0);
}

static void look_for_no_internet(void)
{
	look_for_calls();
	expect("a socket of the internet", socket(AF_INET, SOCK_STREAM, 0), EAFNOSUPPORT);
	expect("... of its newer half", socket(AF_INET6, SOCK_DGRAM, 0), EAFNOSUPPORT);
	expect("... disguised", syscall(SYS_socket, AF_INET | 1UL << 32, SOCK_STREAM, 0), EAFNOSUPPORT);
}

static void calls(void **state)
{
	(void)state;
	if (!confine_library())
		skip();
	run_confined(true, NULL, look_for_internet);
	run_confined(false, NULL, look_for_no_internet);
}

/* The parent is outside, a child of its own is not. */
static void look_for_others(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(pause());
	expect("signal a child", kill(pid, SIGKILL), 0);
	expect("bury it", waitpid(pid, NULL, 0), 0);
	expect("signal the parent", kill(getppid(), 0), EPERM);
}

static void others(void **state)
{
	(void)state;
#ifdef SYS_landlock_create_ruleset
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 6) {
		run_confined(true, NULL, look_for_others);
		return;
	}
#endif
	skip();
}

static void covers(void **state)
{
	static const char *const some[] = { "/etc", "/srv/pki", NULL }, *const all[] = { "/", NULL };

	(void)state;
	assert_true(confine_covers(some, "/etc"));
	assert_true(confine_covers(some, "/etc/ssl/ca.pem"));
	assert_false(confine_covers(some, "/etcetera"));
	assert_false(confine_covers(some, "/srv"));
	assert_true(confine_covers(all, "/srv"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files), cmocka_unit_test(readable_everywhere), cmocka_unit_test(no_program), cmocka_unit_test(calls),
		cmocka_unit_test(others), cmocka_unit_test(covers),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}

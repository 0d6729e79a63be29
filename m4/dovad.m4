# SPDX-License-Identifier: ISC
# DOVAD_TRY_CFLAGS(FLAGS): add each flag the compiler takes without a warning to DOVAD_CFLAGS.
AC_DEFUN([DOVAD_TRY_CFLAGS], [
	for dovad_flag in $1; do
		AC_MSG_CHECKING([whether $CC takes $dovad_flag])
		dovad_saved=$CFLAGS
		CFLAGS="$CFLAGS -Werror $dovad_flag"
		AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
			[AC_MSG_RESULT([yes]); DOVAD_CFLAGS="$DOVAD_CFLAGS $dovad_flag"], [AC_MSG_RESULT([no])])
		CFLAGS=$dovad_saved
	done])

# DOVAD_TRY_LDFLAGS(FLAGS): the same for the linker and DOVAD_LDFLAGS.
AC_DEFUN([DOVAD_TRY_LDFLAGS], [
	for dovad_flag in $1; do
		AC_MSG_CHECKING([whether the linker takes $dovad_flag])
		dovad_saved=$LDFLAGS
		LDFLAGS="$LDFLAGS $dovad_flag"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
			[AC_MSG_RESULT([yes]); DOVAD_LDFLAGS="$DOVAD_LDFLAGS $dovad_flag"], [AC_MSG_RESULT([no])])
		LDFLAGS=$dovad_saved
	done])

AC_DEFUN([DOVAD_COMPILER], [
	DOVAD_TRY_CFLAGS([-std=gnu17 -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow -Wpointer-arith -Wformat=2 -Wundef])])

# Hardening that costs next to nothing; sanitizers replace _FORTIFY_SOURCE (DOVAD_SANITIZE).
AC_DEFUN([DOVAD_HARDEN], [
	DOVAD_TRY_CFLAGS([-fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fPIE -fno-strict-overflow -ftrivial-auto-var-init=zero])
	DOVAD_TRY_LDFLAGS([-pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed])
	DOVAD_CPPFLAGS="-D_FORTIFY_SOURCE=2"])

AC_DEFUN([DOVAD_SANITIZE], [
	DOVAD_CPPFLAGS=""
	DOVAD_CFLAGS="$DOVAD_CFLAGS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
	DOVAD_LDFLAGS="$DOVAD_LDFLAGS -fsanitize=address,undefined"])

AC_DEFUN([DOVAD_FUZZ], [
	AC_MSG_CHECKING([for libFuzzer])
	dovad_saved=$CFLAGS
	CFLAGS="$CFLAGS -fsanitize=fuzzer-no-link"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes])],
		[AC_MSG_ERROR([--enable-fuzzers needs CC=clang with libFuzzer (Debian: libclang-rt-dev)])])
	CFLAGS=$dovad_saved
	DOVAD_CFLAGS="$DOVAD_CFLAGS -fsanitize=fuzzer-no-link"])

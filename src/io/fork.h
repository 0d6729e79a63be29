/* SPDX-License-Identifier: ISC */
/* A copy of this process that shares none of its manners. */
#ifndef DOVAD_IO_FORK_H
#define DOVAD_IO_FORK_H

#include <sys/types.h>

/* fork(). The copy begins with the signals' default actions: our handlers would act in it on what we share. */
pid_t fork_plain(void);

#endif

/* SPDX-License-Identifier: ISC */
/* What only root can do, done once before the halves start: their users, their folders, the low ports. */
#ifndef DOVAD_PREPARE_H
#define DOVAD_PREPARE_H

#include "privilege.h"

enum { PREPARE_PORTS = 16 };

struct prepared {
	struct privilege_user keeper, network;
	int ports[PREPARE_PORTS];       /* listening, of http entries of type listener */
	size_t nports;
	char names[PREPARE_PORTS * 72]; /* one for each port, as LISTEN_FDNAMES wants them: "http-NAME:http-NAME" */
};
/* By the configuration as it is on the disk. A port that cannot be had is logged and left out; false and *err (ERR_INPUT: the configuration is at
 * fault) for anything else. */
bool prepare(const char *main_file, struct prepared *p, struct err *err) __attribute__((warn_unused_result));

#endif
